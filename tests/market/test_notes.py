"""The day's note with shares netted, and the client's calculators against the exchange's own, on random trades.

The two are written apart from each other, on the same tables of rates: what differs is a mistake in one of them.
"""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btkite.exchange.calculator import api_charges
from btkite.exchange.charges import Deal, delivery_levies, depository_charge, exercise_levies, square_off_charge
from btkite.exchange.contract_note import Executed, day_notes
from btkite.exchange.instruments import describe
from btkite.market import levies
from btkite.market.charges import Charges, Order, Terms, ZerodhaCharges
from btkite.market.naming import described
from btkite.market.notes import contract_note
from btkite.values import Side

B, S = Side.BUY, Side.SELL
INFY = described("NSE:INFY")


def share(side: Side, product: str, *fills: tuple[int, float]) -> Order:
    return Order(INFY, side, product, fills)


def test_shares_are_taxed_at_the_average_of_the_day_and_split_into_intraday_and_delivery() -> None:
    # Zerodha's article on STT: average 124,500 / 1,200 = 103.75; 12.97 intraday and 20.75 delivery.
    orders = [share(B, "CNC", (500, 100.0)), share(S, "CNC", (500, 105.0)), share(B, "CNC", (200, 110.0))]
    note = contract_note(orders, date(2023, 6, 15), netted=True)
    assert note.transaction_tax == 13 + 21
    assert (note.brokerage, note.exchange, note.sebi, note.stamp, note.gst) == (30.75, 4.17, 0.12, 5, 6.31)
    assert note.total == 80.35


@pytest.mark.parametrize("on", ["2022-06-15", "2022-08-10"])
def test_intraday_tax_by_the_exchanges_average_is_not_the_calculators(on: str) -> None:
    orders = [share(B, "MIS", (2000, 500.0)), share(S, "MIS", (2000, 505.0))]
    assert contract_note(orders, date.fromisoformat(on)).transaction_tax == 253
    assert contract_note(orders, date.fromisoformat(on), netted=True).transaction_tax == 251


def test_an_mis_order_that_is_delivered_after_all_pays_brokerage_and_the_tax_of_deliveries() -> None:
    note = contract_note([share(B, "MIS", (10, 1000.0))], date(2026, 11, 10), netted=True)
    assert (note.brokerage, note.transaction_tax, note.stamp) == (3, 10, 2)


# -- against the exchange ---------------------------------------------------------------------------

DAYS = st.dates(date(2020, 7, 1), date(2026, 12, 31))
EDGES = st.sampled_from(
    [date.fromisoformat(day) + timedelta(days=shift) for shift in (-1, 0) for day in (
        "2021-01-01", "2021-04-01", "2021-10-01", "2022-07-18", "2022-12-01", "2023-04-01", "2024-03-01", "2024-04-01",
        "2024-05-13", "2024-10-01", "2024-12-19", "2025-06-01", "2026-03-01", "2026-04-01",
    )]
)  # fmt: skip
SYMBOLS = [
    ("NSE:INFY", ("CNC", "MIS", "MTF")), ("BSE:INFY", ("CNC", "MIS", "MTF")),
    ("NFO:NIFTY26NOVFUT", ("NRML", "MIS")), ("NFO:NIFTY26NOV25000CE", ("NRML", "MIS")),
    ("BFO:SENSEX26NOVFUT", ("NRML", "MIS")), ("BFO:SENSEX26NOV80000PE", ("NRML", "MIS")),
    ("BFO:SENSEX5026NOV25000CE", ("NRML",)),
    ("CDS:USDINR26NOVFUT", ("NRML", "MIS")), ("CDS:USDINR26NOV86CE", ("NRML",)), ("BCD:USDINR26NOVFUT", ("NRML",)),
    ("MCX:CRUDEOIL26NOVFUT", ("NRML", "MIS")), ("MCX:CRUDEOIL26NOV5500CE", ("NRML",)),
    ("MCX:GOLDPETAL26NOVFUT", ("NRML",)),
]  # fmt: skip
KINDS = st.sampled_from([(key, product) for key, products in SYMBOLS for product in products])
FILLS = st.lists(
    st.tuples(st.integers(1, 3_000), st.integers(1, 100_000).map(lambda steps: steps / 20)), min_size=1, max_size=4
)
SECURITIES = st.sampled_from(["share", "equity_etf", "other_etf"])


