"""Our book against the account's: nothing leaves before they agree, and what no order explains is found.

The exchange's book is the judge."""

from __future__ import annotations

import json
import threading
from datetime import datetime, timedelta
from typing import Any

import pytest

from btkite.brokers.record import Record
from btkite.brokers.truth import Asked, Reading
from btkite.clock import ManualClock
from btkite.journal import Journal
from btkite.kite.inbox import Link, LinkChange
from tests.brokers.scene import CALM, Order, buy, sell
from tests.brokers.wire import Told, done_but, filled_before, kept, lost, passes, release

LIMIT, STOP = Order.Limit, Order.Stop
DONE = ["Submitted", "Accepted", "Completed"]
LONG = [CALM] * 14
HOURS = [CALM] * 7
DOWN_FOR_NOW = (400, "application/json", {"status": "error", "error_type": "GeneralException", "message": "down"})
READS = {"/orders", "/trades", "/portfolio/positions", "/portfolio/holdings"}
STOPS = {"broker.foreign": "adopt"}


class Restored(Told):
    """Notes what came back, and may act on it."""

    params = (("then", None),)

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[Any] = []
        self.held: dict[str, Any] = {}

    def restored(self, orders: Any, positions: Any) -> None:
        self.kept, self.held = orders, positions


def life(live: Any, tmp_path: Any, rows: Any, plan: Any, *, strategy: Any = Told, **more: Any) -> Any:
    """One process: the strategy with the account's journal. The next one goes on where the market is."""
    with Journal(tmp_path / "journal.sqlite", ManualClock(datetime(2026, 11, 18, 9, 15))) as journal:
        return live.run(rows, plan, record=Record(journal), strategy=strategy, **more)


def end(s: Any) -> None:
    s.env.runstop()


def events(tmp_path: Any, kind: str) -> list[dict[str, Any]]:
    with Journal(tmp_path / "journal.sqlite", ManualClock(datetime(2026, 11, 18, 9, 15))) as journal:
        return [event.data for event in journal.events(kind)]


# ---- before anything is sent ----


def test_the_account_is_read_before_the_first_order_leaves(live):
    live.run(LONG[:5], {2: buy(size=1)})
    paths = [one.path.split("?")[0] for one in live.middle.asked]
    first = next(n for n, one in enumerate(live.middle.asked) if one.method == "POST")
    assert set(paths[:first]) >= READS


def test_an_order_that_is_given_before_waits_and_leaves_when_the_books_agree(live, tmp_path):
    """The account cannot be read for a while; an exit given in ``restored`` waits for it, and a feed is not live."""
    life(live, tmp_path, LONG, {2: buy(size=5), 4: end})
    states: list[bool] = []

    class Eager(Restored):
        def restored(self, orders: Any, positions: Any) -> None:
            self.order = self.broker.orders and None

        def notify_data(self, data: Any, status: int, *args: Any, **kwargs: Any) -> None:
            if status == data.LIVE:
                states.append(self.broker.ready)

    live.middle.on("GET", lost(DOWN_FOR_NOW), lost(DOWN_FOR_NOW), lost(DOWN_FOR_NOW))
    ran = life(live, tmp_path, None, {2: sell(size=5)}, strategy=Eager)
    assert states == [True]
    assert any("reading the account failed" in news for news in ran.news)
    assert live.held() == ran.position.size == 0


class Died(Exception):
    """The process is no more."""


class Dies(Record):
    """A process that ends between the intent and the sending."""

    def intent(self, *args: Any) -> None:
        super().intent(*args)
        raise Died


def test_an_intent_that_never_left_is_sent_after_a_restart_and_not_before_the_books_agree(live, tmp_path):
    clock = ManualClock(datetime(2026, 11, 18, 9, 15))
    with Journal(tmp_path / "journal.sqlite", clock) as journal, pytest.raises(Died):
        live.run(LONG, {2: buy(size=5)}, record=Dies(journal))
    assert live.book() == []
    live.middle.asked.clear()
    ran = life(live, tmp_path, None, {}, strategy=Restored)
    paths = [one.path.split("?")[0] for one in live.middle.asked]
    (post,) = [n for n, one in enumerate(live.middle.asked) if one.method == "POST"]
    assert set(paths[:post]) >= READS
    assert [(row["quantity"], row["status"]) for row in live.book()] == [(5, "COMPLETE")]
    assert ran.position.size == live.held() == 5


