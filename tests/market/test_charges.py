"""The notes below were computed by two other programs (decimal tables; exact fractions) from dated rates."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btkite.errors import ConfigError, DataError
from btkite.market.charges import (
    NO_CHARGES,
    Charges,
    Order,
    Security,
    Terms,
    ZeroCharges,
    ZerodhaCharges,
    charge_order,
    order_charges,
    tariff,
    turnover,
)
from btkite.market.notes import contract_note
from btkite.values import Instrument, Side

NSE = Instrument("NSE", "INFY", name="INFOSYS")
BSE = Instrument("BSE", "INFY", name="INFOSYS")
NFO_FUT = Instrument("NFO", "NIFTY26NOVFUT", name="NIFTY", instrument_type="FUT")
NFO_OPT = Instrument("NFO", "NIFTY26NOV25000CE", name="NIFTY", instrument_type="CE", strike=25_000)
BFO_FUT = Instrument("BFO", "SENSEX26NOVFUT", name="SENSEX", instrument_type="FUT")
BFO_OPT = Instrument("BFO", "SENSEX26NOV80000CE", name="SENSEX", instrument_type="CE", strike=80_000)
CDS_FUT = Instrument("CDS", "USDINR25JANFUT", name="USDINR", instrument_type="FUT")
CDS_OPT = Instrument("CDS", "USDINR25JAN86CE", name="USDINR", instrument_type="CE", strike=86)
BCD_FUT = Instrument("BCD", "USDINR25JANFUT", name="USDINR", instrument_type="FUT")
MCX_FUT = Instrument("MCX", "CRUDEOIL25JUNFUT", name="CRUDEOIL", instrument_type="FUT", multiplier=100)
MCX_COTTON = Instrument("MCX", "COTTON25JUNFUT", name="COTTON", instrument_type="FUT", multiplier=25)
MCX_OPT = Instrument("MCX", "CRUDEOIL25JUN6300CE", name="CRUDEOIL", instrument_type="CE", strike=6300, multiplier=100)


def legs(written: str, instrument: Instrument, product: str, security: Security = "share") -> list[Order]:
    """``B 65@110.5; S 50@118.4+15@118.3``: orders with their fills, in units (MCX: lots)."""
    orders = []
    for leg in written.split("; "):
        side, fills = leg.split(" ")
        parsed = [(int(fill.split("@")[0]), float(fill.split("@")[1])) for fill in fills.split("+")]
        orders.append(Order(instrument, Side.BUY if side == "B" else Side.SELL, product, parsed, security))
    return orders


def line(charges: Charges) -> str:
    parts = (charges.brokerage, charges.transaction_tax, charges.exchange, charges.sebi, charges.stamp, charges.gst)
    return " ".join(f"{part:.2f}" for part in (*parts, charges.total))


# id, date, instrument, product, legs, "brokerage tax exchange sebi stamp gst total"
NOTES = [
    ("C01", "2020-02-10", NSE, "MIS", "B 100@1400; S 100@1410", "28.10 35 9.13 0.28 6 6.70 85.21"),
    ("C02", "2020-07-15", NSE, "CNC", "B 50@780", "0.01 39 1.27 0.02 6 0.23 46.53"),
    ("C03", "2020-12-15", NFO_FUT, "NRML", "B 75@13500; S 75@13560", "40.00 102 38.56 1.01 20 14.14 215.71"),
    ("C04", "2021-02-10", NFO_FUT, "NRML", "B 75@15100; S 75@15160", "40.00 114 45.39 1.13 23 15.37 238.89"),
    ("C05", "2021-06-10", NFO_OPT, "NRML", "B 25@300; S 25@350", "40.00 4 8.61 0.02 0 8.75 61.38"),
    ("C06", "2022-06-15", NSE, "MIS", "B 2000@500; S 2000@505", "40.00 253 69.35 2.01 30 19.68 414.04"),
    ("C07", "2022-08-10", NSE, "MIS", "B 2000@500; S 2000@505", "40.00 253 69.35 2.01 30 20.04 414.40"),
    ("C08", "2022-06-15", BSE, "CNC", "B 1000@250", "0.01 250 8.63 0.25 38 1.56 298.45"),
    ("C09", "2023-02-01", BSE, "CNC", "B 1000@250", "0.01 250 9.38 0.25 38 1.74 299.38"),
    ("C10", "2023-05-10", NSE, "CNC", "B 500@1200", "0.01 600 20.10 0.60 90 3.73 714.44"),
    ("C11", "2023-05-12", NSE, "CNC", "S 500@1230", "0.01 615 20.60 0.62 0 3.82 640.05"),
    ("C12", "2023-05-10", NFO_OPT, "NRML", "S 500@100; B 500@60", "40.00 31 40.40 0.08 1 14.49 126.97"),
    ("C13", "2024-05-20", NFO_FUT, "NRML", "B 50@22500; S 50@22600", "40.00 141 44.65 2.26 23 15.64 266.55"),
    ("C14", "2024-06-10", BFO_OPT, "NRML", "B 100@350; S 100@380", "40.00 24 36.14 0.07 1 13.72 114.93"),
    ("C15", "2024-09-30", NFO_OPT, "NRML", "B 150@300; S 150@350", "40.00 33 48.75 0.10 1 15.99 138.84"),
    ("C16", "2024-10-01", NFO_OPT, "NRML", "B 150@300; S 150@350", "40.00 53 34.64 0.10 1 13.45 142.19"),
    ("C17", "2025-06-10", NSE, "MIS", "B 100@1500; S 100@1512", "40.00 38 9.25 0.30 5 8.92 101.47"),
    ("C18", "2025-06-10", BFO_OPT, "MIS", "B 20@400; S 20@450", "40.00 9 5.53 0.02 0 8.20 62.75"),
    ("C19", "2026-02-27", NFO_OPT, "NRML", "B 650@120; S 650@140", "40.00 91 60.05 0.17 2 18.04 211.26"),
    ("C20", "2026-03-02", NFO_OPT, "NRML", "B 650@120; S 650@140", "40.00 91 60.05 0.17 2 18.04 211.26"),
    ("C21", "2026-03-30", NFO_FUT, "NRML", "B 65@24000; S 65@24100", "40.00 313 57.21 3.13 31 18.06 462.40"),
    ("C22", "2026-04-01", NFO_FUT, "NRML", "B 65@24000; S 65@24100", "40.00 783 57.21 3.13 31 18.06 932.40"),
    ("C23", "2026-04-01", NFO_OPT, "NRML", "B 650@120; S 650@140", "40.00 137 60.05 0.17 2 18.04 257.26"),
    ("C24", "2026-11-10", NSE, "CNC", "S 100@2500", "0.01 250 7.68 0.25 0 1.43 259.37"),
    ("C25", "2026-11-10", NSE, "MIS", "B 1@500; S 1@501", "0.30 0 0.03 0.00 0 0.06 0.39"),
    (
        "C26",
        "2026-11-10",
        NFO_OPT,
        "NRML",
        "B 65@110.5; B 65@112.25; S 50@118.4+50@118.35+30@118.3",
        "60.00 23 10.61 0.03 0 12.72 106.36",
    ),
    ("C27", "2026-11-10", NFO_OPT, "NRML", "S 65@41; S 65@39", "40.00 8 1.85 0.01 0 7.53 57.39"),
    ("C28", "2022-09-15", CDS_FUT, "NRML", "B 10000@79.5; S 10000@79.6", "40.00 0 15.11 1.59 1 10.21 67.91"),
    ("C29", "2025-01-15", CDS_FUT, "NRML", "B 10000@86.5; S 10000@86.6", "40.00 0 6.92 1.73 1 8.76 58.41"),
    ("C30", "2025-01-15", CDS_OPT, "NRML", "B 10000@0.35; S 10000@0.45", "40.00 0 2.65 0.01 0 7.68 50.34"),
    ("C31", "2025-01-15", BCD_FUT, "NRML", "B 10000@86.5; S 10000@86.6", "40.00 0 7.79 1.73 1 8.91 59.43"),
    ("C32", "2023-06-15", MCX_FUT, "NRML", "B 1@5800; S 1@5850", "40.00 59 30.29 1.17 11.60 12.86 154.92"),
    ("C33", "2025-06-16", MCX_FUT, "NRML", "B 1@6300; S 1@6350", "40.00 64 26.57 1.27 12.60 12.21 156.65"),
    ("C34", "2025-06-16", MCX_COTTON, "NRML", "B 1@54000; S 1@54200", "40.00 0 56.81 0.27 27.00 17.47 141.55"),
    ("C35", "2021-09-15", MCX_OPT, "NRML", "B 1@400; S 1@450", "40.00 23 0.00 0.09 1.20 7.20 71.49"),
    ("C36", "2022-03-15", MCX_OPT, "NRML", "B 1@400; S 1@450", "40.00 23 42.50 0.09 1.20 14.85 121.64"),
    ("C37", "2026-11-10", MCX_OPT, "NRML", "B 1@400; S 1@450", "40.00 23 35.53 0.09 1.20 13.61 113.43"),
    ("C38", "2025-09-10", NSE, "MTF", "B 50@1000; B 5@1000", "35.00 55 1.69 0.06 8 6.62 106.37"),
    ("C42", "2026-11-10", BFO_FUT, "NRML", "B 20@80000; S 20@80100", "40.00 801 0.00 3.20 32 7.78 883.98"),
    ("C45", "2025-06-02", NFO_OPT, "NRML", "B 75@100; S 25@110+50@110", "40.00 8 5.60 0.02 0 8.21 61.83"),
    ("C46", "2020-08-14", BSE, "CNC", "B 1000@250", "0.01 250 7.50 0.13 38 1.35 296.99"),
    ("C47", "2024-03-15", BCD_FUT, "NRML", "B 10000@83; S 10000@83.1", "40.00 0 14.95 1.66 1 10.19 67.80"),
    ("C48", "2024-03-15", CDS_OPT, "NRML", "B 10000@0.35; S 10000@0.45", "40.00 0 2.96 0.01 0 7.73 50.70"),
]


@pytest.mark.parametrize(
    ("on", "instrument", "product", "written", "expected"), [row[1:] for row in NOTES], ids=[row[0] for row in NOTES]
)
def test_contract_notes_to_the_paisa(
    on: str, instrument: Instrument, product: str, written: str, expected: str
) -> None:
    note = contract_note(legs(written, instrument, product), date.fromisoformat(on))
    assert line(note) == " ".join(f"{float(part):.2f}" for part in expected.split())


# The same notes with the investor protection fund outside GST, where it matters.
@pytest.mark.parametrize(
    ("id_", "gst", "total"),
    [
        ("C10", "3.62", "714.33"),
        ("C11", "3.71", "639.94"),
        ("C12", "14.41", "126.89"),
        ("C13", "15.24", "266.15"),
        ("C15", "15.90", "138.75"),
        ("C16", "13.37", "142.11"),
        ("C17", "8.87", "101.42"),
        ("C19", "17.89", "211.11"),
        ("C28", "10.06", "67.76"),
        ("C29", "8.60", "58.25"),
        ("C30", "7.65", "50.31"),
        ("C38", "6.60", "106.35"),
        ("C48", "7.71", "50.68"),
    ],
)
def test_notes_with_the_protection_fund_outside_gst(id_: str, gst: str, total: str) -> None:
    _, on, instrument, product, written, _ = next(row for row in NOTES if row[0] == id_)
    note = contract_note(legs(written, instrument, product), date.fromisoformat(on), Terms(ipft_in_gst=False))
    assert line(note).split()[-2:] == [gst, total]


@pytest.mark.parametrize(
    ("instrument", "written", "product", "security", "expected"),
    [
        (NSE, "S 1000@270", "CNC", "equity_etf", "0.01 3.00 8.29 0.27 0.00 1.54 13.11"),
        (NSE, "B 1000@90", "CNC", "other_etf", "0.01 0.00 2.76 0.09 14.00 0.51 17.37"),
        (BSE, "B 1000@20", "CNC", "bse_X", "0.01 20.00 20.00 0.02 3.00 3.61 46.64"),
    ],
    ids=["C39", "C40", "C41"],
)
def test_funds_and_groups_with_rates_of_their_own(
    instrument: Instrument, written: str, product: str, security: Security, expected: str
) -> None:
    assert line(contract_note(legs(written, instrument, product, security), date(2026, 11, 10))) == expected


def test_an_account_in_debit_pays_twenty_more_per_order() -> None:  # C43
    note = contract_note(legs("B 65@120; S 65@140", NFO_OPT, "NRML"), date(2026, 11, 10), Terms(extra_per_order=20))
    assert line(note) == "80.00 14.00 6.00 0.02 0.00 15.48 115.50"


def test_a_karnataka_client_pays_two_rounded_halves_of_gst() -> None:  # C44
    note = contract_note(legs("B 75@100; S 25@110+50@110", NFO_OPT, "NRML"), date(2025, 6, 2), Terms(split_gst=True))
    assert line(note) == "40.00 8.00 5.60 0.02 0.00 8.22 61.84"


def test_a_real_commodity_note_of_2025_06_18() -> None:  # E15: four orders, 20 units
    option = Instrument("MCX", "CRUDEOILM", name="CRUDEOILM", instrument_type="CE", multiplier=10)
    orders = legs("B 1@491.45; B 1@491.45; S 1@475.6; S 1@475.6", option, "NRML")
    assert line(contract_note(orders, date(2025, 6, 18))) == "80.00 5.00 8.08 0.02 0.29 15.86 109.25"


@pytest.mark.parametrize(
    ("id_", "on", "instrument", "product", "written", "expected"),
    [
        ("E1", "2026-09-01", NFO_OPT, "NRML", "B 20@589; S 20@797", "40.00 24 9.85 0.03 0 8.98 82.86"),
        ("E2", "2026-09-01", BFO_OPT, "NRML", "B 20@476; S 20@280", "40.00 8 4.91 0.02 0 8.09 61.02"),
        ("E3", "2026-09-01", NSE, "MIS", "B 400@1000; S 400@1100", "40.00 110 25.79 0.84 12 11.99 200.62"),
        ("E4", "2026-09-01", BSE, "CNC", "B 400@1000; S 400@1100", "0.00 840 31.50 0.84 60 5.82 938.16"),
        ("E5", "2026-09-01", BFO_FUT, "NRML", "B 20@500; S 20@760", "7.56 8 0.00 0.03 0 1.37 16.96"),
        ("E9a", "2026-03-31", NSE, "MIS", "B 500@1000; S 500@1000", "40.00 125 30.70 1.00 15 12.91 224.61"),
        ("E9b", "2026-03-31", NSE, "CNC", "B 500@1000; S 500@1000", "0.00 1000 30.70 1.00 75 5.71 1112.41"),
        ("E9c", "2026-03-31", NFO_FUT, "NRML", "B 500@1000; S 500@1000", "40.00 100 18.30 1.00 10 10.67 179.97"),
        ("E9d", "2026-03-31", NFO_OPT, "NRML", "B 500@1000; S 500@1000", "40.00 500 355.30 1.00 15 71.33 982.63"),
    ],
)
def test_published_results_of_the_brokers_calculator(
    id_: str, on: str, instrument: Instrument, product: str, written: str, expected: str
) -> None:
    note = contract_note(legs(written, instrument, product), date.fromisoformat(on), Terms(note_minimum=0))
    assert line(note) == " ".join(f"{float(part):.2f}" for part in expected.split()), id_


# instrument, side, product, quantity@price, "tax exchange sebi brokerage stamp gst total", date
KITE = [
    (NSE, "B", "CNC", "1@560", "0.56 0.01876 0.00056 0 0 0.0033768 0.5826968", "2023-07-13"),
    (NFO_OPT, "B", "NRML", "100@1.5", "0 0.07575 0.00015 20 0 3.613527 23.689427", "2023-07-13"),
    (NSE, "B", "CNC", "1@560", "0.56 0.017192 0.00056 0 0 0.0031952592 0.5809472592", "2026-11-10"),
    (NSE, "S", "MIS", "100@1500", "37.5 4.605 0.15 20 0 4.455873 66.710873", "2026-11-10"),
    (NFO_OPT, "B", "NRML", "65@100", "0 2.30945 0.0065 20 0 4.01686983 26.33281983", "2026-11-10"),
    (NFO_OPT, "S", "NRML", "65@100", "9.75 2.30945 0.0065 20 0 4.01686983 36.08281983", "2026-11-10"),
    (NFO_FUT, "S", "NRML", "65@24000", "780 28.548 1.56 20 0 9.0191592 839.1271592", "2026-11-10"),
    (BFO_OPT, "B", "NRML", "20@300", "0 1.95 0.006 20 0 3.95208 25.90808", "2026-11-10"),
    (CDS_FUT, "B", "NRML", "1000@86.5", "0 0.346 0.0865 20 0 3.670065 24.102565", "2026-11-10"),
]


@pytest.mark.parametrize(("instrument", "side", "product", "fill", "expected", "on"), KITE)
def test_charges_as_kite_answers_them(
    instrument: Instrument, side: str, product: str, fill: str, expected: str, on: str
) -> None:
    [order] = legs(f"{side} {fill}", instrument, product)
    got = ZerodhaCharges(rounding="kite").charge(order, date.fromisoformat(on))
    parts = (got.transaction_tax, got.exchange, got.sebi, got.brokerage, got.stamp, got.gst, got.total)
    assert parts == pytest.approx([float(part) for part in expected.split()], abs=1e-9)


def test_kites_answer_for_a_gram_of_gold() -> None:  # E10b
    gold = Instrument("MCX", "GOLDPETAL23JULFUT", name="GOLDPETAL", instrument_type="FUT")
    got = ZerodhaCharges(rounding="kite").charge(Order(gold, Side.SELL, "NRML", [(1, 5862.0)]), date(2023, 7, 13))
    assert got.total == pytest.approx(2.84811132, abs=1e-9)


# -- per order ----------------------------------------------------------------------------------------

fills = st.lists(
    st.tuples(st.integers(1, 5_000), st.integers(1, 200_000).map(lambda steps: steps / 20)), min_size=1, max_size=8
)


@given(fills, st.sampled_from([(NSE, "MIS"), (NSE, "CNC"), (NFO_FUT, "NRML"), (NFO_OPT, "MIS"), (MCX_FUT, "NRML")]))
def test_partial_fills_cost_what_the_whole_order_costs(
    parts: list[tuple[int, float]], kind: tuple[Instrument, str]
) -> None:
    instrument, product = kind
    on, paid, so_far = date(2026, 6, 1), NO_CHARGES, NO_CHARGES
    for count in range(1, len(parts) + 1):
        cumulative = charge_order(instrument, Side.SELL, product, parts[:count], on)
        step = cumulative - so_far
        assert step.total >= -1e-9
        paid, so_far = paid + step, cumulative
    assert paid.total == pytest.approx(so_far.total, abs=1e-6)
    assert so_far.brokerage <= 20
    assert so_far.total == charge_order(instrument, Side.SELL, product, parts[::-1], on).total


@given(fills)
def test_the_order_of_legs_and_the_split_into_fills_change_no_note(parts: list[tuple[int, float]]) -> None:
    whole = [Order(NFO_OPT, Side.SELL, "NRML", parts), Order(NFO_OPT, Side.BUY, "NRML", parts)]
    split = [(1, price) for quantity, price in parts for _ in range(min(quantity, 3))]
    rest = [(quantity - 3, price) for quantity, price in parts if quantity > 3]
    again = [Order(NFO_OPT, Side.BUY, "NRML", split + rest), Order(NFO_OPT, Side.SELL, "NRML", parts)]
    assert contract_note(whole, date(2026, 6, 1)) == contract_note(again, date(2026, 6, 1))


def test_the_cap_counts_once_per_order() -> None:
    one = charge_order(NSE, Side.BUY, "MIS", [(100, 1000.0), (100, 1000.0)], date(2026, 6, 1))
    assert one.brokerage == 20
    small = charge_order(NSE, Side.BUY, "MIS", [(10, 1000.0)], date(2026, 6, 1))
    assert small.brokerage == 3


def test_transaction_tax_is_rounded_to_the_paisa_before_the_rupee() -> None:
    # 0.1 % of 12,495 is 12.495: 12.50 on the way to 13, as on real notes of 2025
    note = contract_note([Order(NFO_OPT, Side.SELL, "NRML", [(150, 83.3)])], date(2025, 6, 2))
    assert note.transaction_tax == 13


@pytest.mark.parametrize(("on", "base"), [("2022-07-17", 20 + 3.45), ("2022-07-18", 20 + 3.45 + 0.1)])
def test_the_sebi_fee_joined_the_base_of_gst_on_2022_07_18(on: str, base: float) -> None:
    got = charge_order(NSE, Side.BUY, "MIS", [(100, 1000.0)], date.fromisoformat(on))
    assert got.gst == pytest.approx(0.18 * base, abs=1e-4)


@pytest.mark.parametrize(
    ("on", "side", "stamp"),
    [("2020-06-30", Side.SELL, 10.0), ("2020-07-01", Side.SELL, 0.0), ("2020-07-01", Side.BUY, 15.0)],
)
def test_stamp_duty_became_uniform_and_the_buyers_on_2020_07_01(on: str, side: Side, stamp: float) -> None:
    assert charge_order(NSE, side, "CNC", [(100, 1000.0)], date.fromisoformat(on)).stamp == stamp


def test_a_multiplier_counts_in_turnover_and_in_every_line() -> None:
    assert turnover(Order(MCX_FUT, Side.BUY, "NRML", [(2, 6300.0)])) == 1_260_000
    units = Instrument("MCX", "CRUDEOIL25JUNFUT", name="CRUDEOIL", instrument_type="FUT")
    on = date(2025, 6, 16)
    assert charge_order(MCX_FUT, Side.SELL, "NRML", [(2, 6300.0)], on) == charge_order(
        units, Side.SELL, "NRML", [(200, 6300.0)], on
    )


def test_charges_without_an_instrument_are_the_same() -> None:
    on = date(2026, 6, 1)
    assert order_charges("eq", "NSE", Side.SELL, "CNC", 100, 2500.0, on) == charge_order(
        NSE, Side.SELL, "CNC", [(100, 2500.0)], on
    )
    assert order_charges("com_fut", "MCX", Side.BUY, "NRML", 1, 6300.0, on, 100.0) == charge_order(
        MCX_FUT, Side.BUY, "NRML", [(1, 6300.0)], on
    )


def test_sensex_options_and_other_bse_options_differ() -> None:
    other = Instrument("BFO", "SENSEX5026NOV25000CE", name="SENSEX50", instrument_type="CE")
    on = date(2026, 6, 1)
    assert charge_order(BFO_OPT, Side.BUY, "NRML", [(100, 100.0)], on).exchange == pytest.approx(3.25)
    assert charge_order(other, Side.BUY, "NRML", [(100, 100.0)], on).exchange == pytest.approx(0.5)


def test_an_order_without_fills_costs_nothing() -> None:
    assert charge_order(NFO_OPT, Side.BUY, "NRML", [], date(2026, 6, 1)) == NO_CHARGES
    assert contract_note([Order(NSE, Side.BUY, "CNC", [])], date(2026, 6, 1)) == NO_CHARGES


def test_charges_can_be_switched_off() -> None:
    order = Order(NSE, Side.BUY, "CNC", [(10, 100.0)])
    assert tariff(enabled=False).charge(order, date(2026, 6, 1)).total == 0
    assert isinstance(tariff(enabled=False), ZeroCharges)
    assert tariff().charge(order, date(2026, 6, 1)).total > 1


@pytest.mark.parametrize(("instrument", "product"), [(NSE, "NRML"), (NFO_FUT, "CNC"), (NSE, "cnc")])
def test_a_product_of_another_segment_is_refused(instrument: Instrument, product: str) -> None:
    with pytest.raises(ConfigError, match="take one of"):
        charge_order(instrument, Side.BUY, product, [(1, 100.0)], date(2026, 6, 1))


def test_an_exchange_without_rates_is_refused() -> None:
    with pytest.raises(DataError, match="NYSE"):
        charge_order(Instrument("NYSE", "X"), Side.BUY, "CNC", [(1, 1.0)], date(2026, 6, 1))


def test_the_total_is_the_exact_sum_of_the_parts() -> None:
    charges = Charges(0.1, 0.2, 0.3, 0.4, 0.5, 0.6, ipft=0.25)
    assert Decimal(repr(charges.total)) == Decimal("2.1")


@pytest.mark.parametrize(("on", "percent"), [("2019-06-03", 0.01), ("2020-04-01", 0.03)])
def test_before_the_table_the_first_rate_holds(on: str, percent: float) -> None:
    got = charge_order(NSE, Side.BUY, "MIS", [(10, 100.0)], date.fromisoformat(on))
    assert got.brokerage == pytest.approx(10 * percent)
