"""A position's one exit order that has filled in part: the rest of the position is always offered, and no more.

The exchange's own book is the judge."""

from __future__ import annotations

from typing import Any

import pytest

from tests.brokers.scene import CALM, Order
from tests.brokers.test_exits import BACK, HOLD, NEAR, NO, bracket, exits, run
from tests.brokers.test_kite_again import twice
from tests.brokers.wire import TIMED_OUT, done_but, lost, passes, says

RISE = [*[CALM] * 4, NEAR]
"""The target stands from bar 6 on."""
LOW = (101.0, 101.0, 96.0, 96.0)


def short(**more: Any) -> Any:
    """10 sold short at market, a stop at 102, a target at 97."""
    plan = {"size": 10, "exectype": Order.Market, "stopprice": 102.0, "limitprice": 97.0, **more}
    return lambda s: list(s.sell_bracket(**plan))


def mirrored(rows: Any) -> list[tuple[float, ...]]:
    """The same day, upside down around 100."""
    return [tuple(200.0 - price for price in (o, low, high, c)) for o, high, low, c in rows]


def takes(live: Any, units: int, price: float = 103.0) -> Any:
    """Somebody buys so many of the target's units, and no more (of a short one: sells)."""
    side = "buy" if price > 100 else "sell"
    return lambda s: live.exchange.steer.put_depth("NSE:TEST", **{side: [(price, units)]}) and None


def offered(live: Any, side: str = "SELL") -> list[tuple[str, int]]:
    """What rests on that side of the exchange's book: order type and units that are not filled."""
    return [
        (row["order_type"], row["pending_quantity"])
        for row in live.book()
        if row["transaction_type"] == side and row["status"] in ("OPEN", "TRIGGER PENDING")
    ]


def test_when_the_target_has_filled_in_part_the_stop_stands_for_all_that_is_left(live):
    seen: list[Any] = []
    plan = {2: bracket(), 6: takes(live, 4), 9: lambda s: seen.append((offered(live), live.held()))}
    ran = run(live, [*RISE, HOLD, BACK, BACK, BACK, LOW, CALM], plan)
    assert seen == [([("SL-M", 6)], 6)]
    assert exits(live) == [("SL-M", "COMPLETE", 10, 10)]
    assert ran.prices(2) == [103.0]
    assert ran.prices(1) == [98.0]
    assert [size for _, size, _, _ in ran.fills] == [10, -4, -6]
    assert ran.position.size == live.held() == 0


@pytest.mark.parametrize("exits_of", ["one", "two"])
def test_a_target_of_half_the_size_that_fills_in_part_stays_at_what_was_asked(live, exits_of):
    def give(s: Any) -> list[Any]:
        entry = s.buy(size=10, transmit=False)
        stop = s.sell(size=10, exectype=Order.Stop, price=98.0, parent=entry, transmit=False)
        return [entry, stop, s.sell(size=5, exectype=Order.Limit, price=103.0, parent=entry)]

    seen: list[Any] = []
    plan = {2: give, 6: takes(live, 2), 8: lambda s: seen.append((offered(live), live.held()))}
    ran = run(live, [*RISE, *[HOLD] * 3, (102.8, 104.0, 102.8, 104.0), *[HOLD] * 2], plan, **{"groups.exits": exits_of})
    assert seen == [([*([("SL-M", 8)] if exits_of == "two" else []), ("LIMIT", 3)], 8)]
    assert [size for ref, size, _, _ in ran.fills if ref == ran.given[2].ref] == [-2, -3]
    assert ran.position.size == live.held() == 5


def test_it_is_so_for_a_short_position(live):
    seen: list[Any] = []
    plan = {2: short(), 6: takes(live, 4, 97.0), 9: lambda s: seen.append((offered(live, "BUY"), live.held()))}
    ran = run(live, mirrored([*RISE, HOLD, BACK, BACK, BACK, LOW, CALM]), plan)
    assert seen == [([("SL-M", 6)], -6)]
    assert [size for _, size, _, _ in ran.fills] == [-10, 4, 6]
    assert ran.position.size == live.held() == 0


def test_there_and_back_again_with_a_part_each_time(live):
    """4 at the target; the stop's turn; 3 more at the target; and the stop has the last 3."""
    seen: list[Any] = []
    plan: dict[int, Any] = {2: bracket(), 6: takes(live, 4), 13: takes(live, 3)}
    for bar in (9, 12, 16):
        plan[bar] = lambda s: seen.append(offered(live))
    away = [(101.0,) * 4] * 3
    again = [(101.0, 102.8, 101.0, 102.8), HOLD, HOLD, HOLD]
    ran = run(live, [*RISE, HOLD, *away, *again, *away, LOW, CALM], plan)
    assert seen == [[("SL-M", 6)], [("LIMIT", 6)], [("SL-M", 3)]]
    assert len(live.middle.calls("POST")) == 2
    assert exits(live) == [("SL-M", "COMPLETE", 10, 10)]
    assert sum(size for _, size, _, _ in ran.fills) == ran.position.size == live.held() == 0
    assert [size for ref, size, _, _ in ran.fills if ref == ran.given[2].ref] == [-4, -3]


