"""The roll of a day: daily settlement, expiry in cash and in shares, charges on the ledger."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from btkite.exchange import InstrumentRow
from btkite.exchange.account import Account
from btkite.exchange.errors import Refusal
from btkite.exchange.settle import intrinsic, underlying

from .scene import KEY, Scene, candles, form
from .scene_days import days, joined, next_day

EXPIRY = datetime(2026, 11, 24)  # a Tuesday, but a holiday: contracts end on the Monday
LAST = datetime(2026, 11, 23)
AFTER = datetime(2026, 11, 25)


def contract(symbol: str, name: str, kind: str, strike: float = 0.0, lot: int = 1, **more: Any) -> InstrumentRow:
    return InstrumentRow(
        exchange=more.pop("exchange", "NFO"), tradingsymbol=symbol, name=name, instrument_type=kind, strike=strike,
        lot_size=lot, expiry=LAST.date(), **more,
    )  # fmt: skip


def two_days(prices: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """Two candles on the expiry's day and two on the next, by key."""
    series = {}
    for key, pair in prices.items():
        parts = [candles([(price,) * 4] * 3, day=day) for price, day in zip(pair, (LAST, AFTER), strict=True)]
        series[key] = joined(parts)
    return series


def expiring(rows: list[InstrumentRow], prices: dict[str, tuple[float, float]], **more: Any) -> Scene:
    scene = Scene(candles=two_days(prices), instruments=rows, **{"charges": False, "cash": 5_000_000.0, **more})
    scene.bar()
    return scene


def trade(scene: Scene, side: str, row: InstrumentRow, quantity: int, **more: Any) -> None:
    fields = {"exchange": row.exchange, "product": "NRML", "quantity": quantity, **more}
    scene.venue.place("regular", form(side, symbol=row.tradingsymbol, **fields))


def settled(scene: Scene, *trades: tuple[str, InstrumentRow, int]) -> Account:
    """Trade on the last day, then roll."""
    for side, row, quantity in trades:
        trade(scene, side, row, quantity)
    next_day(scene)
    return scene.venue.account


NIFTY = "NSE:NIFTY 50"
NIFTY_CALL = contract("NIFTY26NOV26000CE", "NIFTY", "CE", 26000)
NIFTY_PUT = contract("NIFTY26NOV26000PE", "NIFTY", "PE", 26000)
NIFTY_FUT = contract("NIFTY26NOVFUT", "NIFTY", "FUT")


@pytest.mark.parametrize(
    ("row", "side", "paid", "gets"),
    [
        (NIFTY_CALL, "BUY", 90.0, 150.0),
        (NIFTY_CALL, "SELL", 90.0, 150.0),
        (NIFTY_PUT, "BUY", 90.0, 0.0),
        (NIFTY_PUT, "SELL", 90.0, 0.0),
        (NIFTY_FUT, "BUY", 26100.0, 26150.0),
        (NIFTY_FUT, "SELL", 26100.0, 26150.0),
    ],
)
def test_a_contract_on_an_index_ends_in_cash(row: InstrumentRow, side: str, paid: float, gets: float) -> None:
    scene = expiring([row], {row.key: (paid, paid), NIFTY: (26150.0, 26900.0)})
    account = settled(scene, (side, row, 65))
    sign = 1 if side == "BUY" else -1
    assert account.opening_balance == 5_000_000 + sign * 65 * (gets - paid)
    assert scene.venue.positions()["net"] == []
    assert account.margins()["equity"]["utilised"]["span"] == 0


def test_exercise_and_assignment_cost_and_a_worthless_end_does_not() -> None:
    prices = {one.key: (90.0, 90.0) for one in (NIFTY_CALL, NIFTY_PUT)}
    scene = expiring([NIFTY_CALL, NIFTY_PUT], {**prices, NIFTY: (26150.0, 26900.0)}, charges=True)
    account = settled(scene, ("BUY", NIFTY_CALL, 65), ("SELL", NIFTY_PUT, 65))
    [levies] = [entry for entry in account.ledger.entries if entry.kind == "levies"]
    # 20 + GST, and 0.15 % of 9,750 in whole rupees
    assert (levies.text, levies.amount, levies.day) == ("NFO:NIFTY26NOV26000CE exercised", -3860, LAST.date())
    assert [entry.text for entry in account.ledger.entries if entry.kind == "charges"] == ["contract note NFO"]