def test_an_order_that_was_being_sent_is_looked_up_and_not_sent_again(live, tmp_path):
    """The answer was lost with the process."""
    live.middle.on("POST", done_but(None))
    life(live, tmp_path, LONG, {2: lambda s: [s.buy(size=5, exectype=LIMIT, price=90.0), end(s)][:1]})
    ran = life(live, tmp_path, None, {}, strategy=Restored)
    assert len(live.middle.calls("POST")) == 1
    (order,) = ran.kept
    assert order.info.order_id == live.book()[0]["order_id"]


# ---- a restart ----


def test_what_filled_and_what_ended_meanwhile_is_told_once(live, tmp_path):
    plan = {
        2: lambda s: [s.buy(size=4, exectype=LIMIT, price=97.0), s.buy(size=2, exectype=LIMIT, price=90.0)],
        4: end,
    }
    before = life(live, tmp_path, LONG, plan)
    steer = live.exchange.steer
    steer.put_price("NSE:TEST", 97.0)
    steer.cancel(live.book()[1]["order_id"])
    steer.put_price("NSE:TEST", 100.0)
    after = life(live, tmp_path, None, {3: end}, strategy=Restored)
    story = {ref: [status for one, status, _ in after.told if one == ref] for ref in (o.ref for o in before.given)}
    assert [story[order.ref][-1] for order in before.given] == ["Completed", "Canceled"]
    assert [sum(status in ("Completed", "Canceled") for status in one) for one in story.values()] == [1, 1]
    assert [(size, price) for _, size, price, _ in after.fills] == [(4, 97.0)]
    row = next(row for row in live.exchange.positions() if row["quantity"])
    assert (after.position.size, after.position.price) == (row["quantity"], row["average_price"]) == (4, 97.0)
    again = life(live, tmp_path, None, {}, strategy=Restored)
    assert {status for ref, status, _ in again.told if ref in story} == set()
    assert again.position.size == 4


def test_the_trade_that_closes_a_restored_position_is_right(live, tmp_path):
    life(live, tmp_path, LONG, {2: buy(size=4), 4: end})
    live.exchange.steer.put_price("NSE:TEST", 100.0)
    after = life(live, tmp_path, None, {2: lambda s: s.close()}, strategy=Restored)
    (trade,) = after.trades
    assert (trade.pnl, after.position.size, live.held()) == (0.0, 0, 0)
    assert after.broker.ledger.positions() == {}


def test_a_cancel_that_was_wished_for_and_not_sent_is_sent(live, tmp_path):
    plan = {2: buy(size=3, exectype=LIMIT, price=90.0), 4: lambda s: [s.cancel(s.given[0]), end(s)] and None}
    live.middle.on("DELETE", lost(None))
    life(live, tmp_path, LONG, plan)
    assert [row["status"] for row in live.book()] == ["OPEN"]
    after = life(live, tmp_path, None, {}, strategy=Restored)
    assert [row["status"] for row in live.book()] == ["CANCELLED"]
    assert after.kept[0].getstatusname() == "Canceled"


def test_a_given_up_order_that_surfaces_after_a_restart_is_ours(live, tmp_path):
    """Nobody knows its ref any more; its tag says whose it is: what it fills counts."""
    live.middle.on("POST", kept)
    life(live, tmp_path, LONG, {2: buy(size=3), 6: end})
    release(live.middle)
    live.exchange.steer.put_price("NSE:TEST", 100.0)
    after = life(live, tmp_path, None, {3: buy(size=1)}, strategy=Restored)
    assert after.position.size == live.held() == 4
    assert after.broker.ledger.latched is None  # it is nobody else's
    assert [one["policy"] for one in events(tmp_path, "foreign")] == ["ours"]


def test_a_given_up_order_that_rests_after_a_restart_is_cancelled(live, tmp_path):
    live.middle.on("POST", kept)
    life(live, tmp_path, LONG, {2: buy(size=3, exectype=LIMIT, price=90.0), 6: end})
    release(live.middle)
    life(live, tmp_path, None, {}, strategy=Restored)
    assert [row["status"] for row in live.book()] == ["CANCELLED"]