@pytest.mark.parametrize("wire", [done_but(None), lost(None), done_but(TIMED_OUT), lost(NO)])
def test_a_swap_of_what_has_filled_in_part_that_fails_ends_with_all_that_is_left(live, wire):
    seen: list[Any] = []
    plan = {
        2: bracket(),
        6: lambda s: takes(live, 4)(s) or live.middle.on("PUT", wire),
        11: lambda s: seen.append((offered(live), live.held())),
    }
    ran = run(live, [*RISE, HOLD, *[BACK] * 5, LOW, CALM], plan)
    assert seen == [([("SL-M", 6)], 6)]
    assert ran.position.size == live.held() == 0


@pytest.mark.parametrize("turn", ["before", "after"], ids=["the restart is before the swap", "after"])
def test_a_restart_keeps_what_is_left(live, tmp_path, turn):
    away = [(101.0,) * 4] * 6
    rows = [*RISE, HOLD, *([HOLD] if turn == "before" else []), *away, LOW, CALM]
    seen: list[Any] = []
    _, after = twice(
        live, tmp_path, rows,
        {2: bracket(), 6: takes(live, 4), 7 if turn == "before" else 9: lambda s: s.env.runstop()},
        {3: lambda s: seen.append((offered(live), live.held()))}, **{"groups.exits": "one"},
    )  # fmt: skip
    assert seen == [([("SL-M", 6)], 6)]
    assert after.position.size == live.held() == 0


def test_a_part_that_fills_while_nobody_runs_is_not_offered_again(live, tmp_path):
    """4 were booked; 2 more filled at the target while the process was away; the price has left since. (The change that
    was to leave the stop at Kite never came there.)"""
    seen: list[Any] = []

    def ends(s: Any) -> None:
        live.middle.on("PUT", *[lost(None)] * 10)
        s.env.runstop()

    def meanwhile() -> None:
        assert offered(live) == [("LIMIT", 6)]
        live.middle.rules["PUT"].clear()
        takes(live, 2)(None)
        live.exchange.steer.put_price("NSE:TEST", 101.0)

    _, after = twice(
        live, tmp_path, [*RISE, HOLD, HOLD, *[(101.0,) * 4] * 4, LOW, CALM],
        {2: bracket(), 6: takes(live, 4), 7: ends},
        {3: lambda s: seen.append((offered(live), live.held()))}, meanwhile, **{"groups.exits": "one"},
    )  # fmt: skip
    assert seen == [([("SL-M", 4)], 4)]
    mine = [order.ref for order in after.kept]
    assert [size for ref, size, _, _ in after.fills if ref in mine] == [-2, -4]
    assert after.position.size == live.held() == 0


def test_the_strategy_makes_an_exit_smaller_that_has_taken_over_a_part(live):
    """Stop and target are to be 8: 4 of them have traded."""
    seen: list[Any] = []
    plan = {
        2: bracket(),
        6: takes(live, 4),
        8: lambda s: s.broker.modify(s.given[1], size=4) and None,
        10: lambda s: seen.append(offered(live)),
    }
    run(live, [*RISE, HOLD, *[BACK] * 4], plan)
    assert seen == [[("SL-M", 4)]]


def test_a_part_that_fills_while_the_swap_back_is_on_its_way_leaves_nothing_open(live):
    """The change is answered when the order is the target's again: it is the stop's, and may be the target's later."""
    seen: list[Any] = []
    strategies: list[Any] = []

    def races(middle: Any, asked: Any) -> Any:
        takes(live, 4)(None)
        (s,) = strategies
        says(s, 4, order=s.given[1], order_type="LIMIT", price=103.0, average_price=103.0)
        return middle.forward(asked)

    def enter(s: Any) -> Any:
        strategies.append(s)
        return bracket()(s)

    live.middle.on("PUT", passes, races)
    away = [(101.0,) * 4] * 3
    again = [(101.0, 102.8, 101.0, 102.8), HOLD, HOLD]
    plan: dict[int, Any] = {2: enter}
    for bar in (9, 13):
        plan[bar] = lambda s: seen.append((offered(live), s.broker.groups.mates(s.given[2].ref)))
    ran = run(live, [*RISE, HOLD, BACK, *away, *again, HOLD], plan)
    (stop, target) = (order.ref for order in ran.given[1:])
    assert seen == [([("SL-M", 6)], [target, stop]), ([("LIMIT", 6)], [target, stop])]
    assert [size for ref, size, _, _ in ran.fills if ref == target] == [-4]
    assert ran.position.size == live.held() == 6
