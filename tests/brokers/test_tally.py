"""The tally against two judges: the ledger (money) and the exchange's own rows of positions (days and products)."""

from __future__ import annotations

from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btkite.brokers.folio import line_of
from btkite.brokers.tally import Tally
from btkite.exchange.positions import Position, carried
from btkite.portfolio import Line
from btkite.risk.ledger import Ledger
from btkite.values import Instrument, Side

MONDAY = date(2026, 11, 16)
KEYS = {"NFO:NIFTY26NOVFUT": 1.0, "MCX:CRUDEOIL26NOVFUT": 100.0, "NSE:INFY": 1.0}

prices = st.integers(2_000, 40_000).map(lambda ticks: ticks / 20)
fills = st.tuples(
    st.just("fill"), st.sampled_from(sorted(KEYS)), st.sampled_from(["MIS", "NRML"]), st.integers(-50, 50), prices,
    st.floats(0, 100),
)  # fmt: skip
nights = st.tuples(st.just("night"), st.tuples(prices, prices, prices))
days = st.lists(st.one_of(fills, fills, fills, nights), max_size=40)


def judge(key: str, product: str) -> Position:
    """The exchange's row."""
    row = SimpleNamespace(
        tradingsymbol=key.partition(":")[2], exchange=key.partition(":")[0], instrument_token=1, is_option=False,
        is_derivative=True, multiplier=KEYS[key],
    )  # fmt: skip
    return Position(SimpleNamespace(row=row, last=0.0, path=0.0), product)  # type: ignore[arg-type]


def shown(tally: Tally, last: dict[str, float]) -> dict[tuple[str, str], Line]:
    return {
        (key, product): line_of(key, product, row, last[key], row.close) for (key, product), row in tally.rows().items()
    }


@given(days, st.tuples(prices, prices, prices))
@settings(max_examples=150, deadline=None)
def test_rows_are_the_exchanges_rows_over_days_and_products(steps: list[Any], end: tuple[float, ...]) -> None:
    tally, theirs, day = Tally(), dict[tuple[str, str], Position](), MONDAY
    tally.turn(day, {})
    for step in steps:
        if step[0] == "fill":
            _, key, product, size, price, charges = step
            if not size:
                continue
            tally.fill(key, product, KEYS[key], size, price, charges)
            theirs.setdefault((key, product), judge(key, product)).book(
                size > 0, abs(size), abs(size) * price * KEYS[key]
            )
            continue
        closes = dict(zip(sorted(KEYS), step[1], strict=True))
        day += timedelta(days=1)
        tally.turn(day, closes)
        for (key, _), position in theirs.items():
            position.listing.last = closes[key]
        theirs = {name: carried(position, 0.0) for name, position in theirs.items() if position.quantity}
    last = dict(zip(sorted(KEYS), end, strict=True))
    lines = shown(tally, last)
    for (key, _), position in theirs.items():
        position.listing.path = last[key]
    for name, position in theirs.items():
        row, line = position.row(), lines[name]
        assert line.quantity == row["quantity"]
        assert line.overnight_quantity == row["overnight_quantity"]
        for ours, kites in (
            ("pnl", "pnl"), ("m2m", "m2m"), ("close_price", "close_price"), ("buy_value", "day_buy_value"),
            ("sell_value", "day_sell_value"), ("buy_quantity", "day_buy_quantity"), ("last_price", "last_price"),
        ):  # fmt: skip
            assert getattr(line, ours) == pytest.approx(row[kites], abs=0.01), ours
        assert line.day_pnl == pytest.approx(position.row(day_only=True)["pnl"], abs=0.01)
        assert line.day_pnl + line.overnight_pnl == pytest.approx(line.m2m)
    for name in set(lines) - set(theirs):  # flat since a day before: nothing of today
        assert (lines[name].quantity, lines[name].m2m, lines[name].pnl) == (0, 0.0, 0.0)


@given(st.lists(st.one_of(fills, nights), max_size=40), prices)
@settings(max_examples=100, deadline=None)
def test_what_rows_have_made_adds_up_to_the_ledgers_money(steps: list[Any], last: float) -> None:
    """One product each, as our positions are: then averages and gains are the ledger's to the last bit."""
    tally, ledger, day = Tally(), Ledger(1e6), MONDAY
    tally.turn(day, {})
    for step in steps:
        if step[0] == "night":
            day += timedelta(days=1)
            tally.turn(day, dict(zip(sorted(KEYS), step[1], strict=True)))
        elif step[3]:
            _, key, _, size, price, charges = step
            exchange, _, name = key.partition(":")
            instrument = Instrument(exchange, name, multiplier=KEYS[key])
            tally.fill(key, "NRML", KEYS[key], size, price, charges)
            ledger.fill(instrument, Side.BUY if size > 0 else Side.SELL, abs(size), price, charges)
    for key in KEYS:
        ledger.mark(key, last)
    lines = shown(tally, dict.fromkeys(KEYS, last))
    for (key, _), line in lines.items():
        held = ledger.position(key)
        assert (line.quantity, line.average_price) == (held.quantity, held.average_price)
        if held.quantity:
            assert line.unrealized == held.quantity * (held.last_price - held.average_price) * held.multiplier
    for name in ("realized", "unrealized", "charges"):
        assert sum(getattr(line, name) for line in lines.values()) == pytest.approx(getattr(ledger, name), abs=1e-6)