def test_orders_that_were_booked_before_a_restart_are_not_booked_again(live, tmp_path):
    life(live, tmp_path, LONG, {2: buy(size=4), 4: sell(size=1), 6: end})
    after = life(live, tmp_path, None, {}, strategy=Restored)
    assert after.position.size == live.held() == 3
    assert events(tmp_path, "foreign") == []
    assert after.broker.ledger.latched is None


# ---- what orders cannot explain ----


def test_what_no_order_explains_follows_the_policy_and_is_said_once(live, tmp_path):
    """The book shows a position that came from nowhere (a transfer, an order that fell out of Kite's book)."""

    def hides(middle: Any, asked: Any) -> Any:
        status, kind, body = middle.forward(asked)
        if asked.path.split("?")[0] != "/orders":
            return status, kind, body
        rows = json.loads(body)
        rows["data"] = [row for row in rows["data"] if row["tag"]]
        return status, kind, rows

    life(live, tmp_path, LONG, {2: buy(size=2), 4: end}, **STOPS)
    live.exchange.steer.place("NSE:TEST", "BUY", 5)
    live.exchange.steer.put_price("NSE:TEST", 100.0)
    live.middle.on("GET", *[hides] * 40)
    after = life(live, tmp_path, None, {}, strategy=Restored, **STOPS)
    assert after.position.size == live.held() == 7
    (event,) = events(tmp_path, "foreign")
    assert (event["quantity"], event["order_id"]) == (5, "")
    assert len([news for news in after.news if "no order explains it" in news]) == 1


@pytest.mark.parametrize("last_bar", [2, 4], ids=["its answer was not heard", "it was known"])
def test_an_order_of_yesterday_that_filled_while_we_were_down_is_found_in_the_holdings(live, tmp_path, last_bar):
    delivery = {"broker.default_product": "CNC", "broker.foreign": "adopt"}

    def give(s: Any) -> Any:
        order = s.buy(size=4, exectype=LIMIT, price=97.0)
        if last_bar == 2:
            end(s)
        return order

    before = life(live, tmp_path, HOURS + HOURS, {2: give, 4: end}, interval="60minute", **delivery)
    steer = live.exchange.steer
    steer.put_price("NSE:TEST", 97.0)
    steer.next_day()
    assert live.book() == []
    after = life(live, tmp_path, None, {4: lambda s: s.close()}, strategy=Restored, interval="60minute", **delivery)
    mine = [status for ref, status, _ in after.told if ref == before.given[0].ref]
    assert mine[-1] == "Completed"
    assert [(size, price) for ref, size, price, _ in after.fills if ref == before.given[0].ref] == [(4, 97.0)]
    assert after.position.size == 0  # and it could be sold
    assert after.broker.ledger.latched is None


def test_yesterdays_shares_are_found_in_the_holdings(live, tmp_path):
    delivery = {"broker.default_product": "CNC"}
    life(
        live, tmp_path, HOURS + HOURS, {2: lambda s: [s.buy(size=4), None][:1], 4: end}, interval="60minute", **delivery
    )
    live.exchange.steer.next_day()
    plan = {2: lambda s: s.sell(size=4)}
    after = life(live, tmp_path, None, plan, strategy=Restored, interval="60minute", **delivery)
    assert after.story(0) == DONE
    assert after.broker.ledger.latched is None
    assert events(tmp_path, "foreign") == []


@pytest.mark.parametrize("fault", [lost(DOWN_FOR_NOW), passes], ids=["fails", "passes"])
def test_the_account_is_read_again_after_a_reconnect(live, fault):
    """What happened while the stream was away is not repeated."""

    def cut(s: Any) -> None:
        live.exchange.steer.arm("socket_cut")

    plan = {2: buy(size=3, exectype=LIMIT, price=90.0), 4: cut}
    live.run(LONG, plan)
    asked = [one.path.split("?")[0] for one in live.middle.asked]
    assert asked.count("/portfolio/positions") >= 2