def test_who_wrote_an_option_pays_no_tax_when_it_is_exercised() -> None:
    scene = expiring([NIFTY_CALL], {NIFTY_CALL.key: (90.0, 90.0), NIFTY: (26150.0, 26900.0)}, charges=True)
    account = settled(scene, ("SELL", NIFTY_CALL, 65))
    [levies] = [entry for entry in account.ledger.entries if entry.kind == "levies"]
    # 20 + GST; his tax was taken with the sale: 0.15 % of 5,850 in whole rupees
    assert (levies.text, levies.amount) == ("NFO:NIFTY26NOV26000CE assigned", -2360)
    [note] = [entry for entry in account.ledger.entries if entry.kind == "charges"]
    # 20 + 2.08 + 0.01 and GST on it, and the tax
    assert note.amount == -(2209 + 398 + 900)


def test_a_given_settlement_price_wins_and_without_any_the_contracts_own_counts() -> None:
    prices = {NIFTY_CALL.key: (90.0, 90.0), NIFTY: (26150.0, 26900.0)}
    scene = expiring([NIFTY_CALL], prices, settlement_prices={"NIFTY": 26010.5})
    assert settled(scene, ("BUY", NIFTY_CALL, 65)).opening_balance == 5_000_000 + 65 * (10.5 - 90)
    scene = expiring([NIFTY_CALL], {NIFTY_CALL.key: (90.0, 90.0)})
    assert settled(scene, ("BUY", NIFTY_CALL, 65)).opening_balance == 5_000_000
    scene = expiring([NIFTY_CALL], {NIFTY_CALL.key: (0.05, 0.05)})
    assert settled(scene, ("BUY", NIFTY_CALL, 100)).opening_balance == 5_000_000 - 5


SHARE = "NSE:RELIANCE"
FUT = contract("RELIANCE26NOVFUT", "RELIANCE", "FUT")
CALL = contract("RELIANCE26NOV1400CE", "RELIANCE", "CE", 1400)
PUT = contract("RELIANCE26NOV1400PE", "RELIANCE", "PE", 1400)
OTHER_CALL = contract("RELIANCE26NOV1300CE", "RELIANCE", "CE", 1300)


def shares(row: InstrumentRow, premium: float, spot: float, **more: Any) -> Scene:
    return expiring([row], {row.key: (premium, premium), SHARE: (spot, spot)}, **more)


@pytest.mark.parametrize(
    ("row", "side", "premium", "spot", "price"),
    [
        (FUT, "BUY", 1500.0, 1510.0, 1510.0),
        (CALL, "BUY", 80.0, 1500.0, 1400.0),
        (PUT, "SELL", 80.0, 1300.0, 1400.0),
    ],
)
def test_shares_are_taken_for_contracts_on_a_share(
    row: InstrumentRow, side: str, premium: float, spot: float, price: float
) -> None:
    account = settled(shares(row, premium, spot), (side, row, 500))
    holding = account.holdings[SHARE]
    assert (holding.t1, holding.average_price) == (500, price)
    sign = 1 if side == "BUY" else -1
    carried = spot - premium if row is FUT else -sign * premium
    assert account.opening_balance == 5_000_000 + 500 * (carried - price)


@pytest.mark.parametrize(
    ("row", "side", "premium", "spot", "price"),
    [
        (FUT, "SELL", 1500.0, 1510.0, 1510.0),
        (CALL, "SELL", 80.0, 1500.0, 1400.0),
        (PUT, "BUY", 80.0, 1300.0, 1400.0),
    ],
)
def test_shares_are_given_and_what_is_missing_is_bought_in(
    row: InstrumentRow, side: str, premium: float, spot: float, price: float
) -> None:
    account = settled(shares(row, premium, spot, holdings={SHARE: (300, 1000.0)}), (side, row, 500))
    assert SHARE not in account.holdings
    sign = 1 if side == "BUY" else -1
    carried = premium - spot if row is FUT else -sign * premium
    assert account.opening_balance == 5_000_000 + 500 * (carried + price) - 200 * spot
    assert [entry.amount for entry in account.ledger.entries if entry.kind == "auction"] == [-round(200 * spot * 100)]


def test_out_of_the_money_nothing_moves() -> None:
    account = settled(shares(CALL, 80.0, 1390.0), ("SELL", CALL, 500))
    assert account.opening_balance == 5_000_000 + 500 * 80
    assert account.holdings == {}


