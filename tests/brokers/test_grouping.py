from __future__ import annotations

import json

import backtrader as bt
import pytest

from btkite.brokers.grouping import Groups
from btkite.orders.groups import Action, Activate, Cancel, End, Flatten, Resize

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


def wants(groups: Groups, ref: int) -> list[tuple[int, Action]]:
    """What the groups of ``ref`` want; it is being done."""
    found = groups.wanted(ref)
    assert all(groups.ask(*one) for one in found)
    assert groups.wanted(ref) == []
    return found


def filled(groups: Groups, ref: int, total: int) -> list[tuple[int, Action]]:
    groups.filled(ref, total)
    return wants(groups, ref)


def ended(groups: Groups, ref: int, how: End, total: int) -> list[tuple[int, Action]]:
    groups.ended(ref, how, total)
    return wants(groups, ref)


def resized(groups: Groups, ref: int, size: int) -> list[tuple[int, Action]]:
    groups.resized(ref, size)
    return wants(groups, ref)


def test_an_order_without_a_group_asks_for_nothing():
    groups = Groups()
    assert filled(groups, 7, 5) == []
    assert ended(groups, 7, End.CANCELED, 0) == []
    assert groups.leader(7) == 0


def test_children_work_for_what_the_entry_has_filled():
    groups = bracketed()
    assert filled(groups, ENTRY, 4) == [(ENTRY, Activate(STOP, 4)), (ENTRY, Activate(TARGET, 4))]
    assert filled(groups, ENTRY, 10) == [(ENTRY, Resize(STOP, 10)), (ENTRY, Resize(TARGET, 10))]


def test_a_filled_exit_cancels_the_other():
    groups = bracketed()
    filled(groups, ENTRY, 10)
    assert filled(groups, TARGET, 10) == [(ENTRY, Cancel(STOP))]


def test_a_fill_that_surfaces_after_all_was_over_is_closed_at_market():
    """The stop was cancelled, the book says so, and then it has filled all the same."""
    groups = bracketed()
    filled(groups, ENTRY, 10)
    filled(groups, TARGET, 10)
    assert ended(groups, STOP, End.CANCELED, 0) == []
    assert filled(groups, STOP, 10) == [(ENTRY, Flatten(ENTRY, -10))]


def test_a_late_fill_of_the_entry_after_its_cancellation_is_closed_at_market():
    groups = bracketed()
    ended(groups, ENTRY, End.CANCELED, 0)
    for child in (STOP, TARGET):
        ended(groups, child, End.CANCELED, 0)
    assert filled(groups, ENTRY, 3) == [(ENTRY, Flatten(ENTRY, 3))]


def test_a_new_session_forgets_groups_that_are_done_and_only_those():
    groups = bracketed()
    groups.add_oco(11, 5, 10, 5, other_alive=True)
    filled(groups, 10, 5)
    ended(groups, 11, End.CANCELED, 0)
    groups.tidy()
    assert groups.leader(11) == 0
    assert filled(groups, 11, 5) == []
    assert filled(groups, ENTRY, 10) != []


def test_a_new_session_forgets_one_group_of_an_entry_and_keeps_the_other():
    """Of two breakout entries one has traded: that is over, its bracket is not."""
    groups = bracketed()
    groups.add_oco(21, 10, ENTRY, 10, other_alive=True)
    filled(groups, ENTRY, 10)
    ended(groups, 21, End.CANCELED, 0)
    groups.tidy()
    assert 21 not in groups
    assert ENTRY in groups
    assert groups.leader(ENTRY) == 0


def test_a_child_may_be_given_after_its_entry_was_sent():
    groups = bracketed(10, (STOP, Order.Stop, 10))
    filled(groups, ENTRY, 10)
    groups.add_bracket((ENTRY, 10), [(TARGET, Order.Limit, 10)])
    assert filled(groups, ENTRY, 10) == [(ENTRY, Activate(TARGET, 10))]
    assert filled(groups, STOP, 10) == [(ENTRY, Cancel(TARGET))]


def test_of_an_oco_group_one_trades_and_the_others_go():
    groups = paired()
    groups.add_oco(TARGET, 5, STOP, 5, other_alive=True)
    assert [groups.leader(ref) for ref in (ENTRY, STOP, TARGET)] == [ENTRY] * 3
    assert filled(groups, STOP, 1) == [(-ENTRY, Cancel(ENTRY)), (-ENTRY, Cancel(TARGET))]


@pytest.mark.parametrize("how", [End.CANCELED, End.EXPIRED])
def test_the_end_of_one_of_an_oco_group_ends_the_others(how):
    assert ended(paired(), ENTRY, how, 0) == [(-ENTRY, Cancel(STOP))]


def test_a_rejected_one_of_an_oco_group_leaves_the_others_at_work():
    groups = paired()
    assert ended(groups, ENTRY, End.REJECTED, 0) == []
    assert filled(groups, STOP, 5) == []


def test_who_joins_an_oco_group_that_is_over_is_alone():
    groups = paired()
    filled(groups, ENTRY, 5)
    ended(groups, STOP, End.CANCELED, 0)
    groups.add_oco(TARGET, 5, STOP, 5, other_alive=False)
    assert ended(groups, TARGET, End.CANCELED, 0) == []


