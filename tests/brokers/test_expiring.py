"""An expiry ends a position: at the same price, the same moment and the same cost in every mode."""

from __future__ import annotations

import random
from datetime import date, datetime, timedelta
from typing import Any

import backtrader as bt
import pytest

from btkite.brokers.record import Record
from btkite.candles import Candles
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.journal import Journal
from btkite.kite.made import facts
from btkite.linetime import from_seconds, seconds_of
from btkite.market.expiry import expiry_charges
from btkite.modes import MODES
from btkite.store import KiteStore
from btkite.testing.wire import USER

EVERY_MODE = pytest.mark.parametrize("mode", MODES)
DAYS = [datetime(2024, 7, day) for day in (24, 25, 26)]
EXPIRY = date(2024, 7, 25)
SPOT, SHARE = "NSE:NIFTY 50", "NSE:RELIANCE"
FUTURE, CALL, PUT = "NFO:NIFTY24JULFUT", "NFO:NIFTY24JUL24000CE", "NFO:NIFTY24JUL23900PE"
OWN, OWN_CALL = "NFO:RELIANCE24JULFUT", "NFO:RELIANCE24JUL2900CE"
BASE = {SPOT: 24_050.0, SHARE: 3_000.0, FUTURE: 24_060.0, CALL: 80.0, PUT: 20.0, OWN: 3_002.0, OWN_CALL: 101.0}
COUNT = 375


def market(*keys: str, last: int = COUNT) -> dict[str, Candles]:
    """A seeded walk of each; contracts trade until their last minute, ``last``, of the day of their expiry."""
    found = {}
    for key in keys:
        chance, price, rows = random.Random(key), BASE[key], []
        for day in DAYS:
            minutes = last if day.date() == EXPIRY and key.startswith("NFO") else COUNT
            for n in range(0 if day.date() > EXPIRY and key.startswith("NFO") else minutes):
                price = max(5.0, price + chance.choice((-1.0, -0.5, 0.5, 1.0)))
                start = day + timedelta(hours=9, minutes=15 + n)
                rows.append((start, price, price + 1, price - 1, price + 0.5, 50, 0))
        names = ("date", "open", "high", "low", "close", "volume", "oi")
        found[key] = Candles.of(key, "minute", dict(zip(names, zip(*rows, strict=True), strict=True)))
    return found


class Holder(bt.Strategy):
    """Buys (or sells) each contract at the first minute, and tries again the morning after."""

    params = (("sign", 1), ("until", None), ("quiet", False))

    def __init__(self) -> None:
        self.story: list[Any] = []
        self.trades: list[Any] = []
        self.flat: list[datetime] = []
        self.denied: list[str] = []

    def next(self) -> None:
        now = from_seconds(seconds_of(self.data.datetime[0]))
        if self.p.until is not None and now >= self.p.until:
            self.env.runstop()
        contracts = [] if self.p.quiet else [data for data in self.datas if data.instrument.exchange == "NFO"]
        first = (now.date(), now.hour, now.minute) == (DAYS[0].date(), 9, 20)
        if first or (now.hour, now.minute, now.day) == (9, 20, 26):
            for data in contracts:
                give = self.buy if self.p.sign > 0 else self.sell
                give(data=data, size=2 * data.instrument.lot_size)
        if not self.flat and self.story and not any(self.getposition(data).size for data in contracts):
            self.flat.append(now)

    def notify_order(self, order: Any) -> None:
        if order.status == order.Rejected:
            self.denied.append(str(order.info.denied))
        if order.status == order.Completed:
            told = (order.info.instrument, order.executed.size, order.executed.price, round(order.executed.comm, 4))
            self.story.append((*told, order.info.get("expiry"), from_seconds(seconds_of(order.executed.dt))))

    def notify_trade(self, trade: Any) -> None:
        if trade.isclosed:
            self.trades.append((trade.data._name, round(trade.pnl, 4), round(trade.pnlcomm, 4)))


@pytest.fixture
def run(kite_exchange: Any, tmp_path: Any) -> Any:
    def run(mode: str, *keys: str, charges: bool = True, last: int = COUNT, **more: Any) -> Any:
        candles = market(*keys, last=last)
        kite_exchange.reset(
            candles,
            start=DAYS[0] + timedelta(hours=9),
            charges=charges,
            lot_sizes={"RELIANCE": 250} if SHARE in keys and len({OWN, OWN_CALL} & {*keys}) else {},
        )
        keep = {"broker.default_product": "NRML", "broker.capital": 1e8, "broker.charges": charges}
        keep |= {"risk.enabled": False, "broker.square_off": None, "broker.physical_days": more.pop("physical_days", 0)}
        store = KiteStore(mode=mode if mode != "backtest" else "paper", config=kite_exchange.config(**keep),
                          confirm=USER)  # fmt: skip
        if mode == "backtest":
            known = {key: store.instrument(key) for key in keys}
            store = KiteStore(config=Config().with_(**keep, **{"data.cache": str(tmp_path)}))
            for key, one in candles.items():
                store.cache.write(one, facts=facts(known[key]))
        cerebro = Cerebro(stdstats=False, engine=more.pop("engine", "auto"))
        for key in keys:
            cerebro.adddata(store.getdata(key, interval="minute"), name=key)
        cerebro.setbroker(store.getbroker())
        cerebro.addstrategy(Holder, **more)
        return cerebro.run()[0]

    return run


def final(key: str) -> float:
    """The underlying's last close of the day of the expiry."""
    one = market(key)[key]
    return float(one.close[one.start < DAYS[2]][-1])


