"""What live trading books as charges and cash, order by order, against the exchange's own books: Kite's virtual
contract note of the order, the position's P&L, and the note of the day. To the paisa."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from btkite.brokers.record import Jotter
from tests.brokers.scene import CALM
from tests.brokers.wire import Live

CAPITAL = 1_000_000.0
PAISA = 0.005 + 1e-9
LINES = {
    "brokerage": "brokerage",
    "transaction_tax": "transaction_tax",
    "exchange": "exchange_turnover_charge",
    "sebi": "sebi_turnover_charge",
}


def trader(live: Live, seed: int, product: str) -> dict[int, Any]:
    """A market order at most bars, against a book that fills it in up to three parts; MIS also turns round."""
    given = random.Random(seed)

    def trade(s: Any) -> Any:
        last = round(given.uniform(90, 1900) * 20) / 20
        live.exchange.steer.put_price("NSE:TEST", last)
        sizes = [given.randint(1, 400) for _ in range(3)]
        levels = [(last + 0.05 * n, size) for n, size in enumerate(sizes, 1)]
        below = [(last - 0.05 * n, size) for n, size in enumerate(sizes, 1)]
        live.exchange.steer.put_depth("NSE:TEST", sell=levels, buy=below)
        size = given.randint(1, sum(sizes))
        held = int(s.position.size)
        if product == "CNC" and given.random() < 0.5:
            return s.sell(size=min(held, size)) if held else None
        return s.buy(size=size) if product == "CNC" or given.random() < 0.5 else s.sell(size=size)

    return dict.fromkeys(range(2, 26), trade)


@pytest.mark.parametrize("product", ["MIS", "CNC"])
@pytest.mark.parametrize("seed", range(3))
def test_charges_and_cash_are_the_exchanges_order_by_order(live: Live, seed: int, product: str) -> None:
    kept = Jotter()
    found = live.run(
        [CALM] * 30,
        trader(live, seed, product),
        record=kept,
        settings={"cash": 50 * CAPITAL, "check_margin": False},
        **{"broker.capital": CAPITAL, "broker.charges": True, "broker.default_product": product, "risk.enabled": False},
    )
    broker, book = found.broker, {row["order_id"]: row for row in live.book()}
    done = [order for order in found.given if order.executed.size]
    assert len(done) >= 12
    assert len(live.exchange.steer.trades()) > len(done)  # some of them in parts
    asked = [_described(book[order.info.order_id]) for order in done]
    notes = broker.store.client.call("get_virtual_contract_note", asked)
    told = [json.loads(line) for line in kept.lines()]
    parts = {row["ref"]: row["of_it"] for row in told if row["kind"] == "fill"}  # of the last of its fills: all
    for order, note in zip(done, notes, strict=True):
        ours, theirs = parts[order.ref], note["charges"]
        for name, line in LINES.items():
            assert ours[name] == pytest.approx(theirs[line], abs=PAISA), (order.ref, name)
        assert ours["gst"] == pytest.approx(theirs["gst"]["total"], abs=PAISA)
        assert abs(ours["stamp"] - theirs["stamp_duty"]) <= 0.5 + PAISA  # Kite's note has it in whole rupees
        whole = order.executed.comm - ours["stamp"] + theirs["stamp_duty"]
        assert whole == pytest.approx(theirs["total"], abs=PAISA)

    charged = sum(order.executed.comm for order in done)
    assert broker.ledger.charges == pytest.approx(charged, abs=PAISA)
    theirs = sum(row["pnl"] for row in live.exchange.positions())
    assert broker.getvalue() == pytest.approx(CAPITAL + theirs - charged, abs=0.01)
    assert found.position.size == live.held()
    spent = sum(
        (1 if row["transaction_type"] == "SELL" else -1) * row["average_price"] * row["quantity"]
        for row in live.exchange.steer.trades()
    )
    last = live.exchange.positions()[0]["last_price"]
    assert broker.getvalue() == pytest.approx(CAPITAL + spent - charged + found.position.size * last, abs=0.01)


def _described(row: dict[str, Any]) -> dict[str, Any]:
    names = ("order_id", "exchange", "tradingsymbol", "transaction_type", "variety", "product", "order_type")
    return {
        **{name: row[name] for name in names},
        "quantity": row["filled_quantity"],
        "average_price": row["average_price"],
    }
