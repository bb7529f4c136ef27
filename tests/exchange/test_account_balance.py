"""Whatever is traded, over days and products: the money of each purse adds up to the paisa, each day's charges are
what its trades cost by a second count, and no order is over-filled."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from btkite.exchange import InstrumentRow
from btkite.exchange.errors import Refusal
from btkite.exchange.ledger import COMMODITY, EQUITY

from . import shopkeeper
from .scene import DAY, Scene, candles, form
from .scene_days import joined, next_day
from .shopkeeper import to_rupee

SHARE, OTHER = "NSE:INFY", "NSE:TCS"
FUTURE, CALL = "NFO:NIFTY26DECFUT", "NFO:NIFTY26DEC26000CE"
SHORT_LIVED = "NFO:NIFTY26N1926000PE"  # ends on the second day
LEAD = "MCX:LEADMINI26DECFUT"
START = {SHARE: 100.0, OTHER: 1000.0, FUTURE: 26000.0, CALL: 90.0, SHORT_LIVED: 80.0, LEAD: 160.0}
PRODUCTS = {SHARE: ("MIS", "CNC", "MTF"), OTHER: ("MIS", "CNC"), FUTURE: ("NRML", "MIS"), CALL: ("NRML", "MIS"),
            SHORT_LIVED: ("NRML",), LEAD: ("NRML", "MIS")}  # fmt: skip
ROWS = [
    InstrumentRow(exchange="NFO", tradingsymbol="NIFTY26DECFUT", name="NIFTY", instrument_type="FUT",
                  expiry=date(2026, 12, 29)),
    InstrumentRow(exchange="NFO", tradingsymbol="NIFTY26DEC26000CE", name="NIFTY", instrument_type="CE",
                  strike=26000.0, expiry=date(2026, 12, 29)),
    InstrumentRow(exchange="NFO", tradingsymbol="NIFTY26N1926000PE", name="NIFTY", instrument_type="PE",
                  strike=26000.0, expiry=date(2026, 11, 19)),
    InstrumentRow(exchange="MCX", tradingsymbol="LEADMINI26DECFUT", name="LEADMINI", instrument_type="FUT",
                  expiry=date(2026, 12, 31), multiplier=1000.0),
]  # fmt: skip
DATES = [DAY + timedelta(days=after) for after in (0, 1, 2, 5)]
DAYS, BARS = len(DATES), 3
MULTIPLIER = {LEAD: 1000}
SETTLEMENT = 25_950.35

steps = st.integers(-40, 40)  # ticks of a bar
prices = st.fixed_dictionaries({key: st.lists(steps, min_size=DAYS * BARS, max_size=DAYS * BARS) for key in START})
actions = st.lists(
    st.tuples(
        st.integers(0, DAYS * BARS - 1),  # when
        st.sampled_from(sorted(START)),
        st.integers(0, 2),  # product
        st.sampled_from(["BUY", "SELL"]),
        st.integers(1, 130),
        st.sampled_from(["MARKET", "LIMIT", "SL-M"]),
        st.integers(-30, 30),  # ticks from the last price
        st.sampled_from(["order", "order", "order", "convert", "carry", "cancel", "modify"]),
    ),
    max_size=25,
)


def market(ticks: dict[str, list[int]], **more: Any) -> Scene:
    series = {}
    for key, moves in ticks.items():
        price, parts = START[key], []
        for day in range(2 if key == SHORT_LIVED else DAYS):
            bars = []
            for move in moves[day * BARS : (day + 1) * BARS]:
                close = max(round(price + 0.05 * move, 2), 1.0)
                bars.append((price, max(price, close), min(price, close), close))
                price = close
            parts.append(candles(bars, day=DATES[day]))
        series[key] = joined(parts)
    return Scene(candles=series, instruments=ROWS, settlement_prices={"NIFTY": SETTLEMENT}, **more)


CHARGES = ("charges", "depository", "square_off", "interest", "levies")


def purse_of(scene: Scene, key: str) -> str:
    """Where a trade in it is paid from."""
    return COMMODITY if key == LEAD and scene.venue.settings.commodity_cash is not None else EQUITY


@dataclass
class Trades:
    """The account as a shopkeeper would keep it: money in, money out, by purse, and what is on the shelf."""

    money: dict[str, Decimal]
    shelf: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_broker: set[str] = field(default_factory=set)
    expired: dict[str, int] = field(default_factory=dict)
    bought_in: int = 0

    def hear(self, scene: Scene) -> None:
        for trade in scene.venue.book.trades:
            if trade["trade_id"] in self.rows:
                continue
            self.rows[trade["trade_id"]] = dict(trade)
            if scene.venue.book.orders[trade["order_id"]].placed_by == "ADMINSQF":
                self.by_broker.add(trade["order_id"])
            key = f"{trade['exchange']}:{trade['tradingsymbol']}"
            sign = 1 if trade["transaction_type"] == "BUY" else -1
            self.shelf[key] += sign * trade["quantity"]
            paid = sign * trade["quantity"] * cents(trade["average_price"]) * MULTIPLIER.get(key, 1)
            self.money[purse_of(scene, key)] -= paid

    def buy_in(self, scene: Scene) -> None:
        """What was sold and not there."""
        entries = [entry for entry in scene.venue.account.ledger.entries if entry.kind == "auction"]
        for entry in entries[self.bought_in :]:
            key, count, *_ = entry.text.split()
            self.shelf[key] += int(count)
            self.money[EQUITY] += Decimal(entry.amount) / 100
        self.bought_in = len(entries)

    def expire(self, key: str, worth: Decimal) -> None:
        self.expired[key] = self.shelf.pop(key, 0)
        self.money[EQUITY] += self.expired[key] * worth

    def worth(self, scene: Scene, purse: str) -> Decimal:
        listings = scene.venue.market.listings
        return self.money[purse] + sum(
            count * cents(listings[key].last) * MULTIPLIER.get(key, 1)
            for key, count in self.shelf.items()
            if purse_of(scene, key) == purse
        )


def cents(price: float) -> Decimal:
    return Decimal(repr(price))


def act(scene: Scene, action: tuple[Any, ...]) -> None:
    _, key, product, side, quantity, kind, ticks, what = action
    venue = scene.venue
    listing = venue.market.listings[key]
    products = PRODUCTS[key]
    product = products[product % len(products)]
    exchange, symbol = key.split(":")
    price = max(round(listing.last + 0.05 * ticks, 2), 0.05)
    live = venue.book.live()
    try:
        if what in ("convert", "carry"):
            others = [one for one in (*products, "CNC") if one != product]
            count = quantity % 20 + 1
            venue.account.convert(listing, product, others[0], side == "BUY", count, what == "carry")
        elif what == "cancel" and live:
            venue.cancel("regular", live[quantity % len(live)].order_id)
        elif what == "modify" and live:
            venue.modify("regular", live[quantity % len(live)].order_id, {"quantity": str(quantity)})
        else:
            more = {"LIMIT": {"price": price}, "SL-M": {"trigger_price": price}}.get(kind, {})
            venue.place(
                "regular", form(side, kind, symbol, exchange=exchange, product=product, quantity=quantity, **more)
            )
    except Refusal:
        pass  # a no is an answer; the book must be right all the same


def worth_of(scene: Scene, purse: str) -> Decimal:
    """What the account says a purse is worth."""
    account = scene.venue.account
    money = account.ledger.balance(purse) + sum(
        position.cash_flow() + position.unrealised()
        for position in account.positions.values()
        if account.purse(position.listing.row.exchange) == purse
    )
    if purse == EQUITY:
        money += sum((one.total + one.mtf_quantity) * one.listing.last - one.loan for one in account.holdings.values())
    return cents(round(money, 4))


def check_charges(scene: Scene, trades: Trades) -> None:
    """Every charge on the ledger against a second count from the trades, and the lines before it."""
    entries = scene.venue.account.ledger.entries
    if not scene.venue.settings.charges:
        assert not [entry for entry in entries if entry.kind in CHARGES]
        return
    days = {day.date(): (after - day).days for day, after in pairwise(DATES)}
    balances, loans = dict(scene.venue.account.ledger.opening), 0
    for day, until in days.items():
        told = [entry for entry in entries if entry.day == day]
        rows = [row for row in trades.rows.values() if row["fill_timestamp"][:10] == day.isoformat()]
        noted = {entry.text.removeprefix("contract note "): -entry.amount for entry in told if entry.kind == "charges"}
        assert noted == shopkeeper.notes(rows, MULTIPLIER), day
        squared = {row["order_id"] for row in rows if row["order_id"] in trades.by_broker}
        assert [entry.amount for entry in told if entry.kind == "square_off"] == [-5900] * len(squared)
        for entry in told:
            balances[entry.segment] += entry.amount if entry.kind != "interest" else 0
            loans += entry.amount if entry.kind == "funding" else 0
        owed = [shopkeeper.interest(balances[purse], until) for purse in (EQUITY, COMMODITY)]
        owed.append(shopkeeper.funding_interest(loans, until))
        assert [-entry.amount for entry in told if entry.kind == "interest"] == [one for one in owed if one]
        for entry in told:
            balances[entry.segment] += entry.amount if entry.kind == "interest" else 0
            if "MCX" in entry.text:
                assert entry.segment == purse_of(scene, LEAD), entry
        assert {entry.amount for entry in told if entry.kind == "depository"} <= {-1534}
    [levies] = [entry.amount for entry in entries if entry.kind == "levies"] or [0]
    held = trades.expired.get(SHORT_LIVED, 0)
    tax = to_rupee(held * (26_000 - Fraction(str(SETTLEMENT))) * Fraction("0.0015")) if held > 0 else 0
    assert -levies == ((2360 + tax * 100) if held else 0)


def check_books(scene: Scene, trades: Trades) -> None:
    """What the account says of itself against the shopkeeper's count."""
    trades.hear(scene)
    trades.buy_in(scene)
    account = scene.venue.account
    for purse in (EQUITY, COMMODITY):
        entries = [entry for entry in account.ledger.entries if entry.segment == purse and entry.kind in CHARGES]
        taken = Decimal(-sum(entry.amount for entry in entries)) / 100
        assert abs(worth_of(scene, purse) + taken - trades.worth(scene, purse)) < Decimal("0.005"), purse
    for order in scene.venue.book.orders.values():
        assert 0 <= order.filled_quantity <= order.quantity
        filled = [row["filled_quantity"] for row in order.history]
        assert filled == sorted(filled)
    margins = account.margins()
    for segment in margins.values():
        there = segment["available"]
        assert segment["net"] == there["live_balance"]
        assert abs(segment["net"] - (there["cash"] - segment["utilised"]["debits"])) < 0.005
    balances = account.ledger.exact("equity") + account.ledger.exact("commodity")
    assert balances == sum(account.ledger.opening.values()) + account.ledger.total()


