"""What the stream does not tell is found by looking: the order book while an order works, trades for a price."""

from __future__ import annotations

import json
from typing import Any

import pytest

from btkite.brokers.doubt import LOOKS
from btkite.kite.inbox import Answer
from btkite.values import OrderUpdate
from tests.brokers.scene import CALM, UP, Order, buy
from tests.brokers.wire import JSON, kept, passes, release

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


def fails(times: int, path: str) -> Any:
    """Reading ``path`` fails so often; and no book that is read has a price."""
    left = [times]

    def rule(middle: Any, asked: Any) -> Any:
        if asked.path.split("?")[0].endswith(path) and left[0]:
            left[0] -= 1
            return 400, JSON, {"status": "error", "error_type": "GeneralException", "message": "down"}
        status, kind, body = middle.forward(asked)
        if path != "/trades" or asked.path.split("?")[0] != "/orders":
            return status, kind, body
        rows = json.loads(body)
        for row in rows["data"]:
            row["average_price"] = 0
        return status, kind, rows

    return rule


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("path", ["/orders", "/trades"])
def test_a_reading_that_failed_is_made_again(live, path, times):
    fault = {"kind": "order_update_lost", "times": None}

    def give(s: Any) -> Any:
        live.middle.on("GET", *[fails(times, path)] * 90)
        return s.buy(size=3, exectype=LIMIT, price=99.0)

    ran = live.run([*LONG[:6], UP, *LONG[:9]], {2: give}, settings={"faults": [fault]})
    name = path.removeprefix("/")
    assert sum(news.startswith(f"reading {name} failed") for news in ran.news) == times
    assert ran.story() == DONE
    assert ran.position.size == live.held() == 3
    assert ran.prices() == [99.0]


def test_a_failed_reading_of_one_orders_trades_keeps_no_others_from_being_read(live):
    fault = {"kind": "order_update_lost", "times": None}
    live.middle.on("GET", *[fails(1, "/trades")] * 120)
    plan = {2: buy(size=3, exectype=LIMIT, price=99.0), 8: buy(size=2, exectype=LIMIT, price=99.0)}
    ran = live.run([*LONG[:4], UP, *LONG[:4], UP, *LONG[:6]], plan, settings={"faults": [fault]})
    assert [ran.story(number) for number in (0, 1)] == [DONE, DONE]
    assert ran.position.size == live.held() == 5


class Slow:
    """Answers with the order book are on their way until they are let through, oldest first."""

    def __init__(self, strategy: Any) -> None:
        self.inbox, self.began = strategy.broker.store.inbox, strategy.broker.now
        self.waiting: list[Answer] = []
        self._put = self.inbox.put
        self.inbox.put = self._keep

    def _keep(self, event: Any) -> None:
        if isinstance(event, Answer) and event.kind == "orders" and isinstance(event.subject, tuple):
            self.waiting.append(event)
        else:
            self._put(event)

    def ages(self) -> list[int]:
        """Seconds after the doubt began at which each was asked for."""
        return [answer.subject[0] - self.began for answer in self.waiting]

    def through(self, until: int) -> None:
        """Those that were asked for so many seconds after the doubt began, or before."""
        for answer, age in zip(list(self.waiting), self.ages(), strict=True):
            if age <= until:
                self.waiting.remove(answer)
                self._put(answer)

    def over(self) -> None:
        self.through(10_000)
        self.inbox.put = self._put


@pytest.mark.parametrize("exit", [False, True], ids=["entry", "exit"])
def test_a_book_asked_for_within_the_window_decides_nothing_however_late_it_is_read(live, exit):
    """The order arrives a minute late. What is read after the window was asked for before that, and shows nothing."""
    live.middle.on("POST", *([passes] if exit else []), kept)
    slow: list[Slow] = []

    def give(s: Any) -> Any:
        slow.append(Slow(s))
        live.exchange.steer.arm("order_update_lost", times=None)
        return s.sell(size=5, exectype=LIMIT, price=110.0) if exit else s.buy(size=5, exectype=LIMIT, price=90.0)

    def old_ones(s: Any) -> None:
        assert s.broker.now - slow[0].began > LOOKS[-1]
        assert len([age for age in slow[0].ages() if age < 60]) >= 7
        slow[0].through(45)

    plan = {5: give, 6: lambda s: release(live.middle) and None, 7: old_ones, 8: lambda s: slow[0].over()}
    if exit:
        plan[2] = buy(size=5)
    ran = live.run(LONG, plan)
    (row,) = [row for row in live.book() if row["status"] == "OPEN"]
    order = ran.given[-1]
    assert ran.story(len(ran.given) - 1) == ["Submitted", "Accepted"]
    assert order.alive()
    assert order.info.order_id == row["order_id"]
    assert len(live.middle.calls("POST")) == 1 + exit
    assert not [news for news in ran.news if "unresolved" in news or "anew" in news or "given up" in news]
