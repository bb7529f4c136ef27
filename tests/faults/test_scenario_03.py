"""Scenario 3: SIGKILL in the middle of an entry, and the same command again. The exchange's book is the judge."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

import pytest

from btkite.clock import to_ist
from tests.faults.lives import life, sent_after
from tests.faults.scene import held

DEATHS = {"intent": 1, "sending": 0, "answer": 1, "partial": 1}
"""When it dies, and the orders of its entry that the exchange has in the end. After *sending* nobody knows whether the
first byte left: the order is looked up, and, as it never arrived, given up."""
TIMES = range(5 if os.environ.get("BTKITE_SOAK") else 1)
READS = {"GET /orders", "GET /trades", "GET /portfolio/positions", "GET /portfolio/holdings"}


def said(heard: list[dict[str, Any]], what: str) -> list[dict[str, Any]]:
    return [one for one in heard if one["what"] == what]


@pytest.mark.parametrize("again", TIMES)
@pytest.mark.parametrize("death", list(DEATHS))
def test_an_entry_is_neither_doubled_nor_lost(kite_exchange, tmp_path, death, again):
    kite_exchange.reset([100.0] * 40)
    kite_exchange.steer.script(
        [
            {
                "symbol": "NSE:TEST",
                "at": datetime(2026, 11, 18, 9, 18, 30 + again),
                "depth": {"sell": [[99.0, 4]], "buy": []},
            }
        ]
    )
    life(kite_exchange, tmp_path, "enter", death)
    before = len(kite_exchange.requests())
    heard = life(kite_exchange, tmp_path, "enter")
    asked = sent_after(kite_exchange, before)
    posts = [number for number, one in enumerate(asked) if one.startswith("POST /orders")]
    assert not posts or set(asked[: posts[0]]) >= READS  # nothing leaves before the books agree

    rows = kite_exchange.orders()
    assert len(rows) == DEATHS[death]
    end = said(heard, "end")[0]
    assert end["size"] == held(kite_exchange) == sum(row["filled_quantity"] for row in rows)
    if rows:
        assert (rows[0]["quantity"], rows[0]["filled_quantity"]) == (10, 4)
        told = [(one["status"], one["filled"]) for one in said(heard, "order")]
        assert told[-1:] == ([] if death == "partial" else [("Partial", 4)])  # what the first life heard is no news
        assert (end["size"], end["price"]) == (4, 99.0)
    else:
        assert said(heard, "order")[-1]["status"] == "Rejected"

    before = len(kite_exchange.requests())
    once_more = life(kite_exchange, tmp_path, "enter")
    assert [one for one in sent_after(kite_exchange, before) if one.startswith("POST /orders")] == [] or not rows
    assert said(once_more, "end")[0]["size"] == held(kite_exchange)


@pytest.mark.parametrize(("plan", "death", "side"), [("enter", "intent", "BUY"), ("leave", "exit intent", "SELL")])
def test_what_never_was_on_the_wire_leaves_at_once_after_the_restart(kite_exchange, tmp_path, plan, death, side):
    """An intent without *sending* behind it: nothing has to be looked up, so nothing waits for the look-up's window."""
    kite_exchange.reset([100.0] * 40)
    life(kite_exchange, tmp_path, plan, death)
    before, began = len(kite_exchange.requests()), kite_exchange.steer.now()
    life(kite_exchange, tmp_path, plan)
    (sent,) = [row for row in kite_exchange.requests()[before:] if row["method"] == "POST"]
    assert sent["form"]["transaction_type"] == side
    assert to_ist(datetime.fromisoformat(sent["time"])) - began <= timedelta(seconds=10)
    sides = [row["transaction_type"] for row in kite_exchange.orders()]
    assert sides == (["BUY"] if side == "BUY" else ["BUY", "SELL"])
    assert len({row["tag"] for row in kite_exchange.orders()}) == len(sides)
