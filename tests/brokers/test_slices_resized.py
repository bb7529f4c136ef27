"""An order in slices that becomes smaller or larger when some of it has filled: the slices are, in all, what it is.

The exchange's book is the judge: what has traded and what may still trade is the order's size, no more and no less."""

from __future__ import annotations

from typing import Any

import pytest

from btkite.brokers.record import Record
from btkite.clock import ManualClock
from btkite.journal import Journal
from tests.brokers.scene import CALM, DAY, Order
from tests.brokers.test_permitted import INDEX
from tests.brokers.test_slices import CUT, MOST, SIZE, go

LIMIT = Order.Limit
ROWS = [CALM] * 12
LOT = 65
LIVING = ("OPEN", "TRIGGER PENDING")


def give(long: bool) -> Any:
    return lambda s: (s.buy if long else s.sell)(size=SIZE, exectype=LIMIT, price=99.0 if long else 101.0)


def fills(live: Any, number: int, units: int, long: bool = True) -> Any:
    """The ``number``-th slice is moved by hand, out of the way of the others, and so much of it trades."""

    def step(s: Any) -> None:
        order_id = live.book()[number]["order_id"]
        price = 99.5 if long else 100.5
        live.exchange.steer.modify(order_id, price=price)
        live.exchange.steer.put_depth(INDEX, **{"sell" if long else "buy": [(price, units)]})

    return step


def resize(size: int) -> Any:
    return lambda s: s.broker.modify(s.given[0], size=size) and None


def total(live: Any) -> int:
    """Units that have traded or may still trade."""
    return sum(
        row["filled_quantity"] + (row["pending_quantity"] if row["status"] in LIVING else 0) for row in live.book()
    )


def crash(long: bool) -> list[Any]:
    return [*ROWS[:9], *[((98.0 if long else 102.0),) * 4] * 3]


@pytest.mark.parametrize(
    ("size", "number", "long"),
    [
        (MOST + LOT, 2, True), (MOST + LOT, 1, False), (MOST + LOT, 0, True), (2 * MOST, 2, False), (2 * MOST, 1, True),
        (SIZE - 2 * LOT, 2, True), (SIZE - 4 * LOT, 2, False), (SIZE + LOT, 1, True), (3 * MOST + LOT, 0, False),
    ],
)  # fmt: skip
def test_a_slice_that_has_filled_in_part_keeps_that_and_the_others_make_up_the_size(live, size, number, long):
    done = 3 * LOT
    seen: list[int] = []
    plan = {
        2: give(long), 3: fills(live, number, done, long), 5: resize(size), 8: lambda s: seen.append(total(live)),
    }  # fmt: skip
    ran = go(live, plan, crash(long))
    assert seen == [size]
    assert max(row["quantity"] for row in live.book()) <= MOST
    assert abs(live.held()) == size
    assert ran.position.size == live.held()
    assert ran.story()[-1] == "Completed"
    assert abs(ran.given[0].executed.size) == size


def test_two_slices_that_have_filled_in_part(live):
    plan = {
        2: give(True), 3: fills(live, 2, 3 * LOT), 4: fills(live, 1, 5 * LOT), 6: resize(9 * LOT),
    }  # fmt: skip
    ran = go(live, plan, crash(True))
    assert live.held() == ran.position.size == 9 * LOT


def test_smaller_and_larger_again(live):
    seen: list[int] = []
    look = lambda s: seen.append(total(live))  # noqa: E731
    plan = {
        2: give(True), 3: fills(live, 1, 3 * LOT), 4: resize(MOST), 5: look, 6: resize(SIZE), 7: look,
    }  # fmt: skip
    ran = go(live, plan, crash(True))
    assert seen == [MOST, SIZE]
    assert live.held() == ran.position.size == SIZE


def test_a_slice_with_a_part_is_made_smaller_after_a_restart(live, tmp_path):
    def once() -> Record:
        return Record(Journal(tmp_path / "journal.sqlite", ManualClock(DAY)))

    first = go(
        live, {2: give(True), 3: fills(live, 2, 3 * LOT), 4: lambda s: s.env.runstop()}, crash(True), record=once()
    )
    ref = first.given[0].ref
    seen: list[int] = []
    plan = {
        1: lambda s: s.broker.modify(s.broker.orders[ref], size=MOST + LOT) and None,
        3: lambda s: seen.append(total(live)),
    }
    again = go(live, plan, None, record=once())
    assert [len(live.book()), live.book()[2]["filled_quantity"]] == [len(CUT), 3 * LOT]
    assert seen == [MOST + LOT]
    assert live.held() == again.position.size == MOST + LOT