@given(KINDS, st.sampled_from([B, S]), st.integers(1, 3_000), st.integers(1, 100_000), DAYS | EDGES, SECURITIES)
@settings(max_examples=150, deadline=None)
def test_kites_calculators_agree(
    kind: tuple[str, str], side: Side, quantity: int, price: int, on: date, security: str
) -> None:
    key, product = kind
    row, rupees = describe(key), price / 20
    security = security if key.startswith("NSE") else "share"
    value = Decimal(repr(rupees)) * quantity * Decimal(repr(row.multiplier))
    deal = Deal(row, product, side is B, quantity, value, product == "MIS", security)
    order = Order(described(key), side, product, [(quantity, rupees)], security)  # type: ignore[arg-type]
    for rounding, note in (("kite", True), ("margins", False)):
        theirs = api_charges(deal, on, contract_note=note)
        ours = ZerodhaCharges(rounding=rounding).charge(order, on)  # type: ignore[arg-type]
        figures = [theirs[name] for name in (
            "brokerage", "transaction_tax", "exchange_turnover_charge", "sebi_turnover_charge", "stamp_duty", "total",
        )]  # fmt: skip
        mine = [ours.brokerage, ours.transaction_tax, ours.exchange, ours.sebi, ours.stamp, ours.total]
        assert mine == pytest.approx(figures, abs=1e-7)


Trade = tuple[str, str, Side, list[tuple[int, float]]]


@st.composite
def days_of_trading(draw: st.DrawFn) -> tuple[list[Trade], date]:
    exchange = draw(st.sampled_from(["NSE:", "NFO:", "BFO:", "CDS:", "MCX:"]))
    kinds = [(key, product) for key, products in SYMBOLS for product in products if key.startswith(exchange)]
    if exchange == "NSE:":
        kinds += [("NSE:SBIN", "CNC"), ("NSE:SBIN", "MIS")]
    orders = draw(st.lists(st.tuples(st.sampled_from(kinds), st.sampled_from([B, S]), FILLS), min_size=1, max_size=6))
    return [(*kind, side, fills) for kind, side, fills in orders], draw(DAYS | EDGES)


@given(days_of_trading())
@settings(max_examples=150, deadline=None)
def test_contract_notes_agree_to_the_paisa(
    day: tuple[list[tuple[str, str, Side, list[tuple[int, float]]]], date],
) -> None:
    orders, on = day
    theirs = day_notes([Executed(describe(key), product, side is B, fills) for key, product, side, fills in orders], on)
    ours = contract_note(
        [Order(described(key), side, product, fills) for key, product, side, fills in orders], on, Terms(), netted=True
    )
    wanted = {
        name: float(sum(getattr(note, theirs_name) for note in theirs))
        for name, theirs_name in (
            ("brokerage", "brokerage"), ("transaction_tax", "tax"), ("exchange", "fee"), ("sebi", "sebi"),
            ("stamp", "stamp"), ("gst", "gst"), ("total", "total"),
        )
    }  # fmt: skip
    assert {name: getattr(ours, name) for name in wanted} == wanted


@given(DAYS | EDGES, st.integers(1, 40), st.integers(1, 5_000), st.booleans())
@settings(max_examples=60, deadline=None)
def test_what_stands_on_the_ledger_agrees(on: date, lots: int, inside: int, holder: bool) -> None:
    assert levies.depository_charge(on) == float(depository_charge(on))
    assert levies.square_off_charge(on) == float(square_off_charge(on))
    key, quantity = "NFO:NIFTY26NOV25000CE", lots * 65
    ours = levies.exercise_charges(described(key), B if holder else S, quantity, 25_000 + inside, on)
    intrinsic = Decimal(quantity * inside)
    theirs = exercise_levies(describe(key), intrinsic, Decimal(quantity * (25_000 + inside)), holder=holder, day=on)
    assert _figures(ours) == [float(part) for part in (theirs.brokerage, theirs.tax, theirs.stamp, theirs.gst)]
    for receives, netted in ((True, False), (False, False), (True, True)):
        moved = levies.delivery_charges(quantity * 1000.0, on, receives=receives, netted=netted)
        same = delivery_levies(Decimal(quantity * 1000), receives=receives, netted=netted, day=on)
        assert _figures(moved) == [float(part) for part in (same.brokerage, same.tax, same.stamp, same.gst)]


def _figures(charges: Charges) -> list[float]:
    return [charges.brokerage, charges.transaction_tax, charges.stamp, charges.gst]