def test_an_exit_of_yesterday_that_sold_while_we_were_down_is_found_in_the_holdings(live, tmp_path):
    delivery = {"broker.default_product": "CNC", "broker.foreign": "adopt"}

    def give(s: Any) -> Any:
        order = s.sell(size=3, exectype=LIMIT, price=103.0)
        s.keep(order)
        end(s)

    before = life(live, tmp_path, HOURS + HOURS, {2: buy(size=5), 4: give}, interval="60minute", **delivery)
    live.exchange.steer.put_price("NSE:TEST", 103.0)
    live.exchange.steer.next_day()
    assert live.book() == []
    after = life(live, tmp_path, None, {4: lambda s: s.close()}, strategy=Restored, interval="60minute", **delivery)
    sale = before.given[1].ref
    assert [status for ref, status, _ in after.told if ref == sale][-1] == "Completed"
    assert [(size, price) for ref, size, price, _ in after.fills if ref == sale] == [(-3, 103.0)]
    assert [fill[1] for fill in after.fills if fill[0] == after.given[0].ref] == [-2]
    assert after.position.size == 0
    assert events(tmp_path, "foreign") == []


def test_what_has_traded_before_its_deadline_is_complete_after_a_restart_beyond_it(live, tmp_path):
    give = buy(size=5, exectype=LIMIT, price=97.0, valid=timedelta(minutes=3))
    before = life(live, tmp_path, LONG, {2: give, 4: end})
    live.exchange.steer.put_price("NSE:TEST", 97.0)
    live.exchange.steer.advance(300)
    after = life(live, tmp_path, None, {}, strategy=Restored)
    assert live.middle.calls("DELETE") == []
    assert [status for ref, status, _ in after.told if ref == before.given[0].ref][-1] == "Completed"
    assert after.position.size == live.held() == 5


# ---- books that lag behind ----


def test_a_sale_right_before_a_restart_that_positions_do_not_show_yet_is_nobody_elses(live, tmp_path):
    """Positions are 80 s old: after the restart they show what the run before has sold."""
    lag = {"kind": "stale_positions", "times": None, "args": {"seconds": 80.0}}
    plan = {2: buy(size=5), 5: sell(size=5), 6: end}
    before = life(live, tmp_path, LONG, plan, settings={"faults": [lag]}, **STOPS)
    assert before.position.size == live.held() == 0
    after = life(live, tmp_path, None, {}, strategy=Restored, **STOPS)
    assert events(tmp_path, "foreign") == []
    assert after.position.size == live.held() == 0
    assert len([trade for trade in after.trades if trade.isclosed]) == 0


def test_what_a_placement_has_traded_before_it_is_answered_is_nobody_elses(live):
    """Positions show it, the order book lags behind, and Kite's answer is still on its way."""
    answer = threading.Event()
    live.middle.on("POST", filled_before(answer.is_set))

    def in_between(s: Any) -> Any:
        order = s.buy(size=5)
        s.broker.store.desk.send_off()
        while live.held() != 5:
            threading.Event().wait(0.005)
        reading = Reading((), s.broker.store.client.positions(), (), ())
        for _ in range(3):
            s.broker._take_reading(Asked(s.broker.now, s.broker._asks, s.broker._moves), reading)
        answer.set()
        return order

    ran = live.run(LONG, {3: in_between}, **STOPS)
    assert [news for news in ran.news if "from outside" in news] == []
    assert ran.story(0) == DONE
    assert ran.position.size == live.held() == 5


def test_a_connect_while_the_account_is_being_read_has_it_read_once_more_before_feeds_go_on(live):
    """What the reading under way has seen may be from before."""
    seen: list[Any] = []

    def readings() -> int:
        return sum(asked.path.startswith("/portfolio/positions") for asked in live.middle.asked)

    def connects_twice(s: Any) -> None:
        seen.append(readings())
        for _ in range(2):
            s.broker.take_link(LinkChange(Link.CONNECTED))
        seen.append(s.broker.in_step)

    def after(s: Any) -> None:
        seen.extend((readings(), s.broker.in_step))

    live.run(LONG, {4: connects_twice, 5: after})
    before, between, then, in_step = seen
    assert (then - before, between, in_step) == (2, False, True)
