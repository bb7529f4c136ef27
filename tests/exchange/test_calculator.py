"""Kite's calculator against Kite's own samples and figures that were computed independently."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from btkite.exchange import ExchangeSettings, InstrumentRow
from btkite.exchange.calculator import api_charges, deal_of, virtual_contract_note
from btkite.exchange.charges import Deal
from btkite.exchange.errors import Refusal
from btkite.exchange.instruments import describe
from btkite.exchange.venue import Venue

from .samples import sample
from .scene import Scene

FLAT = (100.0, 100.0, 100.0, 100.0)
NIFTY_FUT = describe("NFO:NIFTY26NOVFUT")
NIFTY_OPT = describe("NFO:NIFTY26NOV25000CE")
SENSEX_OPT = describe("BFO:SENSEX26NOV80000CE")
SHARE = describe("NSE:INFY")
USD_FUT = describe("CDS:USDINR25JANFUT")


def test_a_virtual_contract_note_equals_kites_sample() -> None:
    wanted = sample("virtual_contract_note")
    venue = Venue(ExchangeSettings(start=datetime(2023, 7, 13, 9), symbols=["NSE:SBIN"]))
    items = [{**row, "order_id": str(at), "average_price": row["price"]} for at, row in enumerate(wanted)]
    rows = virtual_contract_note(venue, items)
    assert [_flat(row) for row in rows] == [pytest.approx(_flat(row), abs=1e-12) for row in wanted]


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    """Nested objects as dotted names, so that all figures can be compared at once."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat.update({f"{name}.{inner}": figure for inner, figure in _flat(value).items()})
        else:
            flat[name] = value
    return flat


def test_the_charges_in_the_margin_samples_leave_the_protection_fund_out() -> None:
    infy = sample("order_margins")[0]
    deal = Deal(SHARE, "CNC", True, 1, Decimal(1498), False)
    assert _flat(api_charges(deal, date(2023, 1, 16), contract_note=False)) == pytest.approx(_flat(infy["charges"]))
    for order, buys in zip(sample("basket_margins")["orders"], (False, True), strict=True):
        row = describe(f"NFO:{order['tradingsymbol']}")
        premium = Decimal("521.25") if buys else Decimal("2673.75")
        got = api_charges(Deal(row, "NRML", buys, 75, premium, False), date(2023, 7, 5), contract_note=False)
        assert _flat(got) == pytest.approx(_flat(order["charges"]))


API_2026 = [
    (SHARE, "CNC", "BUY", 1, 560, "0.56 0.017192 0.00056 0 0 0.0031952592 0.5809472592"),
    (SHARE, "MIS", "SELL", 100, 1500, "37.5 4.605 0.15 20 0 4.455873 66.710873"),
    (NIFTY_OPT, "NRML", "BUY", 65, 100, "0 2.30945 0.0065 20 0 4.01686983 26.33281983"),
    (NIFTY_OPT, "NRML", "SELL", 65, 100, "9.75 2.30945 0.0065 20 0 4.01686983 36.08281983"),
    (NIFTY_FUT, "NRML", "SELL", 65, 24000, "780 28.548 1.56 20 0 9.0191592 839.1271592"),
    (SENSEX_OPT, "NRML", "BUY", 20, 300, "0 1.95 0.006 20 0 3.95208 25.90808"),
    (describe("MCX:GOLDPETAL26NOVFUT"), "NRML", "SELL", 1, 5862,
     "0.5862 0.123102 0.005862 1.7586 0 0.33976152 2.81352552"),
    (USD_FUT, "NRML", "BUY", 1, 86.5, "0 0.346 0.0865 20 0 3.670065 24.102565"),
]  # fmt: skip


@pytest.mark.parametrize(("row", "product", "side", "quantity", "price", "wanted"), API_2026)
def test_kites_calculator_at_the_rates_of_2026(
    row: InstrumentRow, product: str, side: str, quantity: int, price: float, wanted: str
) -> None:
    item = {"transaction_type": side, "product": product, "quantity": quantity}
    got = api_charges(deal_of(item, row, price), date(2026, 11, 10), contract_note=True)
    parts = [
        got[name]
        for name in ("transaction_tax", "exchange_turnover_charge", "sebi_turnover_charge", "brokerage", "stamp_duty")
    ]
    figures = [*parts, got["gst"]["total"], got["total"]]
    assert figures == pytest.approx([float(one) for one in wanted.split()], abs=2e-8)
    assert got["transaction_tax_type"] == ("ctt" if row.exchange == "MCX" else "stt")


@pytest.mark.parametrize(
    "spoilt",
    [
        {"quantity": 0},
        {"quantity": "ten"},
        {"average_price": 0},
        {"transaction_type": "HOLD"},
        {"exchange": "NYSE"},
        {"tradingsymbol": ""},
    ],
)
def test_a_damaged_item_is_refused(spoilt: dict[str, Any]) -> None:
    scene = Scene([FLAT])
    item = {
        "order_id": "1", "exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "variety": "regular",
        "product": "CNC", "order_type": "MARKET", "quantity": 1, "average_price": 100.0,
    }  # fmt: skip
    assert virtual_contract_note(scene.venue, [item])[0]["price"] == 100
    with pytest.raises(Refusal):
        virtual_contract_note(scene.venue, [{**item, **spoilt}])
    for nothing in ([], "text", [1]):
        with pytest.raises(Refusal):
            virtual_contract_note(scene.venue, nothing)  # type: ignore[arg-type]