CASES = [
    pytest.param((SPOT, FUTURE), id="index future"),
    pytest.param((SPOT, CALL), id="index call in the money"),
    pytest.param((SPOT, PUT), id="index put out of the money"),
    pytest.param((SHARE, OWN), id="future on a share"),
    pytest.param((SHARE, OWN_CALL), id="call on a share"),
]


@pytest.mark.parametrize("keys", CASES)
@pytest.mark.parametrize("sign", [1, -1], ids=["long", "short"])
def test_a_position_ends_at_the_final_price_and_at_its_cost(run: Any, keys: Any, sign: int) -> None:
    ran = run("backtest", *keys, sign=sign)
    spot, contract = final(keys[0]), ran.datas[1].instrument
    worth = spot if contract.is_future else max(0.0, spot - contract.strike)
    worth = max(0.0, contract.strike - spot) if contract.instrument_type == "PE" else worth
    units = 2 * contract.lot_size
    cost = round(float(expiry_charges(contract, sign * units, spot, EXPIRY).total), 4)
    close = datetime(2024, 7, 25, 15, 30)
    assert ran.story[-1] == (keys[1], -sign * units, pytest.approx(worth), cost, "2024-07-25", close)
    assert [row[0] for row in ran.trades] == [keys[1]]
    assert ran.broker.ledger.position(keys[1]).quantity == 0
    assert ran.flat == [close]
    assert cost > 0 or contract.key in (FUTURE, PUT)


@pytest.mark.parametrize("keys", CASES)
def test_an_expiry_is_the_same_in_every_mode(run: Any, keys: Any) -> None:
    ran = {mode: run(mode, *keys) for mode in MODES}
    for what in ("story", "trades", "flat", "denied"):
        stories = [getattr(one, what) for one in ran.values()]
        assert stories[0]
        assert stories.count(stories[0]) == len(MODES), (what, stories)
    values = {one.broker.getvalue() for one in ran.values()}
    assert len(values) == 1


@pytest.mark.parametrize("keys", CASES)
def test_the_fast_loop_ends_it_at_the_same_turn(run: Any, keys: Any) -> None:
    fast, stock = run("backtest", *keys, engine="fast"), run("backtest", *keys, engine="stock")
    for what in ("story", "trades", "flat", "denied"):
        assert getattr(fast, what) == getattr(stock, what)
    assert fast.broker.getvalue() == stock.broker.getvalue()


@EVERY_MODE
def test_in_an_expired_contract_nothing_is_traded(run: Any, mode: str) -> None:
    ran = run(mode, SPOT, CALL)
    assert ran.denied == [f"{CALL} has expired on 2024-07-25: nothing trades in it any more"]


@EVERY_MODE
def test_a_contract_that_traded_last_before_the_close_ends_at_the_days_price(run: Any, mode: str) -> None:
    """Its underlying's, or, if that is not in the run, its own."""
    ran = run(mode, SPOT, FUTURE, last=300)
    assert ran.story[-1][2] == final(SPOT)
    ran = run(mode, SHARE, FUTURE, last=300)
    one = market(FUTURE, last=300)[FUTURE]
    assert ran.story[-1][2] == one.close[-1]


@EVERY_MODE
def test_options_on_shares_are_not_opened_in_their_last_days(run: Any, mode: str) -> None:
    ran = run(mode, SHARE, OWN_CALL, physical_days=4)
    assert ran.story == []
    assert ran.denied[0] == (
        f"{OWN_CALL} expires in 1 trading day and ends in shares: options on shares are not opened in their last 4 "
        "trading days (broker.physical_days)"
    )
    assert run(mode, SPOT, CALL, physical_days=4).story != []


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_what_expired_while_nothing_ran_is_settled_by_the_next_run(
    kite_exchange: Any, tmp_path: Any, mode: str
) -> None:
    """No feed can have the contract any more, nor does Kite's dump; the journal does."""
    kite_exchange.reset(market(SPOT, CALL), start=DAYS[0] + timedelta(hours=9))
    keep = {"broker.default_product": "NRML", "broker.capital": 1e8, "risk.enabled": False, "data.warmup": 400}

    def life(*keys: str, until: datetime | None = None) -> Any:
        store = KiteStore(mode=mode, config=kite_exchange.config(**keep), confirm=USER)
        cerebro = Cerebro(stdstats=False)
        for key in keys:
            cerebro.adddata(store.getdata(key, interval="minute"), name=key)
        with Journal(tmp_path / "journal.sqlite", store.clock) as journal:
            cerebro.setbroker(store.getbroker(record=Record(journal)))
            cerebro.addstrategy(Holder, until=until, quiet=len(keys) == 1)
            return cerebro.run()[0]

    first = life(SPOT, CALL, until=DAYS[0] + timedelta(hours=15))
    kite_exchange.steer.play_until(DAYS[2] + timedelta(hours=9))
    after = life(SPOT)
    units = first.story[0][1]
    assert after.story[0][:3] == first.story[0][:3]  # what was held is told first, as of any position
    assert after.story[1:] == [
        (CALL, -units, pytest.approx(final(SPOT) - 24_000), 0.0, "2024-07-25", datetime(2024, 7, 25, 15, 30))
    ]
    paid = first.story[0][2]
    assert [row[1] for row in after.trades] == [pytest.approx(units * (final(SPOT) - 24_000 - paid), abs=1e-3)]
    assert after.broker.ledger.positions() == {}
    assert [row for row in kite_exchange.positions() if row["quantity"]] == []
