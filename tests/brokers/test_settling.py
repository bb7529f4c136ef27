"""What an order is after a change of it has failed: Kite's newest word, whatever an older one says later.

The exchange's book is the judge; who is newer is decided in a function of two values."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from btkite.brokers.settling import _newest
from btkite.market.bands import Band
from btkite.orders.progress import Progress
from btkite.values import OrderUpdate
from tests.brokers.scene import CALM, Order, buy
from tests.brokers.wire import TIMED_OUT, done_but, lost, says

LIMIT = Order.Limit
LONG = [CALM] * 14
AT = datetime(2026, 11, 18, 10, 0, 5)
KNOWN = Progress(
    "X", status="TRIGGER PENDING", quantity=10, price=97.0, trigger_price=98.0, order_type="SL", exchange_time=AT
)
NO = (400, "application/json", {"status": "error", "error_type": "InputException", "message": "Try later."})
NOT_MADE = lost(NO)


def row(at: datetime | None, **more: Any) -> OrderUpdate:
    """Of a book: what the order was before it was moved."""
    was = {"status": "OPEN", "quantity": 6, "price": 95.0, "trigger_price": 94.0, "order_type": "LIMIT"}
    return OrderUpdate(
        order_id="X", exchange="NSE", tradingsymbol="TEST", transaction_type="SELL", exchange_time=at, **{**was, **more}
    )


def terms(update: OrderUpdate) -> tuple[Any, ...]:
    return update.status, update.quantity, update.price, update.trigger_price, update.order_type


@pytest.mark.parametrize("seconds", [1, 4, 3600, 86_400])
def test_what_is_older_than_what_is_known_does_not_take_it_back(seconds):
    late = _newest(row(AT - timedelta(seconds=seconds)), KNOWN)
    assert terms(late) == ("TRIGGER PENDING", 10, 97.0, 98.0, "SL")


@pytest.mark.parametrize("seconds", [0, 1, 86_400])
def test_what_is_as_new_or_newer_is_the_truth(seconds):
    update = row(AT + timedelta(seconds=seconds))
    assert _newest(update, KNOWN) is update


def test_without_a_time_on_either_side_the_update_is_the_truth():
    assert _newest(row(None), KNOWN) == row(None)
    assert _newest(row(AT), Progress("X", status="OPEN", quantity=10, price=1.0)) == row(AT)


def test_without_the_exchanges_time_kites_own_counts():
    old = row(None, order_time=AT - timedelta(seconds=1))
    assert terms(_newest(old, KNOWN))[2] == 97.0
    new = row(None, order_time=AT + timedelta(seconds=1))
    assert _newest(new, KNOWN) is new


def test_what_it_has_filled_is_not_a_term_and_stays():
    old = row(AT - timedelta(seconds=1), filled_quantity=4, average_price=95.0)
    late = _newest(old, KNOWN)
    assert (late.filled_quantity, late.average_price) == (4, 95.0)


CHANGES = {
    "price": ({"price": 91.0}, (10, 91.0)),
    "smaller": ({"size": 6}, (6, 90.0)),
    "larger": ({"size": 14}, (14, 90.0)),
    "both": ({"size": 12, "price": 89.0}, (12, 89.0)),
}


@pytest.mark.parametrize("answer", [None, TIMED_OUT], ids=["cut", "400 timed out"])
@pytest.mark.parametrize(("figures", "wanted"), CHANGES.values(), ids=list(CHANGES))
def test_a_change_that_the_stream_has_told_of_is_not_taken_back_by_a_book_that_lags(live, figures, wanted, answer):
    """Done, and its answer lost; the stream says so at once, and the book is what it was for minutes."""
    live.middle.on("PUT", done_but(answer))
    seen: list[Any] = []

    def change(s: Any) -> None:
        live.exchange.steer.arm("stale_orders", times=None, seconds=600)
        s.broker.modify(s.given[0], **figures)

    def look(s: Any) -> None:
        order = s.broker.orders[s.given[0].ref]
        seen.append((order.size, order.created.price))

    live.run(LONG, {2: buy(size=10, exectype=LIMIT, price=90.0), 4: change, 5: look, 7: look, 10: look})
    (kite,) = live.book()
    assert (kite["quantity"], kite["price"]) == wanted
    assert seen == [wanted] * 3


@pytest.mark.parametrize(("figures", "wanted"), CHANGES.values(), ids=list(CHANGES))
def test_a_change_that_only_a_later_book_shows_is_what_the_order_is(live, figures, wanted):
    """Done, and its answer lost; the stream is silent, and the first book is of before."""
    live.middle.on("PUT", done_but(None))
    seen: list[Any] = []

    def change(s: Any) -> None:
        steer = live.exchange.steer
        steer.arm("order_update_lost", channel="both", times=None)
        steer.arm("stale_orders", path="/orders", seconds=60, until=steer.now() + timedelta(seconds=30))
        s.broker.modify(s.given[0], **figures)

    def look(s: Any) -> None:
        order = s.broker.orders[s.given[0].ref]
        seen.append((order.size, order.created.price))

    live.run(LONG, {2: buy(size=10, exectype=LIMIT, price=90.0), 4: change, 5: look, 7: look})
    assert seen == [wanted, wanted]


@pytest.mark.parametrize(("figures", "wanted"), CHANGES.values(), ids=list(CHANGES))
@pytest.mark.parametrize("wire", [lost(NO), lost(None)], ids=["refused", "never arrived"])
def test_a_change_that_was_not_made_is_not_what_the_order_is(live, figures, wanted, wire):
    live.middle.on("PUT", wire)
    ran = live.run(
        LONG,
        {2: buy(size=10, exectype=LIMIT, price=90.0), 4: lambda s: s.broker.modify(s.given[0], **figures) and None},
    )
    (kite,) = live.book()
    order = ran.broker.orders[ran.given[0].ref]
    assert (order.size, order.created.price) == (kite["quantity"], kite["price"]) == (10, 90.0) != wanted
    assert ran.broker.ledger.worst_case("NSE:TEST") == (10, 0)


@pytest.mark.parametrize(("size", "long"), [(14, True), (6, True), (14, False), (6, False)])
def test_what_an_order_was_made_is_what_the_risk_rules_count(live, size, long):
    side = "buy" if long else "sell"
    seen: list[tuple[int, int]] = []
    plan = {
        2: lambda s: getattr(s, side)(size=10, exectype=LIMIT, price=90.0 if long else 110.0),
        4: lambda s: s.broker.modify(s.given[0], size=size) and seen.append(s.broker.ledger.worst_case("NSE:TEST")),
    }
    live.run(LONG[:6], plan)
    assert seen == [(size, 0) if long else (0, size)]


def test_an_order_is_not_made_as_small_as_what_it_has_filled(live):
    """Its end is asked for by a cancel."""
    asked: list[bool] = []
    plan = {
        2: buy(size=10, exectype=LIMIT, price=90.0),
        3: lambda s: live.exchange.steer.put_depth("NSE:TEST", sell=[(90.0, 4)]) and None,
        5: lambda s: asked.extend(s.broker.modify(s.given[0], size=size) for size in (4, 3)),
    }
    ran = live.run(LONG[:7], plan)
    assert asked == [False, False]
    assert live.middle.calls("PUT") == []
    assert (ran.given[0].size, ran.given[0].executed.remsize) == (10, 6)


def test_a_change_of_the_limit_alone_is_judged(live):
    """Of a stop: its trigger stays where it is, and its limit may not lie where Kite takes none."""

    def move(s: Any) -> None:
        s.broker.bands["NSE:TEST"] = Band(90.0, 110.0, s.broker.now)
        assert s.broker.modify(s.given[0], plimit=110.05) is False

    plan = {2: buy(size=10, exectype=Order.StopLimit, price=105.0, plimit=106.0), 4: move}
    ran = live.run(LONG[:6], plan)
    assert live.middle.calls("PUT") == []
    assert "a price of 110.05 lies outside" in ran.given[0].info.denied_change
    assert ran.given[0].created.pricelimit == 106.0


@pytest.mark.parametrize("wire", [done_but(None), NOT_MADE], ids=["made", "not made"])
def test_a_failed_change_of_what_has_filled_in_part(live, wire):
    """4 of 10 have traded; it is to be 8 in all."""
    live.middle.on("PUT", wire)
    plan = {
        2: buy(size=10, exectype=LIMIT, price=90.0),
        3: lambda s: live.exchange.steer.put_depth("NSE:TEST", sell=[(90.0, 4)]) and None,
        5: lambda s: s.broker.modify(s.given[0], size=8) and None,
    }
    ran = live.run(LONG, plan)
    (kite,) = live.book()
    order = ran.broker.orders[ran.given[0].ref]
    assert (order.size, order.executed.size, order.executed.remsize) == (
        kite["quantity"], kite["filled_quantity"], kite["pending_quantity"],
    )  # fmt: skip
    assert order.size == (10 if wire is NOT_MADE else 8)
    assert ran.position.size == live.held() == 4


def test_a_stop_limit_has_both_its_prices_back(live):
    live.middle.on("PUT", lost(NO))
    plan = {
        2: buy(size=10),
        3: lambda s: s.sell(size=10, exectype=Order.StopLimit, price=95.0, plimit=94.0),
        5: lambda s: s.broker.modify(s.given[1], price=97.0, plimit=96.0) and None,
    }
    ran = live.run(LONG, plan)
    kite = live.book()[-1]
    order = ran.broker.orders[ran.given[1].ref]
    assert (order.created.price, order.created.pricelimit) == (kite["trigger_price"], kite["price"]) == (95.0, 94.0)


@pytest.mark.parametrize("figures", [{"size": 14}, {"size": 6}, {"price": 91.0}], ids=["larger", "smaller", "price"])
def test_a_book_that_is_read_while_the_next_change_is_on_its_way_says_nothing_of_it(live, figures):
    """One change was refused, so the book is listened to; another was given since, and Kite has not answered it."""
    live.middle.on("PUT", lost(NO))

    def again(s: Any) -> None:
        broker = s.broker
        assert broker.modify(s.given[0], **figures)
        broker.take_book(broker.store.client.orders(), broker._asks + 1)

    plan = {
        2: buy(size=10, exectype=LIMIT, price=90.0),
        4: lambda s: s.broker.modify(s.given[0], price=89.0) and None,
        5: again,
    }
    ran = live.run(LONG, plan)
    (kite,) = live.book()
    order = ran.broker.orders[ran.given[0].ref]
    assert (order.size, order.created.price) == (kite["quantity"], kite["price"])
    assert (order.size, order.created.price) == (figures.get("size", 10), figures.get("price", 90.0))


def test_what_trades_beyond_a_size_that_kite_has_refused_does_not_end_the_order(live):
    """It was to be 6 of 10; 8 have traded before Kite said no, and the other 2 work on."""
    strategies: list[Any] = []
    seen: list[tuple[Any, ...]] = []

    def races(middle: Any, asked: Any) -> Any:
        live.exchange.steer.put_depth("NSE:TEST", sell=[(90.0, 8)])
        says(strategies[0], 8, quantity=10, average_price=90.0)
        return NO

    def smaller(s: Any) -> None:
        strategies.append(s)
        s.broker.modify(s.given[0], size=6)

    def look(s: Any) -> None:
        order = s.broker.orders[s.given[0].ref]
        seen.append((order.alive(), order.executed.size, order.executed.remsize))

    live.middle.on("PUT", races)
    ran = live.run(LONG[:8], {2: buy(size=10, exectype=LIMIT, price=90.0), 4: smaller, 6: look})
    assert seen == [(True, 8, 2)]
    assert "Completed" not in ran.story()
    assert ran.position.size == live.held() == 8
