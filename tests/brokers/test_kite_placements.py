"""An order that several placements at Kite have stood for, one after the other, and a restart between their fills.

What each has filled counts once, whoever had booked it. The exchange's trades are the judge."""

from __future__ import annotations

from typing import Any

import pytest

from tests.brokers.scene import CALM, Order
from tests.brokers.test_kite_again import twice
from tests.brokers.test_kite_day import HOURS
from tests.brokers.wire import lost

LIMIT = Order.Limit
NO = (400, "application/json", {"status": "error", "error_type": "InputException", "message": "Try later."})
LONG = [CALM] * 45


def gives(live: Any, units: int, price: float) -> Any:
    """Somebody trades so many units with what rests at ``price`` or better."""
    side = "sell" if price < 100 else "buy"
    return lambda s: live.exchange.steer.put_depth("NSE:TEST", **{side: [(price, units)]}) and None


def end(s: Any) -> None:
    s.env.runstop()


def restless(long: bool) -> dict[int, Any]:
    """10 at 90 (short: at 110) moved so often that Kite would take no further change: placed anew at bar 23."""
    sign = 1 if long else -1

    def move(s: Any) -> None:
        order = s.given[0]
        s.broker.modify(order, price=round(order.created.price + sign * 0.05, 2))

    plan: dict[int, Any] = dict.fromkeys(range(3, 24), move)
    kwargs = {"size": 10, "exectype": LIMIT, "price": 90.0 if long else 110.0}
    plan[2] = lambda s: s.buy(**kwargs) if long else s.sell(**kwargs)
    return plan


def with_step(plan: dict[int, Any], bar: int, step: Any) -> dict[int, Any]:
    known = plan.get(bar)
    return {**plan, bar: lambda s: (known(s) if known else None) or step(s)}


def money(rows: Any) -> float:
    return round(sum(size * price for size, price in rows), 6)


@pytest.mark.parametrize(
    ("long", "before", "away"), [(True, 0, 0), (False, 2, 0), (True, 2, 3), (False, 0, 3), (True, 2, 5), (False, 0, 7)]
)
def test_what_a_later_placement_fills_counts_after_a_restart(live, tmp_path, long, before, away):
    """3 of the first; of the second 2 or none before the restart, some while nobody ran, and the rest after."""
    early = 90.0 if long else 110.0
    plan = with_step(restless(long), 10, gives(live, 3, early))
    if before:
        plan = with_step(plan, 26, gives(live, before, early))
    plan = with_step(plan, 28, end)
    rest = 10 - 3 - before - away
    between = (lambda: gives(live, away, early)(None)) if away else None
    first, after = twice(live, tmp_path, LONG, plan, {3: gives(live, rest, early) if rest else end}, between)
    old, new = live.book()
    assert [(row["status"], row["filled_quantity"]) for row in (old, new)] == [("CANCELLED", 3), ("COMPLETE", 7)]
    ref = first.given[0].ref
    told = [size for _, size, _, _ in first.fills], [size for one, size, _, _ in after.fills if one == ref]
    sign = 1 if long else -1
    assert told == (
        [sign * units for units in (3, before) if units],
        [sign * units for units in (away, rest) if units],
    )
    assert after.position.size == live.held() == 10 * sign
    traded = [(sign * trade["quantity"], trade["average_price"]) for trade in live.exchange.steer.trades()]
    mine = [(size, at) for _, size, at, _ in first.fills] + [
        (size, at) for one, size, at, _ in after.fills if one == ref
    ]
    assert money(mine) == money(traded)
    assert after.broker.orders[ref].getstatusname() == "Completed"
    assert [news for news in after.news if "from outside" in news] == []


def test_an_order_that_is_carried_and_filled_in_part_on_each_day(live, tmp_path):
    delivery = {"broker.default_product": "CNC"}
    plan = {
        3: lambda s: s.buy(size=10, exectype=LIMIT, price=90.0, carry=True),
        5: gives(live, 3, 90.0),
        9: gives(live, 2, 90.0),
        10: end,
    }
    rows = [*HOURS, *HOURS]
    first, after = twice(live, tmp_path, rows, plan, {2: gives(live, 4, 90.0)}, interval="60minute", **delivery)
    ref = first.given[0].ref
    (row,) = live.book()
    assert (row["quantity"], row["filled_quantity"], row["status"]) == (
        7,
        6,
        "CANCELLED",
    )  # the day is over; tomorrow it is placed for the last
    assert [size for _, size, _, _ in first.fills] == [3, 2]
    assert [size for one, size, _, _ in after.fills if one == ref] == [4]
    order = after.broker.orders[ref]
    assert (order.executed.size, order.executed.remsize, order.alive()) == (9, 1, True)
    assert after.position.size == 9


def test_three_lives_of_one_placement(live, tmp_path):
    """A part in each; every life books its own."""
    plan = {2: lambda s: s.buy(size=10, exectype=LIMIT, price=90.0), 4: gives(live, 2, 90.0), 6: end}
    first, second = twice(live, tmp_path, LONG, plan, {2: gives(live, 3, 90.0), 4: end})
    _, third = twice(live, tmp_path, None, {1: end}, {2: gives(live, 4, 90.0)})
    ref = first.given[0].ref
    told = [[size for one, size, _, _ in life.fills if one == ref] for life in (first, second, third)]
    assert told == [[2], [3], [4]]
    order = third.broker.orders[ref]
    assert (order.executed.size, order.executed.remsize, order.alive()) == (9, 1, True)
    assert third.position.size == live.held() == 9


@pytest.mark.parametrize("long", [True, False], ids=["long", "short"])
def test_a_change_of_a_later_placement_that_kite_refused_leaves_what_that_one_is(live, long):
    """3 were of the first, which Kite's book still has, as it was when it was cancelled."""
    seen: list[Any] = []

    def look(s: Any) -> None:
        order = s.broker.orders[s.given[0].ref]
        seen.append((abs(order.size), abs(order.executed.size), abs(order.executed.remsize), order.created.price))

    def refused(s: Any) -> None:
        live.middle.on("PUT", lost(NO))
        s.broker.modify(s.given[0], price=95.0 if long else 105.0, size=12)

    plan = with_step(restless(long), 10, gives(live, 3, 90.0 if long else 110.0))
    plan = {**plan, 26: refused, 28: look}
    live.run(LONG[:30], plan)
    old, new = live.book()
    assert (old["status"], new["status"], new["quantity"]) == ("CANCELLED", "OPEN", 7)
    assert seen == [(10, 3, 7, new["price"])]
    assert old["price"] != new["price"]


def test_an_order_whose_parts_fall_in_two_lives_is_one_bill(live, tmp_path):
    """₹100,000 in parts owe one brokerage with one cap, not the cap of each life."""
    ways = {"broker.charges": True}
    plan = {2: lambda s: s.buy(size=1000, exectype=LIMIT, price=90.0), 4: gives(live, 600, 90.0), 6: end}
    first, after = twice(live, tmp_path, LONG[:14], plan, {2: gives(live, 400, 90.0)}, **ways)
    (order_id,) = {row["order_id"] for row in live.book()}
    assert first.position.size == 600
    assert after.position.size == live.held() == 1000
    assert after.broker.ledger.charges == pytest.approx(live.exchange.charges()[order_id], abs=0.01)
    assert after.broker.orders[first.given[0].ref].executed.comm == pytest.approx(after.broker.ledger.charges)