@given(days)
@settings(max_examples=50, deadline=None)
def test_it_is_the_same_after_a_restart(steps: list[Any]) -> None:
    tally, day = Tally(), MONDAY
    tally.turn(day, {})
    for step in steps:
        if step[0] == "night":
            day += timedelta(days=1)
            tally.turn(day, dict(zip(sorted(KEYS), step[1], strict=True)))
        else:
            tally.fill(step[1], step[2], KEYS[step[1]], step[3], step[4], step[5])
        again = Tally()
        again.restore(tally.state())
        assert again.rows() == tally.rows()
        assert again.state() == tally.state()
        tally = again


def test_shares_are_carried_as_a_holding_whose_average_no_sale_changes() -> None:
    tally = Tally()
    tally.turn(MONDAY, {})
    tally.fill("NSE:INFY", "CNC", 1.0, 10, 100.0, 0.0)
    tally.turn(MONDAY + timedelta(days=1), {"NSE:INFY": 120.0})
    tally.fill("NSE:INFY", "CNC", 1.0, -4, 130.0, 0.0)
    tally.turn(MONDAY + timedelta(days=2), {"NSE:INFY": 125.0})
    line = shown(tally, {"NSE:INFY": 126.0})["NSE:INFY", "CNC"]
    assert (line.overnight_quantity, line.overnight_price, line.close_price) == (6, 100.0, 125.0)
    assert (line.m2m, line.pnl, line.realized, line.realized_today) == (6.0, 156.0, 120.0, 0.0)


def test_a_conversion_takes_the_position_with_its_cost_and_leaves_what_was_made() -> None:
    tally = Tally()
    tally.turn(MONDAY, {})
    tally.fill("NSE:INFY", "MIS", 1.0, 10, 100.0, 5.0)
    tally.fill("NSE:INFY", "MIS", 1.0, -4, 110.0, 5.0)
    before = shown(tally, {"NSE:INFY": 120.0})
    tally.convert("NSE:INFY", "MIS", "CNC")
    after = shown(tally, {"NSE:INFY": 120.0})
    left, new = after["NSE:INFY", "MIS"], after["NSE:INFY", "CNC"]
    assert (left.quantity, left.realized, left.pnl, left.charges) == (0, 40.0, 40.0, 10.0)
    assert (new.quantity, new.average_price, new.realized, new.unrealized, new.pnl) == (6, 100.0, 0.0, 120.0, 120.0)
    assert left.m2m + new.m2m == before["NSE:INFY", "MIS"].m2m
    tally.turn(MONDAY + timedelta(days=1), {"NSE:INFY": 120.0})
    tally.convert("NSE:INFY", "CNC", "MTF")
    carried_on = shown(tally, {"NSE:INFY": 121.0})["NSE:INFY", "MTF"]
    assert (carried_on.overnight_quantity, carried_on.overnight_price, carried_on.m2m) == (6, 100.0, 6.0)


def test_an_account_that_was_written_down_without_rows_has_its_positions() -> None:
    tally = Tally()
    tally.adopt("NSE:INFY", "CNC", 10, 100.0, 1.0, MONDAY)
    tally.adopt("NFO:NIFTY26NOVFUT", "NRML", -65, 24_000.0, 1.0, MONDAY)
    tally.turn(MONDAY + timedelta(days=1), {"NSE:INFY": 110.0, "NFO:NIFTY26NOVFUT": 24_100.0})
    lines = shown(tally, {"NSE:INFY": 111.0, "NFO:NIFTY26NOVFUT": 24_050.0})
    long, short = lines["NSE:INFY", "CNC"], lines["NFO:NIFTY26NOVFUT", "NRML"]
    assert (long.overnight_quantity, long.overnight_price, long.m2m, long.pnl) == (10, 100.0, 10.0, 110.0)
    assert (short.overnight_quantity, short.overnight_price, short.m2m, short.pnl) == (-65, 24_000.0, 3_250.0, -3_250.0)
