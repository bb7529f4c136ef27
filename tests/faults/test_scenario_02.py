"""Scenario 2: Kite's answer to a placement is lost, after the order was accepted or before. The exchange's book and
request log are the judges: an order that arrived is there once, an entry that did not is given up, an exit that did
not is sent anew under its tag; and nothing is sent twice before the book was asked for the first."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from btkite.brokers.doubt import LOOKS
from btkite.clock import to_ist
from btkite.engine import Cerebro
from btkite.linetime import from_seconds
from btkite.testing import KiteExchange
from tests.faults.scene import SYMBOL, Order, Scripted, held

TIMEOUT = 0.3  # real seconds that the client waits
WITHHELD = {"seconds": 0.6}
ON_THE_WAY = ("server_error", "html_502", "unavailable_503", "gateway_timeout")
AFTER: dict[str, dict[str, Any]] = {
    "reply_withheld_after": WITHHELD,
    "slow_reply": WITHHELD,
    "connection_dropped_after": {},
    "timed_out_after_accept": {},
    "malformed_json": {},
    "missing_content_type": {},
    **{kind: {"accepted": True} for kind in ON_THE_WAY},
}
BEFORE: dict[str, dict[str, Any]] = {
    "reply_withheld_before": WITHHELD,
    "connection_dropped_before": {},
    "missing_error_type": {},
    **{kind: {} for kind in ON_THE_WAY},
}
NO = {"too_many_requests": {}, "ip_refused": {}, "needs_authorisation": {}, "oms_maintenance": {}}
"""Kite's own refusals: there is no such order, and nothing to look for."""
SILENT = [{"kind": "order_update_lost", "times": None}]
"""No update of any order comes: then only the book tells."""
SIZE = 10
WINDOW = timedelta(seconds=LOOKS[-1])
TOLD_ONCE = ["Submitted", "Accepted", "Completed"]


