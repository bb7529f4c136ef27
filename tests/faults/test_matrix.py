"""Every REST fault of the exchange's table against btkite's own live client: an order is never doubled.

The judge is the exchange's book. One strategy enters once and gets out once, over a wire on which one thing
goes wrong.
"""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pytest

from btkite.errors import SessionExpired
from btkite.exchange.faults import TABLE

TIMEOUT = 0.3  # seconds that the client waits for an answer
WITHHELD = 0.5
BARS = 12
ORDERS = {"method": "POST", "path": "/orders/*"}

LOST = {"reply_withheld_before", "connection_dropped_before"}
"""The order did not come through, and nobody said so: an entry is given up, an exit is sent anew."""
REFUSED = {
    "too_many_requests", "ip_refused", "needs_authorisation", "freeze_rejection", "oms_maintenance",
    "missing_error_type", "no_permission", "server_error", "html_502", "unavailable_503",
    "gateway_timeout",
}  # fmt: skip
"""The order did not come through."""
NOT_OF_AN_ORDER = {"autoslice_child_failure", "modification_cap", "modify_races_trigger"}
"""They need a request that this strategy does not make."""
WAITS = {"token_exception"}
"""The order waits for a session."""
REPLIES = [name for name, kind in TABLE.items() if kind.where == "reply" and name not in NOT_OF_AN_ORDER | WAITS]
ARGS = {
    "reply_withheld_before": {"seconds": WITHHELD},
    "reply_withheld_after": {"seconds": WITHHELD},
    "instruments_of_yesterday": {"changed": {"NSE:TEST": {"name": "TEST OF YESTERDAY"}}},
}


class InAndOut(bt.Strategy):
    """Buys 5 at its second bar; sells what it holds at its sixth."""

    def next(self):
        if len(self) == 2:
            self.buy(size=5)
        elif len(self) == 6 and self.position:
            self.close()


def fault(kind: str, side: str) -> dict[str, Any]:
    args = ARGS.get(kind, {})
    if TABLE[kind].match.get("method") == "GET":
        return {"kind": kind, "times": 0, "args": args}
    return {"kind": kind, "match": {**ORDERS, "fields": {"transaction_type": side}}, "args": args}


def run(kite_exchange: Any, bars: Any, kind: str, side: str) -> Any:
    return kite_exchange.run_strategy(
        InAndOut,
        bars("flat", count=BARS),
        settings={"faults": [fault(kind, side)]},
        config={"broker.kite_connect.timeout": TIMEOUT},
    )


def sides(kite_exchange: Any) -> list[str]:
    return [row["transaction_type"] for row in kite_exchange.orders() if row["status"] != "REJECTED"]


@pytest.mark.parametrize("kind", REPLIES)
def test_an_entry_is_never_doubled(kite_exchange: Any, bars: Any, kind: str) -> None:
    outcome = run(kite_exchange, bars, kind, "BUY")
    came = 0 if kind in LOST | REFUSED or kind == "rms_rejection" else 1
    assert sides(kite_exchange) == ["BUY", "SELL"] * came
    assert [position["quantity"] for position in kite_exchange.positions() if position["quantity"]] == []
    assert len(outcome.fills) == 2 * came
    if TABLE[kind].match.get("method") != "GET":
        assert kite_exchange.steer.fired(kind) == 1


@pytest.mark.parametrize("kind", REPLIES)
def test_an_exit_never_reverses_the_position(kite_exchange: Any, bars: Any, kind: str) -> None:
    outcome = run(kite_exchange, bars, kind, "SELL")
    sent = sides(kite_exchange)
    assert sent.count("BUY") == 1
    assert sent.count("SELL") <= 1
    held = sum(position["quantity"] for position in kite_exchange.positions())
    assert held == 5 * (1 - sent.count("SELL"))
    assert outcome.strategy.position.size == held


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_a_token_that_is_refused_by_mistake_costs_no_order_and_doubles_none(
    kite_exchange: Any, bars: Any, side: str
) -> None:
    run(kite_exchange, bars, "token_exception", side)
    assert kite_exchange.steer.fired("token_exception") == 1
    assert sides(kite_exchange) == ["BUY", "SELL"]


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_a_token_that_dies_under_an_order_ends_the_run_and_leaves_the_book_as_it_was(
    kite_exchange: Any, bars: Any, side: str
) -> None:
    killing = {**fault("token_exception", side), "args": {"kill": True}}
    with pytest.raises(SessionExpired):
        kite_exchange.run_strategy(
            InAndOut, bars("flat", count=BARS), settings={"faults": [killing]}, config={"run.renew_within": 3}
        )
    assert sides(kite_exchange) == ([] if side == "BUY" else ["BUY"])


def test_the_matrix_is_the_whole_table() -> None:
    replies = {name for name, kind in TABLE.items() if kind.where == "reply"}
    assert replies == set(REPLIES) | NOT_OF_AN_ORDER | WAITS
    assert set(REPLIES) >= LOST | REFUSED