def test_delivery_costs_and_obligations_that_meet_cost_less() -> None:
    scene = shares(CALL, 80.0, 1500.0, charges=True)
    account = settled(scene, ("BUY", CALL, 500))
    assert [entry.amount for entry in account.ledger.entries if entry.kind == "levies"] == [-287_000]
    rows = [CALL, OTHER_CALL]
    prices = {CALL.key: (80.0, 80.0), OTHER_CALL.key: (170.0, 170.0), SHARE: (1500.0, 1500.0)}
    account = settled(expiring(rows, prices, charges=True), ("BUY", CALL, 500), ("SELL", OTHER_CALL, 500))
    levies = [entry.amount for entry in account.ledger.entries if entry.kind == "levies"]
    assert levies == [-82_600, -round(1300 * 500 * 0.001 * 1.18 * 100)]
    assert account.holdings == {}
    assert not [entry for entry in account.ledger.entries if entry.kind in ("auction", "depository")]


def test_before_october_2019_contracts_on_shares_ended_in_cash_here() -> None:
    old = replace(CALL, expiry=date(2019, 9, 26))
    scene = Scene(
        candles={
            old.key: candles([(80.0,) * 4] * 3, day=datetime(2019, 9, 26)),
            SHARE: candles([(1500.0,) * 4] * 3, day=datetime(2019, 9, 26)),
            KEY: candles([(100.0,) * 4] * 3, day=datetime(2019, 9, 27)),
        },
        instruments=[old], charges=False, cash=1e6,
    )  # fmt: skip
    scene.bar()
    account = settled(scene, ("BUY", old, 500))
    assert account.opening_balance == 1e6 + 500 * (100 - 80)
    assert account.holdings == {}


def test_what_a_contract_is_on() -> None:
    scene = shares(CALL, 80.0, 1500.0)
    listings = scene.venue.market.listings
    assert underlying(CALL, listings) is listings[SHARE]
    assert underlying(NIFTY_CALL, listings) is None
    assert underlying(contract("USDINR26NOVFUT", "USDINR", "FUT", exchange="CDS"), listings) is None
    assert (intrinsic(CALL, 1450.5), intrinsic(PUT, 1450.5), intrinsic(PUT, 1399.95)) == (50.5, 0.0, 0.05)


# day after day


LEAD = InstrumentRow(
    exchange="MCX", tradingsymbol="LEADMINI26DECFUT", name="LEADMINI", instrument_type="FUT",
    expiry=date(2026, 12, 31), multiplier=1000.0,
)  # fmt: skip


def lead(*, charges: bool = False, **more: Any) -> Scene:
    """Opens at 160 and closes at 161; trades at 163 on the next day. MCX opens at nine, before its first candle."""
    series = joined([
        candles([(160.0,) * 4, (160.0,) * 4, (161.0,) * 4], day=LAST), candles([(163.0,) * 4] * 3, day=AFTER),
    ])  # fmt: skip
    scene = Scene(candles={LEAD.key: series}, instruments=[LEAD], charges=charges, cash=5_000_000.0, **more)
    scene.bar(), scene.bar()
    return scene


def test_a_future_is_settled_at_each_close_and_keeps_its_average() -> None:
    scene = lead()
    trade(scene, "BUY", LEAD, 2)
    next_day(scene)
    account = scene.venue.account
    assert account.opening_balance == 5_000_000 + 2000
    scene.bar(), scene.bar()
    [net] = scene.venue.positions()["net"]
    assert (net["overnight_quantity"], net["average_price"], net["close_price"]) == (2, 160.0, 161.0)
    assert (net["pnl"], net["m2m"], net["multiplier"]) == (6000.0, 4000.0, 1000.0)
    trade(scene, "SELL", LEAD, 2)
    scene.to_end()
    assert account.margins()["equity"]["utilised"]["m2m_realised"] == -4000.0
    assert account.available == 5_000_000 + 6000


def test_commodities_have_a_purse_of_their_own_where_it_is_given() -> None:
    scene = lead(commodity_cash=50_000.0)
    trade(scene, "BUY", LEAD, 1)
    scene.bar()
    margins = scene.venue.account.margins()
    assert margins["equity"]["net"] == 5_000_000
    assert margins["commodity"]["available"]["cash"] == 50_000
    assert margins["commodity"]["net"] == pytest.approx(50_000 - 0.15 * 160_000)
    with pytest.raises(Refusal, match=r"available margin is 26000\.00"):
        trade(scene, "BUY", LEAD, 2)


