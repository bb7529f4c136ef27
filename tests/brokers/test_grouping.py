from __future__ import annotations

import json

import backtrader as bt
import pytest

from btkite.brokers.grouping import Groups
from btkite.orders.groups import Activate, Cancel, End, Flatten, Resize

Order = bt.Order
ENTRY, STOP, TARGET = 1, 2, 3


def bracketed(size: int = 10, *children: tuple[int, int, int]) -> Groups:
    groups = Groups()
    groups.add_bracket((ENTRY, size), children or ((STOP, Order.Stop, size), (TARGET, Order.Limit, size)))
    return groups


def paired(size: int = 5) -> Groups:
    groups = Groups()
    groups.add_oco(STOP, size, ENTRY, size, other_alive=True)
    return groups


def test_an_order_without_a_group_asks_for_nothing():
    groups = Groups()
    assert groups.filled(7, 5) == []
    assert groups.ended(7, End.CANCELED, 0) == []
    assert groups.leader(7) == 0


def test_children_work_for_what_the_entry_has_filled():
    groups = bracketed()
    assert groups.filled(ENTRY, 4) == [(ENTRY, Activate(STOP, 4)), (ENTRY, Activate(TARGET, 4))]
    assert groups.filled(ENTRY, 10) == [(ENTRY, Resize(STOP, 10)), (ENTRY, Resize(TARGET, 10))]


def test_a_filled_exit_cancels_the_other():
    groups = bracketed()
    groups.filled(ENTRY, 10)
    assert groups.filled(TARGET, 10) == [(ENTRY, Cancel(STOP))]


def test_a_fill_that_surfaces_after_all_was_over_is_closed_at_market():
    """The stop was cancelled, the book says so, and then it has filled all the same."""
    groups = bracketed()
    groups.filled(ENTRY, 10)
    groups.filled(TARGET, 10)
    assert groups.ended(STOP, End.CANCELED, 0) == []
    assert groups.filled(STOP, 10) == [(ENTRY, Flatten(ENTRY, -10))]


def test_a_late_fill_of_the_entry_after_its_cancellation_is_closed_at_market():
    groups = bracketed()
    groups.ended(ENTRY, End.CANCELED, 0)
    for child in (STOP, TARGET):
        groups.ended(child, End.CANCELED, 0)
    assert groups.filled(ENTRY, 3) == [(ENTRY, Flatten(ENTRY, 3))]


def test_a_new_session_forgets_groups_that_are_done_and_only_those():
    groups = bracketed()
    groups.add_oco(11, 5, 10, 5, other_alive=True)
    groups.filled(10, 5)
    groups.ended(11, End.CANCELED, 0)
    groups.tidy()
    assert groups.leader(11) == 0
    assert groups.filled(11, 5) == []
    assert groups.filled(ENTRY, 10) != []


def test_a_child_may_be_given_after_its_entry_was_sent():
    groups = bracketed(10, (STOP, Order.Stop, 10))
    groups.filled(ENTRY, 10)
    groups.add_bracket((ENTRY, 10), [(TARGET, Order.Limit, 10)])
    assert groups.filled(ENTRY, 10) == [(ENTRY, Activate(TARGET, 10))]
    assert groups.filled(STOP, 10) == [(ENTRY, Cancel(TARGET))]


def test_of_an_oco_group_one_trades_and_the_others_go():
    groups = paired()
    groups.add_oco(TARGET, 5, STOP, 5, other_alive=True)
    assert [groups.leader(ref) for ref in (ENTRY, STOP, TARGET)] == [ENTRY] * 3
    assert groups.filled(STOP, 1) == [(-ENTRY, Cancel(ENTRY)), (-ENTRY, Cancel(TARGET))]


@pytest.mark.parametrize("how", [End.CANCELED, End.EXPIRED])
def test_the_end_of_one_of_an_oco_group_ends_the_others(how):
    assert paired().ended(ENTRY, how, 0) == [(-ENTRY, Cancel(STOP))]


def test_a_rejected_one_of_an_oco_group_leaves_the_others_at_work():
    groups = paired()
    assert groups.ended(ENTRY, End.REJECTED, 0) == []
    assert groups.filled(STOP, 5) == []


def test_who_joins_an_oco_group_that_is_over_is_alone():
    groups = paired()
    groups.filled(ENTRY, 5)
    groups.ended(STOP, End.CANCELED, 0)
    groups.add_oco(TARGET, 5, STOP, 5, other_alive=False)
    assert groups.ended(TARGET, End.CANCELED, 0) == []


def test_who_joins_an_order_that_ended_without_a_group_is_alone():
    groups = Groups()
    groups.add_oco(STOP, 5, ENTRY, 5, other_alive=False)
    assert groups.filled(STOP, 5) == []


def test_an_entry_may_lead_an_oco_group_too():
    """Two breakout entries of which one may trade, each with exits of its own."""
    groups = bracketed()
    groups.add_bracket((21, 10), ((22, Order.Stop, 10),))
    groups.add_oco(21, 10, ENTRY, 10, other_alive=True)
    assert groups.filled(21, 10) == [(21, Activate(22, 10)), (-ENTRY, Cancel(ENTRY))]
    assert groups.ended(ENTRY, End.CANCELED, 0) == [(ENTRY, Cancel(STOP)), (ENTRY, Cancel(TARGET))]


def test_a_dormant_child_that_was_changed_wakes_with_its_new_size():
    groups = bracketed()
    assert groups.resized(TARGET, 6) == []
    assert groups.filled(ENTRY, 10) == [(ENTRY, Activate(STOP, 10)), (ENTRY, Activate(TARGET, 6))]


def test_a_child_that_was_changed_to_more_than_is_held_is_cut_down():
    groups = bracketed()
    groups.filled(ENTRY, 10)
    assert groups.resized(TARGET, 15) == [(ENTRY, Resize(TARGET, 10))]


def test_an_entry_that_was_made_larger_fills_to_its_new_size():
    groups = bracketed(10, (STOP, Order.Stop, 20))
    assert groups.resized(ENTRY, 20) == []
    assert groups.filled(ENTRY, 10) == [(ENTRY, Activate(STOP, 10))]
    assert groups.filled(ENTRY, 20) == [(ENTRY, Resize(STOP, 20))]


def test_groups_come_back_from_the_journal_as_they_were():
    groups = bracketed()
    groups.add_oco(11, 5, 10, 5, other_alive=True)
    groups.filled(ENTRY, 4)
    other = Groups()
    other.restore(json.loads(json.dumps(groups.state())))
    assert other.state() == groups.state()
    assert other.filled(ENTRY, 10) == [(ENTRY, Resize(STOP, 10)), (ENTRY, Resize(TARGET, 10))]
    assert other.filled(10, 5) == [(-10, Cancel(11))]


def test_the_journal_is_not_burdened_with_groups_that_are_done():
    groups = paired()
    groups.filled(ENTRY, 5)
    groups.ended(STOP, End.CANCELED, 0)
    assert groups.state() == {"groups": {}, "leaders": {}}