def play(ticks: dict[str, list[int]], flow: list[tuple[Any, ...]], **more: Any) -> tuple[Scene, Trades]:
    scene = market(ticks, **more)
    account = scene.venue.account
    trades = Trades({purse: Decimal(account.ledger.exact(purse)) / 100 for purse in (EQUITY, COMMODITY)})
    for holding in account.holdings.values():
        trades.shelf[holding.listing.key] = holding.total
    for day in range(DAYS):
        if day:
            next_day(scene)
            if day == 2:
                trades.expire(SHORT_LIVED, cents(26_000 - SETTLEMENT).quantize(Decimal("0.0001")))
            check_books(scene, trades)
        for bar in range(BARS):
            scene.venue.move_to(_us(DATES[day] + timedelta(hours=9, minutes=15 + bar, seconds=30)))
            for action in flow:
                if action[0] == day * BARS + bar:
                    act(scene, action)
                    check_books(scene, trades)
        scene.venue.move_to(_us(DATES[day] + timedelta(hours=23, minutes=58)))
        check_books(scene, trades)
    check_charges(scene, trades)
    return scene, trades


def _us(when: datetime) -> int:
    from btkite.exchange.clock import stamp

    return stamp(when)


QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(prices, actions, st.booleans(), st.booleans())
def test_the_money_adds_up_to_the_paisa(
    ticks: dict[str, list[int]], flow: list[tuple[Any, ...]], charges: bool, squareoff: bool
) -> None:
    play(
        ticks, flow, charges=charges, mis_squareoff=squareoff, mtf=True, check_holdings=True, cash=3_000_000.0,
        holdings={SHARE: (200, 80.0)},
    )  # fmt: skip


@QUICK
@given(prices, actions, st.sampled_from(["sync", "async"]))
def test_it_adds_up_in_two_purses_and_where_nothing_is_refused(
    ticks: dict[str, list[int]], flow: list[tuple[Any, ...]], rms: str
) -> None:
    play(ticks, flow, commodity_cash=500_000.0, check_margin=False, check_holdings=False, mtf=True, rms=rms)


def test_the_same_flow_leaves_the_same_ledger() -> None:
    ticks = {key: [3, -7, 12, 5, -2, 8, 0, 4, -9, 1, 1, 6] for key in START}
    flow = [
        (at % 12, key, at, side, 10 + at, "MARKET", 0, "order")
        for at, (key, side) in enumerate([(key, side) for key in sorted(START) for side in ("BUY", "SELL", "BUY")])
    ]
    books = [play(ticks, flow, mtf=True, holdings={SHARE: (50, 80.0)})[0].venue for _ in range(2)]
    first, second = ([entry.row() for entry in venue.account.ledger.entries] for venue in books)
    assert first == second
    assert len(first) > 10
    assert {entry["kind"] for entry in first} >= {"trades", "charges"}
    assert books[0].positions() == books[1].positions()