CRUDE_CALL = InstrumentRow(
    exchange="MCX", tradingsymbol="CRUDEOIL26NOV5500CE", name="CRUDEOIL", instrument_type="CE", strike=5500.0,
    expiry=LAST.date(), multiplier=100.0,
)  # fmt: skip


@pytest.mark.parametrize(("own", "purse"), [(800_000.0, "commodity"), (None, "equity")])
def test_what_commodities_cost_leaves_the_purse_that_trades_them(own: float | None, purse: str) -> None:
    scene = lead(charges=True, commodity_cash=own)
    trade(scene, "BUY", LEAD, 1)
    next_day(scene)
    # 20 + 3.36 + 0.16, GST on it, stamp 3.20; then a day's rise of a rupee for a thousand units
    lines = [(entry.kind, entry.segment, entry.amount) for entry in scene.venue.account.ledger.entries]
    assert lines == [("trades", purse, 100_000), ("charges", purse, -3095)]
    scene = expiring([CRUDE_CALL], {CRUDE_CALL.key: (90.0, 90.0)}, charges=True, commodity_cash=own,
                     settlement_prices={"CRUDEOIL": 5600.0})  # fmt: skip
    account = settled(scene, ("BUY", CRUDE_CALL, 1))
    assert {entry.segment for entry in account.ledger.entries} == {purse}
    # 20 + GST, and 0.0001 % of 560,000
    assert [entry.amount for entry in account.ledger.entries if entry.kind == "levies"] == [-2416]


def test_a_square_off_of_commodities_is_charged_to_their_purse() -> None:
    flat = [(160.0,) * 4]
    parts = [candles(flat * 3, day=LAST), candles(flat * 25, "23:30", day=LAST), candles(flat * 3, day=AFTER)]
    scene = Scene(candles={LEAD.key: joined(parts)}, instruments=[LEAD], commodity_cash=800_000.0, mis_squareoff=True)
    scene.bar(), scene.bar()
    trade(scene, "BUY", LEAD, 1, product="MIS")
    next_day(scene)
    fees = [(entry.segment, entry.amount) for entry in scene.venue.account.ledger.entries if entry.kind == "square_off"]
    assert fees == [("commodity", -5900)]


def test_a_carried_option_has_paid_its_premium_already() -> None:
    row = contract("NIFTY26DEC26000CE", "NIFTY", "CE", 26000)
    row = replace(row, expiry=date(2026, 12, 29))
    scene = expiring([row], {row.key: (100.0, 120.0)})
    trade(scene, "BUY", row, 65)
    next_day(scene)
    account = scene.venue.account
    assert account.opening_balance == 5_000_000 - 6500
    scene.bar(), scene.bar()
    trade(scene, "SELL", row, 65)
    scene.to_end()
    [net] = scene.venue.positions()["net"]
    assert (net["value"], net["pnl"]) == (1300.0, 1300.0)
    assert account.available == 5_000_000 + 1300


def test_a_days_charges_are_debited_when_it_rolls_and_every_line_is_on_the_ledger() -> None:
    scene = days(500.0, 501.0, check_holdings=True, holdings={KEY: (100, 300.0)}, cash=100_000.0)
    scene.opened()
    scene.place("BUY", product="CNC", quantity=50)
    scene.bar()
    assert scene.venue.account.opening_balance == 100_000  # nothing before the roll
    next_day(scene)
    account = scene.venue.account
    # 0.01 + 25 + 0.77 + 0.03 + 4 + 0.15
    assert [(entry.kind, entry.amount) for entry in account.ledger.entries] == [
        ("trades", -2_500_000), ("charges", -2996),
    ]  # fmt: skip
    assert account.opening_balance == 100_000 - 25_000 - 29.96
    scene.bar(), scene.bar()
    scene.place("SELL", product="CNC", quantity=10)
    scene.to_end()
    row = account.ledger.entries[-1].row()
    assert row == {
        "date": "2026-11-18", "segment": "equity", "kind": "charges", "text": "contract note NSE", "amount": -29.96,
    }  # fmt: skip


