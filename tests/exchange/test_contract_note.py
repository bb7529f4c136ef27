"""The contract note of a day against published examples, a real note and figures that were computed independently."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from btkite.exchange import InstrumentRow
from btkite.exchange.contract_note import Executed, Note, day_notes
from btkite.exchange.instruments import describe

NIFTY_FUT = describe("NFO:NIFTY26NOVFUT")
NIFTY_OPT = describe("NFO:NIFTY26NOV25000CE")
SENSEX_OPT = describe("BFO:SENSEX26NOV80000CE")
SENSEX_FUT = describe("BFO:SENSEX26NOVFUT")
SHARE, BSE_SHARE = describe("NSE:INFY"), describe("BSE:INFY")
CRUDE_FUT, CRUDE_OPT = describe("MCX:CRUDEOIL26NOVFUT"), describe("MCX:CRUDEOIL26NOV5500CE")
CRUDE_MINI_OPT = describe("MCX:CRUDEOILM26NOV5500CE")
COTTON = describe("MCX:COTTON25JUNFUT")
USD_FUT, USD_OPT, USD_BSE = (
    describe(key) for key in ("CDS:USDINR25JANFUT", "CDS:USDINR25JAN86CE", "BCD:USDINR25JANFUT")
)

# Date, instrument, product, legs (orders; "+" joins the fills of one), then brokerage, tax, exchange, SEBI,
# stamp, GST, total.
NOTES = [
    ("C01", "2020-02-10", SHARE, "MIS", "B 100@1400; S 100@1410", "28.10 35 9.13 0.28 6 6.70 85.21"),
    ("C02", "2020-07-15", SHARE, "CNC", "B 50@780", "0.01 39 1.27 0.02 6 0.23 46.53"),
    ("C03", "2020-12-15", NIFTY_FUT, "NRML", "B 75@13500; S 75@13560", "40.00 102 38.56 1.01 20 14.14 215.71"),
    ("C04", "2021-02-10", NIFTY_FUT, "NRML", "B 75@15100; S 75@15160", "40.00 114 45.39 1.13 23 15.37 238.89"),
    ("C05", "2021-06-10", NIFTY_OPT, "NRML", "B 25@300; S 25@350", "40.00 4 8.61 0.02 0 8.75 61.38"),
    # the exchange's own base: the average of all trades, so 251 where the sale's value alone would say 253
    ("C06", "2022-06-15", SHARE, "MIS", "B 2000@500; S 2000@505", "40.00 251 69.35 2.01 30 19.68 412.04"),
    ("C07", "2022-08-10", SHARE, "MIS", "B 2000@500; S 2000@505", "40.00 251 69.35 2.01 30 20.04 412.40"),
    ("C08", "2022-06-15", BSE_SHARE, "CNC", "B 1000@250", "0.01 250 8.63 0.25 38 1.56 298.45"),
    ("C09", "2023-02-01", BSE_SHARE, "CNC", "B 1000@250", "0.01 250 9.38 0.25 38 1.74 299.38"),
    ("C10", "2023-05-10", SHARE, "CNC", "B 500@1200", "0.01 600 20.10 0.60 90 3.73 714.44"),
    ("C11", "2023-05-12", SHARE, "CNC", "S 500@1230", "0.01 615 20.60 0.62 0 3.82 640.05"),
    ("C12", "2023-05-10", NIFTY_OPT, "NRML", "S 500@100; B 500@60", "40.00 31 40.40 0.08 1 14.49 126.97"),
    ("C13", "2024-05-20", NIFTY_FUT, "NRML", "B 50@22500; S 50@22600", "40.00 141 44.65 2.26 23 15.64 266.55"),
    ("C14", "2024-06-10", SENSEX_OPT, "NRML", "B 100@350; S 100@380", "40.00 24 36.14 0.07 1 13.72 114.93"),
    ("C15", "2024-09-30", NIFTY_OPT, "NRML", "B 150@300; S 150@350", "40.00 33 48.75 0.10 1 15.99 138.84"),
    ("C16", "2024-10-01", NIFTY_OPT, "NRML", "B 150@300; S 150@350", "40.00 53 34.64 0.10 1 13.45 142.19"),
    ("C17", "2025-06-10", SHARE, "MIS", "B 100@1500; S 100@1512", "40.00 38 9.25 0.30 5 8.92 101.47"),
    ("C18", "2025-06-10", SENSEX_OPT, "NRML", "B 20@400; S 20@450", "40.00 9 5.53 0.02 0 8.20 62.75"),
    ("C19", "2026-02-27", NIFTY_OPT, "NRML", "B 650@120; S 650@140", "40.00 91 60.05 0.17 2 18.04 211.26"),
    ("C20", "2026-03-02", NIFTY_OPT, "NRML", "B 650@120; S 650@140", "40.00 91 60.05 0.17 2 18.04 211.26"),
    ("C21", "2026-03-30", NIFTY_FUT, "NRML", "B 65@24000; S 65@24100", "40.00 313 57.21 3.13 31 18.06 462.40"),
    ("C22", "2026-04-01", NIFTY_FUT, "NRML", "B 65@24000; S 65@24100", "40.00 783 57.21 3.13 31 18.06 932.40"),
    ("C23", "2026-04-01", NIFTY_OPT, "NRML", "B 650@120; S 650@140", "40.00 137 60.05 0.17 2 18.04 257.26"),
    ("C24", "2026-11-10", SHARE, "CNC", "S 100@2500", "0.01 250 7.68 0.25 0 1.43 259.37"),
    ("C25", "2026-11-10", SHARE, "MIS", "B 1@500; S 1@501", "0.30 0 0.03 0.00 0 0.06 0.39"),
    ("C26", "2026-11-10", NIFTY_OPT, "NRML", "B 65@110.5; B 65@112.25; S 50@118.4+50@118.35+30@118.3",
     "60.00 23 10.61 0.03 0 12.72 106.36"),
    ("C27", "2026-11-10", NIFTY_OPT, "NRML", "S 65@41; S 65@39", "40.00 8 1.85 0.01 0 7.53 57.39"),
    ("C28", "2022-09-15", USD_FUT, "NRML", "B 10@79.5; S 10@79.6", "40.00 0 15.11 1.59 1 10.21 67.91"),
    ("C29", "2025-01-15", USD_FUT, "NRML", "B 10@86.5; S 10@86.6", "40.00 0 6.92 1.73 1 8.76 58.41"),
    ("C30", "2025-01-15", USD_OPT, "NRML", "B 10@0.35; S 10@0.45", "40.00 0 2.65 0.01 0 7.68 50.34"),
    ("C31", "2025-01-15", USD_BSE, "NRML", "B 10@86.5; S 10@86.6", "40.00 0 7.79 1.73 1 8.91 59.43"),
    ("C32", "2023-06-15", CRUDE_FUT, "NRML", "B 1@5800; S 1@5850", "40.00 59 30.29 1.17 11.60 12.86 154.92"),
    ("C33", "2025-06-16", CRUDE_FUT, "NRML", "B 1@6300; S 1@6350", "40.00 64 26.57 1.27 12.60 12.21 156.65"),
    ("C34", "2025-06-16", COTTON, "NRML", "B 25@54000; S 25@54200", "40.00 0 56.81 0.27 27.00 17.47 141.55"),
    ("C35", "2021-09-15", CRUDE_OPT, "NRML", "B 1@400; S 1@450", "40.00 23 0.00 0.09 1.20 7.20 71.49"),
    ("C36", "2022-03-15", CRUDE_OPT, "NRML", "B 1@400; S 1@450", "40.00 23 42.50 0.09 1.20 14.85 121.64"),
    ("C37", "2026-11-10", CRUDE_OPT, "NRML", "B 1@400; S 1@450", "40.00 23 35.53 0.09 1.20 13.61 113.43"),
    ("C38", "2025-09-10", SHARE, "MTF", "B 50@1000; B 5@1000", "35.00 55 1.69 0.06 8 6.62 106.37"),
    ("C42", "2026-11-10", SENSEX_FUT, "NRML", "B 20@80000; S 20@80100", "40.00 801 0.00 3.20 32 7.78 883.98"),
    ("C46", "2020-08-14", BSE_SHARE, "CNC", "B 1000@250", "0.01 250 7.50 0.13 38 1.35 296.99"),
    ("C47", "2024-03-15", USD_BSE, "NRML", "B 10@83; S 10@83.1", "40.00 0 14.95 1.66 1 10.19 67.80"),
    ("C48", "2024-03-15", USD_OPT, "NRML", "B 10@0.35; S 10@0.45", "40.00 0 2.96 0.01 0 7.73 50.70"),
    # a real note of an MCX option: four executed orders
    ("E15", "2025-06-18", CRUDE_MINI_OPT, "NRML", "B 1@491.45; B 1@491.45; S 1@475.6; S 1@475.6",
     "80.00 5 8.08 0.02 0.29 15.86 109.25"),
    # a day's delivery and squared part of one share: 13 and 21 of tax
    ("X14", "2023-06-15", SHARE, "CNC", "B 500@100; S 500@105; B 200@110", "30.75 34 4.17 0.12 5 6.31 80.35"),
]  # fmt: skip


def orders_of(row: InstrumentRow, product: str, legs: str, security: str = "share") -> list[Executed]:
    orders = []
    for leg in legs.split("; "):
        side, fills = leg.split(" ")
        pairs = [fill.split("@") for fill in fills.split("+")]
        orders.append(Executed(row, product, side == "B", [(int(q), float(p)) for q, p in pairs], security))
    return orders


def lines(note: Note) -> list[Decimal]:
    return [note.brokerage, note.tax, note.fee, note.sebi, note.stamp, note.gst, note.total]


@pytest.mark.parametrize(("name", "day", "row", "product", "legs", "wanted"), NOTES, ids=[case[0] for case in NOTES])
def test_the_contract_note_of_a_day(
    name: str, day: str, row: InstrumentRow, product: str, legs: str, wanted: str
) -> None:
    [note] = day_notes(orders_of(row, product, legs), date.fromisoformat(day))
    assert lines(note) == [Decimal(figure) for figure in wanted.split()]


@pytest.mark.parametrize(
    ("security", "exchange_row", "legs", "wanted"),
    [
        ("equity_etf", SHARE, "S 1000@270", "0.01 3 8.29 0.27 0 1.54 13.11"),
        ("other_etf", SHARE, "B 1000@90", "0.01 0 2.76 0.09 14 0.51 17.37"),
        ("bse_X", BSE_SHARE, "B 1000@20", "0.01 20 20.00 0.02 3 3.61 46.64"),
    ],
)
def test_funds_and_penny_groups_have_rates_of_their_own(
    security: str, exchange_row: InstrumentRow, legs: str, wanted: str
) -> None:
    [note] = day_notes(orders_of(exchange_row, "CNC", legs, security), date(2026, 11, 10))
    assert lines(note) == [Decimal(figure) for figure in wanted.split()]


def test_each_exchange_has_its_own_columns() -> None:
    both = [*orders_of(SHARE, "CNC", "B 50@780"), *orders_of(NIFTY_FUT, "NRML", "B 75@13500")]
    notes = day_notes(both, date(2026, 11, 10))
    assert [note.exchange for note in notes] == ["NFO", "NSE"]
    assert [note.turnover for note in notes] == [Decimal(1_012_500), Decimal(39_000)]