def test_who_joins_an_order_that_ended_without_a_group_is_alone():
    groups = Groups()
    groups.add_oco(STOP, 5, ENTRY, 5, other_alive=False)
    assert filled(groups, STOP, 5) == []


def test_who_joins_one_whose_end_is_asked_for_does_not_go_when_that_one_trades_all_the_same():
    groups = paired()
    assert ended(groups, ENTRY, End.CANCELED, 0) == [(-ENTRY, Cancel(STOP))]
    groups.add_oco(TARGET, 5, STOP, 5, other_alive=True)
    assert filled(groups, STOP, 5) == []


def test_once_a_brackets_exits_are_in_it_an_oco_group_leaves_their_position_to_the_bracket():
    groups = Groups()
    groups.add_oco(TARGET, 5, STOP, 5, other_alive=True, alone=False)
    groups.add_oco(9, 5, STOP, 5, other_alive=True)
    assert filled(groups, STOP, 5) == [(-STOP, Cancel(TARGET)), (-STOP, Cancel(9))]
    assert filled(groups, TARGET, 5) == []


def test_an_entry_may_lead_an_oco_group_too():
    """Two breakout entries of which one may trade, each with exits of its own."""
    groups = bracketed()
    groups.add_bracket((21, 10), ((22, Order.Stop, 10),))
    groups.add_oco(21, 10, ENTRY, 10, other_alive=True)
    assert filled(groups, 21, 10) == [(21, Activate(22, 10)), (-ENTRY, Cancel(ENTRY))]
    assert ended(groups, ENTRY, End.CANCELED, 0) == [(ENTRY, Cancel(STOP)), (ENTRY, Cancel(TARGET))]


def test_a_dormant_child_that_was_changed_wakes_with_its_new_size():
    groups = bracketed()
    assert resized(groups, TARGET, 6) == []
    assert filled(groups, ENTRY, 10) == [(ENTRY, Activate(STOP, 10)), (ENTRY, Activate(TARGET, 6))]


def test_a_child_that_was_changed_to_more_than_is_held_is_cut_down():
    groups = bracketed()
    filled(groups, ENTRY, 10)
    assert resized(groups, TARGET, 15) == [(ENTRY, Resize(TARGET, 10))]


def test_an_entry_that_was_made_larger_fills_to_its_new_size():
    groups = bracketed(10, (STOP, Order.Stop, 20))
    assert resized(groups, ENTRY, 20) == []
    assert filled(groups, ENTRY, 10) == [(ENTRY, Activate(STOP, 10))]
    assert filled(groups, ENTRY, 20) == [(ENTRY, Resize(STOP, 20))]


def test_groups_come_back_from_the_journal_as_they_were():
    groups = bracketed()
    groups.add_oco(11, 5, 10, 5, other_alive=True)
    filled(groups, ENTRY, 4)
    other = Groups()
    other.restore(json.loads(json.dumps(groups.state())))
    assert other.state() == groups.state()
    assert filled(other, ENTRY, 10) == [(ENTRY, Resize(STOP, 10)), (ENTRY, Resize(TARGET, 10))]
    assert filled(other, 10, 5) == [(-10, Cancel(11))]


def test_what_was_wanted_and_not_asked_for_yet_is_still_wanted_in_another_process():
    """The process may end between two actions."""
    groups = bracketed(20)
    filled(groups, ENTRY, 10)
    groups.filled(TARGET, 4)
    first, *rest = groups.wanted(TARGET)
    assert groups.ask(*first)
    other = Groups()
    other.restore(json.loads(json.dumps(groups.state())))
    assert first == (ENTRY, Resize(STOP, 6))
    assert wants(other, TARGET) == rest == [(ENTRY, Cancel(ENTRY))]


def test_what_is_to_be_traded_back_is_so_in_another_process_although_nothing_of_its_group_works():
    groups = bracketed()
    filled(groups, ENTRY, 10)
    filled(groups, TARGET, 10)
    groups.filled(STOP, 10)
    other = Groups()
    other.restore(json.loads(json.dumps(groups.state())))
    assert wants(other, ENTRY) == [(ENTRY, Flatten(ENTRY, -10))]


def test_what_nobody_wants_any_more_is_not_asked_for():
    groups = bracketed()
    groups.filled(ENTRY, 4)
    (first, second) = groups.wanted(ENTRY)
    assert groups.ask(*first)
    groups.filled(STOP, 4)  # while it was done
    assert not groups.ask(*second)
    assert wants(groups, ENTRY) == [(ENTRY, Cancel(TARGET)), (ENTRY, Cancel(ENTRY))]


def test_what_is_to_be_traded_back_is_owed_until_it_is_asked_for():
    groups = bracketed()
    filled(groups, ENTRY, 10)
    filled(groups, TARGET, 10)
    groups.filled(STOP, 10)
    assert groups.owed() == {ENTRY}
    assert wants(groups, STOP) == [(ENTRY, Flatten(ENTRY, -10))]
    assert groups.owed() == set()


def test_the_journal_is_not_burdened_with_groups_that_are_done():
    groups = paired()
    filled(groups, ENTRY, 5)
    ended(groups, STOP, End.CANCELED, 0)
    assert groups.state() == {"groups": {}, "leaders": {}}