def test_a_sale_from_demat_pays_the_depository_and_an_intraday_one_does_not() -> None:
    for bought, charged in ((0, [-1534]), (10, [])):
        scene = days(500.0, 501.0, check_holdings=True, holdings={KEY: (100, 300.0)})
        scene.opened()
        scene.place("SELL", product="CNC", quantity=10)
        if bought:
            scene.place("BUY", product="CNC", quantity=bought)
        next_day(scene)
        assert [e.amount for e in scene.venue.account.ledger.entries if e.kind == "depository"] == charged


def test_a_debit_balance_pays_interest_and_takes_nothing_fresh() -> None:
    scene = days(500.0, 501.0, 502.0, cash=10_000.0, check_margin=True)
    scene.opened()
    account = scene.venue.account
    scene.place("BUY", quantity=20)
    scene.bar()
    account.set_cash(-20_000.0)
    next_day(scene)
    charged = account.ledger.total("charges")
    interest = account.ledger.total("interest")
    assert interest == -round((20_000_00 - charged) * 0.0005)
    account.add_cash(5_000.0)
    assert account.margins()["equity"]["available"]["intraday_payin"] == 5_000.0
    scene.bar(), scene.bar()
    with pytest.raises(Refusal, match="available margin is -"):
        scene.place("BUY", quantity=1)
    scene.place("SELL", quantity=20)  # what closes is taken
    account.add_cash(60_000.0)
    scene.place("BUY", quantity=1)


def over_the_weekend(**more: Any) -> Scene:
    """A Friday's open, then a Monday."""
    friday = datetime(2026, 11, 20)
    series = joined([candles([(500.0,) * 4] * 3, day=friday + timedelta(days=at)) for at in (0, 3)])
    scene = Scene(candles={KEY: series}, **more)
    scene.bar()
    return scene


def test_a_debit_balance_pays_for_saturday_and_sunday_too() -> None:
    scene = over_the_weekend(cash=10_000.0)
    account = scene.venue.account
    account.set_cash(-20_000.0)
    next_day(scene)
    [line] = [entry for entry in account.ledger.entries if entry.kind == "interest"]
    # 0.05 % a day
    assert (line.day, line.text, line.amount) == (date(2026, 11, 20), "3 days of a debit balance", -3000)


def test_margin_trading_pays_for_saturday_and_sunday_too() -> None:
    scene = over_the_weekend(mtf=True, cash=1e6)
    scene.place("BUY", product="MTF", quantity=100)
    next_day(scene)
    account = scene.venue.account
    lent = account.ledger.total("funding")
    assert lent == 50_000_00 - round(50_000_00 * account.settings.mtf_margin)
    [line] = [entry for entry in account.ledger.entries if entry.kind == "interest"]
    # 0.04 % a day
    assert (line.text, line.amount) == ("3 days of margin trading", -round(lent * 0.0012))


def test_what_is_left_of_intraday_positions_changes_its_product_where_the_broker_squares_off() -> None:
    for on, product in ((True, []), (False, ["MIS"])):
        scene = days(500.0, 501.0, charges=False, mis_squareoff=on)
        scene.opened()
        scene.place("BUY", quantity=20)
        next_day(scene)  # the day's candles end long before the square-off
        venue = scene.venue
        assert [row["product"] for row in venue.positions()["net"]] == product
        assert [holding.t1 for holding in venue.account.holdings.values()] == ([20] if on else [])


def test_weekends_and_holidays_do_not_count_as_days() -> None:
    friday = datetime(2026, 11, 20)
    series = joined([candles([(100.0,) * 4] * 2, day=friday + timedelta(days=at)) for at in (0, 3, 5)])
    scene = Scene(candles={KEY: series}, charges=False)
    scene.bar()
    scene.place("BUY", product="CNC", quantity=10)
    next_day(scene)
    holding = scene.venue.account.holdings[KEY]
    assert (holding.quantity, holding.t1) == (0, 10)
    next_day(scene)  # over the holiday of the 24th
    assert (holding.quantity, holding.t1) == (10, 0)
    assert scene.venue.account.day == date(2026, 11, 25)


def test_the_ledger_is_in_the_exchanges_state() -> None:
    scene = days(500.0, 501.0, cash=100_000.0)
    scene.opened()
    scene.place("BUY", product="CNC", quantity=1)
    next_day(scene)
    account = scene.venue.state()["account"]
    assert [line["kind"] for line in account["ledger"]] == ["trades", "charges"]
    assert account["opening_balance"] == pytest.approx(100_000 + sum(line["amount"] for line in account["ledger"]))
