"""What the stream does not tell is found by looking: the order book while an order works, trades for a price."""

from __future__ import annotations

import json
from typing import Any

from btkite.values import OrderUpdate
from tests.brokers.scene import CALM, UP, Order, buy

LIMIT = Order.Limit
DONE = ["Submitted", "Accepted", "Completed"]
LONG = [CALM] * 14


def looks(live: Any) -> int:
    return sum(one.method == "GET" and one.path.split("?")[0] == "/orders" for one in live.middle.asked)


def test_a_fill_of_which_the_stream_says_nothing_is_learnt_from_the_book(live):
    fault = {"kind": "order_update_lost", "times": None}
    ran = live.run(
        [*LONG[:4], UP, *LONG[:6]], {2: buy(size=3, exectype=LIMIT, price=99.0)}, settings={"faults": [fault]}
    )
    assert ran.story() == DONE
    assert ran.position.size == live.held() == 3
    assert ran.prices() == [99.0]


def test_the_book_is_not_read_while_nothing_works(live):
    before: list[int] = []
    plan = {6: lambda s: before.append(looks(live)), 12: lambda s: before.append(looks(live))}
    live.run(LONG, plan)
    assert before[0] == before[1]


def test_in_lock_step_the_book_is_read_once_a_minute_at_most(live):
    before: list[int] = []
    plan = {
        2: buy(size=3, exectype=LIMIT, price=90.0),
        4: lambda s: before.append(looks(live)),
        10: lambda s: before.append(looks(live)),
    }
    live.run(LONG, plan)
    assert 4 <= before[1] - before[0] <= 6


def test_what_an_order_was_filled_at_is_asked_of_its_trades(live):
    """Complete, and no message says at what price: the trades do, each counted once."""

    def silent(middle, asked):
        """The order book without prices and with nothing but this order's end."""
        status, kind, body = middle.forward(asked)
        if asked.path.split("?")[0] != "/orders":
            return status, kind, body
        rows = json.loads(body)
        for row in rows["data"]:
            row["average_price"] = 0
        return status, kind, rows

    fault = {"kind": "order_update_lost", "times": None}
    live.middle.on("GET", *[silent] * 12)
    ran = live.run(
        [*LONG[:4], UP, *LONG[:6]], {2: buy(size=3, exectype=LIMIT, price=99.0)}, settings={"faults": [fault]}
    )
    assert any(one.path.split("?")[0].endswith("/trades") for one in live.middle.asked)
    assert ran.story() == DONE
    assert ran.prices() == [99.0]


def test_a_status_that_nobody_knows_ends_nothing(live):
    def say(s):
        order = s.broker.orders[s.given[0].ref]
        s.data._store.inbox.put(
            OrderUpdate(
                order_id=order.info.order_id, status="VALIDATION LATER", exchange="NSE", tradingsymbol="TEST",
                transaction_type="BUY", quantity=3, tag=order.info.tag,
            )
        )  # fmt: skip

    ran = live.run([*LONG[:5], UP, *LONG[:2]], {2: buy(size=3, exectype=LIMIT, price=99.0), 3: say})
    assert ran.story() == DONE
