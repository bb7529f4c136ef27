"""``cancel(stop); close()`` in one breath, live: the close waits for the stop's end, passes where only exits may pass,
and is never larger than what is left. The judge is the exchange's book."""

from __future__ import annotations

from typing import Any

import pytest

from tests.brokers.scene import CALM, Order, buy, sell
from tests.brokers.wire import Live, says

STOP, LIMIT = Order.Stop, Order.Limit
LONG = [CALM] * 10


def leaves(s: Any) -> Any:
    s.cancel(s.given[1])
    return s.close()


def book(live: Live) -> list[tuple[str, int, str]]:
    return [(row["transaction_type"], row["quantity"], row["status"]) for row in live.book()]


@pytest.mark.parametrize(("enter", "exit"), [(buy, sell), (sell, buy)], ids=["long", "short"])
def test_it_passes_while_nothing_may_be_opened(live: Live, enter: Any, exit: Any) -> None:
    def paused(s: Any) -> Any:
        s.broker.gate.pause("test", "nothing is to be opened")
        return leaves(s)

    stop = exit(size=5, exectype=STOP, price=90.0 if enter is buy else 110.0)
    ran = live.run(LONG, {2: enter(size=5), 3: stop, 5: paused})
    assert [ran.story(n)[-1] for n in range(3)] == ["Completed", "Canceled", "Completed"]
    assert [row[1:] for row in book(live)] == [(5, "COMPLETE"), (5, "CANCELLED"), (5, "COMPLETE")]
    assert live.held() == ran.position.size == 0


def test_a_larger_one_is_still_denied(live: Live) -> None:
    def paused(s: Any) -> Any:
        s.broker.gate.pause("test", "nothing is to be opened")
        s.cancel(s.given[1])
        return s.sell(size=6)

    ran = live.run(LONG, {2: buy(size=5), 3: sell(size=5, exectype=STOP, price=90.0), 5: paused})
    assert ran.given[2].info.denied
    assert live.held() == 5


def test_it_is_not_sent_if_the_stop_has_closed_the_position_meanwhile(live: Live) -> None:
    def fills_first(middle: Any, asked: Any) -> Any:
        middle.control("market", exchange="NSE", tradingsymbol="TEST", last_price=89.0)
        return middle.forward(asked)

    live.middle.on("DELETE", fills_first)
    ran = live.run(LONG, {2: buy(size=5), 3: sell(size=5, exectype=STOP, price=90.0), 5: leaves})
    assert book(live) == [("BUY", 5, "COMPLETE"), ("SELL", 5, "COMPLETE")]
    assert ran.story(2)[-1] == "Canceled"
    assert "was closed by the order that it waited for" in ran.given[2].info.reason
    assert live.held() == ran.position.size == 0


def test_it_closes_what_a_partial_fill_has_left(live: Live) -> None:
    def partly(s: Any) -> Any:
        closing = leaves(s)
        says(s, 2, "CANCELLED", order=s.given[1], average_price=101.0, cancelled_quantity=3)
        return closing

    plan = {2: buy(size=5), 3: sell(size=5, exectype=LIMIT, price=101.0), 5: partly}
    ran = live.run(LONG, plan, **{"broker.reconcile": 3600})  # the exchange itself has traded none of the two
    assert book(live) == [("BUY", 5, "COMPLETE"), ("SELL", 5, "CANCELLED"), ("SELL", 3, "COMPLETE")]
    assert ran.position.size == 0


def test_two_stops_that_leave_are_both_waited_for(live: Live) -> None:
    def all_out(s: Any) -> Any:
        s.cancel(s.given[1])
        s.cancel(s.given[2])
        return s.close()

    half = [sell(size=n, exectype=STOP, price=90.0 - n) for n in (2, 3)]
    ran = live.run(LONG, {2: buy(size=5), 3: half[0], 4: half[1], 6: all_out})
    posted = [(asked.method, asked.form.get("quantity")) for asked in live.middle.calls()][-3:]
    assert posted == [("DELETE", None), ("DELETE", None), ("POST", "5")]
    assert ran.story(3)[-1] == "Completed"
    assert live.held() == ran.position.size == 0