class Once(Scripted):
    """Scripted, and it keeps what the store says."""

    def __init__(self) -> None:
        super().__init__()
        self.news: list[str] = []
        self.ends: dict[int, datetime] = {}

    def notify_store(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.news.append(" ".join(map(str, (msg, *args))))
        if "is uncertain" in self.news[-1]:
            self.p.step.in_doubt(self)

    def notify_order(self, order: Any) -> None:
        super().notify_order(order)
        if not order.alive():
            self.ends[order.ref] = from_seconds(self.broker.now)

    def statuses(self, order: Any) -> list[str]:
        return [status for ref, status in self.told if ref == order.ref]


class Day:
    """In at the second bar; out at the sixth, or as ``out`` does it. ``in_doubt``: what is done when the exit is
    uncertain."""

    def __init__(self, out: Any = None, in_doubt: Any = None) -> None:
        self.entry: Any = None
        self.exit: Any = None
        self.denied: list[Any] = []
        self.alerts: list[tuple[str, str]] = []
        self._out = out or (lambda strategy: strategy.close())
        self._in_doubt = in_doubt

    def in_doubt(self, strategy: Any) -> None:
        if self._in_doubt is not None and self.exit is not None:
            self._in_doubt(strategy, self.exit)

    def __call__(self, strategy: Any) -> None:
        if strategy.bars == 2:
            self.entry = strategy.buy(size=SIZE)
        elif strategy.bars == 3 and strategy.broker.unresolved():
            self.denied = [strategy.buy(size=1), strategy.sell(size=1)]
        elif strategy.bars == 6 and strategy.position:
            self.exit = self._out(strategy)


def run(exchange: KiteExchange, day: Day, side: str, kind: str, args: Any, **more: Any) -> Any:
    times = more.pop("times", 1)
    others = more.pop("others", [])
    match = {"method": "POST", "path": "/orders/*", "fields": {"transaction_type": side}}
    fault = {"kind": kind, "match": match, "args": args, "times": times}
    exchange.reset([100.0] * 16, faults=[fault, *others])
    store = exchange.store("live", config=exchange.config(**{"broker.kite_connect.timeout": TIMEOUT, **more}))
    engine = Cerebro(stdstats=False)
    engine.adddata(store.getdata(SYMBOL, interval="minute"), name=SYMBOL)
    engine.setbroker(store.getbroker())
    engine.broker.on_alert = lambda level, sentence, key: day.alerts.append((level, sentence))
    engine.addstrategy(Once, step=day)
    ran = engine.run()[0]
    assert exchange.steer.fired(kind) == times
    return ran


def posts(exchange: KiteExchange, side: str) -> list[dict[str, Any]]:
    rows = [row for row in exchange.requests() if row["method"] == "POST" and row["path"].startswith("/orders")]
    return [row for row in rows if row["form"]["transaction_type"] == side]


def looks(exchange: KiteExchange, since: dict[str, Any]) -> list[dict[str, Any]]:
    """When the book was asked for, after a request."""
    rows = [row for row in exchange.requests() if (row["method"], row["path"]) == ("GET", "/orders")]
    return [row for row in rows if row["seq"] > since["seq"]]


def when(row: dict[str, Any]) -> datetime:
    return to_ist(datetime.fromisoformat(row["time"]))


def book(exchange: KiteExchange, side: str) -> list[dict[str, Any]]:
    return [row for row in exchange.orders() if row["transaction_type"] == side]


@pytest.mark.parametrize("stream", ["told", "silent"])
@pytest.mark.parametrize("kind", AFTER)
def test_an_accepted_entry_is_there_once_and_is_found(kite_exchange, kind, stream):
    day = Day()
    ran = run(kite_exchange, day, "BUY", kind, AFTER[kind], others=SILENT if stream == "silent" else [])
    (row,), (post,) = book(kite_exchange, "BUY"), posts(kite_exchange, "BUY")
    assert (row["tag"], row["status"], row["filled_quantity"]) == (post["form"]["tag"], "COMPLETE", SIZE)
    assert ran.statuses(day.entry) == TOLD_ONCE
    assert day.entry.info.order_id == row["order_id"]
    assert (day.entry.executed.size, day.entry.executed.price) == (SIZE, row["average_price"])
    assert not [sentence for level, sentence in day.alerts]
    if stream == "silent":
        assert looks(kite_exchange, post)
    assert ran.statuses(day.exit) == TOLD_ONCE
    assert held(kite_exchange) == ran.position.size == 0
    assert len(ran.trades) == 1


@pytest.mark.parametrize("kind", BEFORE)
def test_an_entry_that_never_arrived_is_given_up_with_an_alert(kite_exchange, kind):
    day = Day()
    ran = run(kite_exchange, day, "BUY", kind, BEFORE[kind])
    (post,) = posts(kite_exchange, "BUY")
    assert kite_exchange.orders() == []
    assert ran.statuses(day.entry) == ["Submitted", "Rejected"]
    assert str(day.entry.info.reason).startswith("unresolved")
    ((level, sentence),) = day.alerts
    assert level == "warning"
    assert f"order {day.entry.ref} is unresolved and given up" in sentence
    assert sentence in ran.news
    waited = ran.ends[day.entry.ref] - when(post)
    assert WINDOW <= waited <= WINDOW + timedelta(seconds=1), waited
    asked = [look for look in looks(kite_exchange, post) if when(look) <= ran.ends[day.entry.ref]]
    assert len(asked) >= len(LOOKS)
    denials = [str(order.info.denied) for order in day.denied]
    assert len(denials) == 2  # neither more of it, nor a sale short
    assert all(f"Kite has not answered order {day.entry.ref}" in denial for denial in denials), denials
    assert ran.position.size == held(kite_exchange) == 0


@pytest.mark.parametrize("kind", BEFORE)
def test_an_exit_that_never_arrived_is_sent_anew_under_its_tag(kite_exchange, kind):
    day = Day()
    ran = run(kite_exchange, day, "SELL", kind, BEFORE[kind])
    first, second = posts(kite_exchange, "SELL")
    (row,) = book(kite_exchange, "SELL")
    assert first["form"]["tag"] == second["form"]["tag"] == row["tag"]
    assert when(second) - when(first) >= WINDOW
    asked = [look for look in looks(kite_exchange, first) if look["seq"] < second["seq"]]
    assert when(asked[-1]) - when(first) >= WINDOW
    between = {
        row["path"] for row in kite_exchange.requests() if first["seq"] < row["seq"] < second["seq"]
    }  # the last look is at the whole account
    assert {"/portfolio/positions", "/portfolio/holdings"} <= between
    assert ran.statuses(day.exit) == TOLD_ONCE
    assert any("sent anew" in sentence for _, sentence in day.alerts)
    assert ran.position.size == held(kite_exchange) == 0
    assert len(ran.trades) == 1


@pytest.mark.parametrize("stream", ["told", "silent"])
@pytest.mark.parametrize("kind", AFTER)
def test_an_accepted_exit_is_there_once_and_never_sent_again(kite_exchange, kind, stream):
    day = Day()
    ran = run(kite_exchange, day, "SELL", kind, AFTER[kind], others=SILENT if stream == "silent" else [])
    (row,), (post,) = book(kite_exchange, "SELL"), posts(kite_exchange, "SELL")
    assert (row["tag"], row["filled_quantity"]) == (post["form"]["tag"], SIZE)
    assert ran.statuses(day.exit) == TOLD_ONCE
    assert ran.position.size == held(kite_exchange) == 0
    assert day.alerts == []


@pytest.mark.parametrize("kind", NO)
def test_a_clear_no_is_neither_looked_up_nor_sent_again(kite_exchange, kind):
    day = Day()
    ran = run(kite_exchange, day, "BUY", kind, NO[kind])
    assert len(posts(kite_exchange, "BUY")) == 1
    assert ran.statuses(day.entry) == ["Submitted", "Rejected"]
    assert not str(day.entry.info.reason).startswith("unresolved")
    assert not any("uncertain" in text for text in ran.news)
    assert kite_exchange.orders() == []


def test_an_exit_that_gets_lost_three_times_is_still_sent_and_sells_once(kite_exchange):
    day = Day()
    ran = run(kite_exchange, day, "SELL", "connection_dropped_before", {}, times=3)
    sent = posts(kite_exchange, "SELL")
    assert len(sent) == 4
    assert len({row["form"]["tag"] for row in sent}) == 1
    gaps = [when(later) - when(first) for first, later in pairwise(sent)]
    assert min(gaps) >= WINDOW
    assert len(book(kite_exchange, "SELL")) == 1
    assert ran.position.size == held(kite_exchange) == 0


def test_a_book_that_lags_behind_does_not_make_a_second_exit(kite_exchange):
    """The order is there, the stream is silent, and the book shows it only a minute later."""
    stale = {"kind": "stale_orders", "times": None, "args": {"seconds": 60}}
    day = Day()
    ran = run(kite_exchange, day, "SELL", "connection_dropped_after", {}, others=[*SILENT, stale])
    assert len(posts(kite_exchange, "SELL")) == 1
    assert ran.statuses(day.exit) == TOLD_ONCE
    assert ran.position.size == held(kite_exchange) == 0


@pytest.mark.parametrize("kind", ["connection_dropped_before", "connection_dropped_after"])
def test_a_resting_exit_is_looked_for_too(kite_exchange, kind):
    """A stop that rests says nothing on Kite's stream: it is found in the book, or sent anew."""
    day = Day(lambda strategy: strategy.sell(size=SIZE, exectype=Order.Stop, price=98.0))
    ran = run(kite_exchange, day, "SELL", kind, {})
    (row,) = book(kite_exchange, "SELL")
    assert (row["order_type"], row["quantity"], row["trigger_price"]) == ("SL-M", SIZE, 98.0)
    assert len({post["form"]["tag"] for post in posts(kite_exchange, "SELL")}) == 1
    assert ran.statuses(day.exit)[:2] == ["Submitted", "Accepted"]
    assert ran.position.size == held(kite_exchange) == SIZE


@pytest.mark.parametrize("kind", ["connection_dropped_before", "connection_dropped_after"])
def test_an_order_whose_answer_is_lost_can_be_cancelled_meanwhile(kite_exchange, kind):
    """The cancel waits for its id; what never arrived needs none, and is not sent anew."""
    day = Day(
        lambda strategy: strategy.sell(size=SIZE, exectype=Order.Limit, price=120.0),
        in_doubt=lambda strategy, order: strategy.cancel(order),
    )
    ran = run(kite_exchange, day, "SELL", kind, {}, others=SILENT)
    assert len(posts(kite_exchange, "SELL")) == 1
    came = kind.endswith("after")
    assert [row["status"] for row in book(kite_exchange, "SELL")] == ["CANCELLED"] * came
    assert ran.statuses(day.exit)[-1] == ("Canceled" if came else "Rejected")
    assert ran.position.size == held(kite_exchange) == SIZE
