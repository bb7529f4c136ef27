"""The client's own calculator against Kite's official samples, component by component, in their regime of 2023.

The samples are older than every rate of 2024 and later: they prove the algorithm, and the rates of their day.
"""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from btkite.market.charges import Charges, Order, ZerodhaCharges
from btkite.market.naming import described
from btkite.values import Side
from tests.shared import need


def sample(name: str) -> Any:
    return json.loads(need(f"kite_mocks/{name}.json").read_text())["data"]


def components(charges: Charges) -> dict[str, float]:
    return {
        "transaction_tax": charges.transaction_tax,
        "exchange_turnover_charge": charges.exchange,
        "sebi_turnover_charge": charges.sebi,
        "brokerage": charges.brokerage,
        "stamp_duty": charges.stamp,
        "gst": charges.gst,
        "total": charges.total,
    }


def published(row: dict[str, Any]) -> dict[str, float]:
    return {
        **{name: row[name] for name in row if name not in ("gst", "transaction_tax_type")},
        "gst": row["gst"]["total"],
    }


def test_the_virtual_contract_note_of_2023_07_13() -> None:
    calculator = ZerodhaCharges(rounding="kite")
    for row in sample("virtual_contract_note"):
        instrument = described(f"{row['exchange']}:{row['tradingsymbol']}")
        order = Order(instrument, Side(row["transaction_type"]), row["product"], [(row["quantity"], row["price"])])
        got = components(calculator.charge(order, date(2023, 7, 13)))
        assert got == pytest.approx(published(row["charges"]), abs=1e-9), row["tradingsymbol"]


def test_the_charges_beside_the_margins_of_2023_01_and_2023_07() -> None:
    calculator = ZerodhaCharges(rounding="margins")
    infy = sample("order_margins")[0]
    order = Order(described("NSE:INFY"), Side.BUY, "CNC", [(1, 1498.0)])
    assert components(calculator.charge(order, date(2023, 1, 16))) == pytest.approx(
        published(infy["charges"]), abs=1e-9
    )
    for row, side, premium in zip(
        sample("basket_margins")["orders"], (Side.SELL, Side.BUY), (35.65, 6.95), strict=True
    ):
        order = Order(described(f"NFO:{row['tradingsymbol']}"), side, "NRML", [(75, premium)])
        got = components(calculator.charge(order, date(2023, 7, 5)))
        assert got == pytest.approx(published(row["charges"]), abs=1e-9), row["tradingsymbol"]


def test_every_total_of_the_samples_is_the_sum_of_its_components() -> None:
    rows = [row["charges"] for row in sample("virtual_contract_note") + sample("order_margins")]
    rows += [row["charges"] for row in sample("basket_margins")["orders"]]
    assert len(rows) == 6
    for row in map(published, rows):
        parts = [row[name] for name in row if name != "total"]
        assert row["total"] == pytest.approx(sum(parts), abs=1e-9)
