"""Groups against a small market of their own, at once and with everything late, doubled and out of order."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from typing import Any

import backtrader as bt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from btkite.orders.groups import (
    Activate,
    Cancel,
    End,
    Ended,
    Filled,
    Flatten,
    Group,
    Resize,
    Role,
    bracket,
    learn,
    oco,
    react,
    settle,
    trail,
)
from btkite.values import Side

P, S, T = 1, 2, 3  # parent, stop, target


def stop_and_target(size: int = 100, stop: int | None = None, target: int | None = None) -> Group:
    return bracket((P, size), (S, Role.STOP, stop or size), (T, Role.TARGET, target or size))


def play(group: Group, *events: Any) -> tuple[Group, list[Any]]:
    """The group after the events, and what the last of them asked for."""
    asked: tuple[Any, ...] = ()
    for event in events:
        group, asked = react(group, event)
    return group, list(asked)


# -- brackets ----------------------------------------------------------------------------------------


def test_children_work_from_the_first_fill_for_what_has_filled() -> None:
    group, asked = play(stop_and_target(), Filled(P, 40))
    assert asked == [Activate(S, 40), Activate(T, 40)]
    group, asked = play(group, Filled(P, 70))
    assert asked == [Resize(S, 70), Resize(T, 70)]
    group, asked = play(group, Ended(P, End.COMPLETED, 100))
    assert asked == [Resize(S, 100), Resize(T, 100)]


def test_a_siblings_fill_reduces_and_its_end_cancels() -> None:
    filled, _ = play(stop_and_target(), Filled(P, 100))
    group, asked = play(filled, Filled(T, 30))
    assert asked == [Resize(S, 70)]
    group, asked = play(group, Filled(S, 20))
    assert asked == [Resize(T, 80)]
    group, asked = play(group, Filled(T, 80))
    assert asked == [Cancel(S)]
    group, asked = play(group, Ended(S, End.CANCELED, 20))
    assert asked == []
    assert group.done
    assert not group.raced


def test_the_first_exit_ends_the_entry() -> None:
    group, _ = play(stop_and_target(), Filled(P, 40))
    group, asked = play(group, Filled(S, 40))
    assert asked == [Cancel(T), Cancel(P)]
    group, _ = play(group, Ended(P, End.CANCELED, 40), Ended(T, End.CANCELED))
    assert group.done


def test_what_the_entry_fills_while_it_is_being_cancelled_is_still_protected() -> None:
    group, asked = play(stop_and_target(), Filled(P, 40), Filled(T, 10))
    assert asked == [Resize(S, 30), Cancel(P)]
    group, asked = play(group, Ended(P, End.CANCELED, 60))
    assert asked == [Resize(S, 50), Resize(T, 60)]


def test_a_late_fill_that_no_child_is_left_for_is_flattened_once() -> None:
    group, _ = play(stop_and_target(), Filled(P, 40), Filled(S, 40), Ended(T, End.CANCELED))
    group, asked = play(group, Ended(P, End.CANCELED, 60))
    assert asked == [Flatten(P, 20)]
    group, asked = play(group, Ended(P, End.CANCELED, 60))
    assert asked == []


def test_two_exits_that_filled_in_a_race_are_set_right_once() -> None:
    group, _ = play(stop_and_target(), Filled(P, 100), Filled(S, 100))
    group, asked = play(group, Filled(T, 100))
    assert asked == [Flatten(P, -100)]
    assert group.raced
    group, asked = play(group, Filled(T, 100))
    assert asked == []


@pytest.mark.parametrize("how", [End.CANCELED, End.REJECTED, End.EXPIRED, End.MARGIN])
def test_an_entry_that_ends_unfilled_takes_its_children_along(how: End) -> None:
    group, asked = play(stop_and_target(), Ended(P, how))
    assert asked == [Cancel(S), Cancel(T)]
    assert group.done


def test_a_fill_that_surfaces_after_the_entrys_end_is_flattened() -> None:
    group, _ = play(stop_and_target(), Ended(P, End.CANCELED))
    _, asked = play(group, Ended(P, End.CANCELED, 15))
    assert asked == [Flatten(P, 15)]


def test_after_a_partial_fill_the_children_stay() -> None:
    group, asked = play(stop_and_target(), Filled(P, 40), Ended(P, End.CANCELED, 40))
    assert asked == []
    assert [child.open for child in group.children] == [40, 40]


@pytest.mark.parametrize("how", [End.CANCELED, End.EXPIRED])
def test_a_child_that_is_taken_back_dissolves_the_group(how: End) -> None:
    group, asked = play(stop_and_target(), Filled(P, 40), Ended(S, how))
    assert asked == [Cancel(T), Cancel(P)]
    for event in (Ended(P, End.CANCELED, 60), Ended(T, End.CANCELED)):
        group, asked = play(group, event)
        assert asked == []  # what is held is the strategy's own affair now


def test_a_rejected_child_leaves_its_sibling_at_work() -> None:
    group, asked = play(stop_and_target(), Filled(P, 100), Ended(T, End.REJECTED))
    assert asked == []
    assert group.member(S).open == 100  # type: ignore[union-attr]
    _, asked = play(group, Ended(S, End.REJECTED))
    assert asked == []  # the strategy was told of both, and holds what it holds


def test_a_half_size_target_leaves_the_stop_for_the_rest() -> None:
    group, asked = play(stop_and_target(100, target=50), Filled(P, 100))
    assert asked == [Activate(S, 100), Activate(T, 50)]
    group, asked = play(group, Filled(T, 50))
    assert asked == [Resize(S, 50)]
    group, asked = play(group, Filled(S, 50))
    assert asked == []
    assert group.done


def test_what_others_have_closed_no_exit_is_for_and_what_the_entry_fills_then_is_theirs_again() -> None:
    group, _ = play(stop_and_target(), Filled(P, 40))
    group, actions = settle(replace(group, elsewhere=10))
    assert actions == (Resize(S, 30), Resize(T, 30))
    group, actions = play(group, Filled(P, 100))
    assert actions == [Resize(S, 90), Resize(T, 90)]
    group, actions = play(group, Filled(S, 90))
    assert (actions, group.left) == ([Cancel(T)], 0)  # and nothing is left to be closed at market
    group, actions = play(group, Ended(T, End.CANCELED))
    assert (actions, group.done) == ([], True)


def test_a_half_size_target_that_fills_in_part_is_not_made_larger() -> None:
    group, asked = play(stop_and_target(100, target=50), Filled(P, 100), Filled(T, 20))
    assert asked == [Resize(S, 80)]
    assert play(group, Filled(T, 30))[1] == [Resize(S, 70)]


def test_an_exit_that_has_filled_whole_is_not_taken_back_by_a_late_word_of_its_end() -> None:
    """The half that is left keeps its stop."""
    group, _ = play(stop_and_target(100, target=50), Filled(P, 100), Filled(T, 50))
    group, asked = play(group, Ended(T, End.CANCELED, 50))
    assert asked == []
    assert not group.released
    assert group.member(S).open == 50  # type: ignore[union-attr]


def test_what_the_entry_fills_late_behind_its_only_exit_is_flattened() -> None:
    group, asked = play(bracket((P, 100), (S, Role.STOP, 100)), Filled(P, 40), Filled(S, 40))
    assert asked == [Cancel(P)]
    assert play(group, Ended(P, End.CANCELED, 60))[1] == [Flatten(P, 20)]


def test_a_child_larger_than_the_entry_never_works_for_more_than_that() -> None:
    _, asked = play(stop_and_target(100, stop=300), Filled(P, 100))
    assert asked == [Activate(S, 100), Activate(T, 100)]


def test_exits_given_after_the_entry_has_filled_work_at_once() -> None:
    group = bracket((P, 100), (S, Role.STOP, 100), filled=100, alive=False)
    assert settle(group)[1] == (Activate(S, 100),)
    group = bracket((P, 100), (S, Role.STOP, 100), filled=30)
    group, asked = settle(group)
    assert asked == (Activate(S, 30),)
    assert play(group, Ended(P, End.COMPLETED, 100))[1] == [Resize(S, 100)]


def test_a_strangers_event_changes_nothing() -> None:
    group = stop_and_target()
    assert react(group, Filled(99, 5)) == (group, ())


# -- OCO ---------------------------------------------------------------------------------------------


def test_any_execution_of_one_cancels_the_others() -> None:
    group, asked = play(oco((1, 10), (2, 10), (3, 10)), Filled(2, 1))
    assert asked == [Cancel(1), Cancel(3)]
    group, asked = play(group, Filled(2, 10), Ended(1, End.CANCELED), Ended(3, End.CANCELED))
    assert asked == []
    assert group.done
    assert not group.raced


@pytest.mark.parametrize("how", [End.CANCELED, End.EXPIRED])
def test_taking_one_back_cancels_the_others(how: End) -> None:
    assert play(oco((1, 10), (2, 10)), Ended(1, how))[1] == [Cancel(2)]


def test_a_rejected_one_leaves_the_others() -> None:
    assert play(oco((1, 10), (2, 10)), Ended(1, End.REJECTED))[1] == []


def test_two_that_executed_in_a_race_are_noticed() -> None:
    assert play(oco((1, 10), (2, 10)), Filled(1, 5), Filled(2, 5))[0].raced


def test_what_fills_in_parts_where_nothing_should_is_traded_back_part_by_part() -> None:
    group, _ = play(oco((1, 10), (2, 10)), Filled(1, 10))
    for done, more in ((2, 2), (5, 3), (5, 0), (9, 4), (9, 0)):
        group, asked = play(group, Filled(2, done))
        assert asked == ([Flatten(2, more)] if more else [])
    group, _ = play(stop_and_target(), Filled(P, 100), Filled(S, 100))
    for done, more in ((40, 40), (70, 30), (70, 0), (100, 30), (100, 0)):
        group, asked = play(group, Filled(T, done))
        assert asked == ([Flatten(P, -more)] if more else [])


# -- any order of events -----------------------------------------------------------------------------


@dataclass
class Market:
    """The other side: what rests there, what it tells, and what it has been told; each as late as it likes."""

    group: Group
    chance: random.Random
    late: bool
    book: dict[int, list[Any]] = field(default_factory=dict)  # ref -> size, filled, alive
    news: list[Any] = field(default_factory=list)
    told: list[Any] = field(default_factory=list)
    flattened: int = 0
    meddled: bool = False

    def __post_init__(self) -> None:
        for member in self.group.members:
            if member.active:
                self.book[member.ref] = [member.told, 0, True]

    @property
    def entered(self) -> int:
        return int(self.book[P][1])

    @property
    def exited(self) -> int:
        return sum(filled for ref, (_, filled, _) in self.book.items() if ref != P)

    def fill(self, ref: int, quantity: int) -> None:
        order = self.book.get(ref)
        if order is None or not order[2]:
            return
        order[1] = min(order[0], order[1] + quantity)
        if order[1] == order[0]:
            order[2] = False
            self.tell(Ended(ref, End.COMPLETED, order[1]))
        else:
            self.tell(Filled(ref, order[1]))

    def end(self, ref: int, how: End) -> None:
        if ref in self.book and self.book[ref][2]:
            self.book[ref][2] = False
            self.tell(Ended(ref, how, self.book[ref][1]))

    def tell(self, event: Any) -> None:
        self.news.append(event)
        if not self.late:
            self.hear()
        elif self.chance.random() < 0.2:
            self.news.append(event)

    def hear(self) -> None:
        """The group hears one piece of news, not always the oldest."""
        if self.news:
            place = self.chance.randrange(len(self.news)) if self.late else 0
            self.group, asked = react(self.group, self.news.pop(place))
            self.told += asked
            while self.told and not self.late:
                self.obey()

    def obey(self) -> None:
        """The market carries out the oldest instruction, unless it has become impossible."""
        if not self.told:
            return
        action = self.told.pop(0)
        if isinstance(action, Flatten):
            self.flattened += action.size
        elif isinstance(action, Activate):
            assert action.ref not in self.book
            self.book[action.ref] = [action.size, 0, True]
        elif isinstance(action, Resize):
            order = self.book[action.ref]
            if order[2]:
                order[0] = max(action.size, order[1])
                if order[1] == order[0]:
                    order[2] = False
                    self.tell(Ended(action.ref, End.COMPLETED, order[1]))
        else:
            self.end(action.ref, End.CANCELED)

    def settle(self) -> None:
        while self.news or self.told:
            self.hear()
            self.obey()


def run(market: Market, steps: list[tuple[str, int, int]], check: Any) -> None:
    for what, ref, quantity in steps:
        if what == "fill":
            market.fill(ref, quantity)
        elif what == "hear":
            market.hear()
        elif what == "obey":
            market.obey()
        elif what == "cancel":
            market.meddled = True
            market.end(ref, End.CANCELED)
        else:
            market.meddled = True
            market.end(ref, End.REJECTED)
        check()
    market.settle()
    check()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["fill", "fill", "fill", "hear", "hear", "obey", "obey", "cancel", "reject"]),
        st.sampled_from([P, S, T]),
        st.integers(1, 60),
    ),
    max_size=25,
)
SIZES = st.tuples(st.integers(1, 120), st.integers(1, 120), st.integers(1, 120))


@settings(deadline=None)
@given(steps=STEPS, sizes=SIZES)
def test_exits_never_exceed_what_was_entered(steps: Any, sizes: tuple[int, int, int]) -> None:
    market = Market(stop_and_target(*sizes), random.Random(0), late=False)

    def check() -> None:
        assert market.exited <= market.entered
        for ref in (S, T):
            size, filled, alive = market.book.get(ref, (0, 0, False))
            assert not alive or size - filled <= market.entered - market.exited
            assert size <= sizes[ref - 1]
        assert market.flattened == 0 or market.meddled

    run(market, steps, check)


@settings(deadline=None)
@given(steps=STEPS, size=st.integers(1, 120), seed=st.integers(0, 2**32))
def test_with_one_exit_on_the_book_no_lateness_can_reverse_the_position(steps: Any, size: int, seed: int) -> None:
    market = Market(bracket((P, size), (S, Role.STOP, size)), random.Random(seed), late=True)

    def check() -> None:
        assert market.exited <= market.entered

    run(market, steps, check)


@settings(deadline=None)
@given(steps=STEPS, sizes=SIZES, seed=st.integers(0, 2**32))
def test_when_the_dust_settles_nothing_is_reversed_and_nothing_left_naked(
    steps: Any, sizes: tuple[int, int, int], seed: int
) -> None:
    market = Market(stop_and_target(*sizes), random.Random(seed), late=True)
    run(market, steps, lambda: None)
    position = market.entered - market.exited - market.flattened
    assert position == market.group.held
    assert position >= 0
    working = [order[0] - order[1] for ref, order in market.book.items() if ref != P and order[2]]
    assert all(rest <= position for rest in working)
    if position == 0 and market.exited:
        assert not any(alive for _, _, alive in market.book.values())
    if position > 0 and not market.meddled:
        covered = max(sizes[1:]) >= market.entered  # a bracket may be given smaller exits than its entry
        assert working or not covered
    assert settle(market.group) == (market.group, ())


@settings(deadline=None)
@given(
    events=st.lists(
        st.one_of(
            st.builds(Filled, st.sampled_from([P, S, T]), st.integers(0, 100)),
            st.builds(
                Ended, st.sampled_from([P, S, T]), st.sampled_from([End.REJECTED, End.COMPLETED]), st.integers(0, 100)
            ),
        ),
        max_size=8,
    ),
    seed=st.integers(0, 2**32),
)
def test_the_facts_do_not_depend_on_the_order_of_events(events: list[Any], seed: int) -> None:
    told = events * 2
    random.Random(seed).shuffle(told)
    first = second = stop_and_target()
    for event in events:
        first = learn(first, event)
    for event in told:
        second = learn(second, event)
    assert first == second


@settings(deadline=None)
@given(steps=STEPS, sizes=SIZES, seed=st.integers(0, 2**32))
def test_what_was_asked_for_is_not_asked_for_again(steps: Any, sizes: tuple[int, int, int], seed: int) -> None:
    market = Market(stop_and_target(*sizes), random.Random(seed), late=True)
    run(market, steps, lambda: pytest.fail("asked twice") if settle(market.group)[1] else None)


# -- trailing stops ----------------------------------------------------------------------------------


def backtraders(side: Side, given_at: float, amount: float | None, percent: float | None) -> Any:
    """A StopTrail of backtrader's own, without a feed."""
    kind = bt.order.BuyOrder if side is Side.BUY else bt.order.SellOrder
    return kind(
        owner=None,
        data=None,
        size=1,
        price=given_at,
        exectype=bt.Order.StopTrail,
        trailamount=amount,
        trailpercent=percent,
        simulated=True,
    )


@settings(deadline=None)
@given(
    side=st.sampled_from(list(Side)),
    closes=st.lists(st.integers(1_000, 3_000).map(lambda ticks: ticks * 0.05), min_size=1, max_size=20),
    amount=st.sampled_from([None, 0.35, 2.0]),
    percent=st.sampled_from([0.004, 0.02]),
)
def test_a_stop_trails_as_backtraders_to_the_last_bit(
    side: Side, closes: list[float], amount: float | None, percent: float
) -> None:
    order = backtraders(side, closes[0], amount, percent)
    trigger = trail(None, side, closes[0], amount=amount, percent=percent)
    assert trigger == order.created.price
    for close in closes[1:]:
        order.trailadjust(close)
        trigger = trail(trigger, side, close, amount=amount, percent=percent)
        assert trigger == order.created.price


def test_a_trailing_stop_moves_only_towards_the_market() -> None:
    assert trail(98.0, Side.SELL, 110.0, percent=0.02) == pytest.approx(107.8)
    assert trail(107.8, Side.SELL, 105.0, percent=0.02) == 107.8
    assert trail(102.0, Side.BUY, 98.0, amount=2.0) == 100.0
    assert trail(100.0, Side.BUY, 101.0, amount=2.0) == 100.0


def test_what_is_asked_for_is_not_asked_for_again() -> None:
    """An exit trades while the entry still works: the entry's rest goes, once."""
    group = stop_and_target()
    for event in (Filled(P, 40), Filled(S, 10)):
        group, actions = react(group, event)
    assert Cancel(P) in actions
    for filled in (15, 20):
        group, actions = react(group, Filled(S, filled))
        assert Cancel(P) not in actions


def test_a_group_that_holds_something_is_not_done() -> None:
    group = stop_and_target()
    for event in (Filled(P, 100), Ended(P, End.COMPLETED, 100), Ended(S, End.REJECTED), Ended(T, End.REJECTED)):
        group, _ = react(group, event)
    assert group.held == 100
    assert not group.done


def test_siblings_that_stand_alone_are_flattened_and_a_brackets_are_not() -> None:
    """Of a bracket's children the bracket sees to the position."""
    for alone, expected in ((True, [Flatten(2, 5)]), (False, [])):
        group = Group(oco((1, 5), (2, 5)).members, alone=alone)
        group, _ = react(group, Filled(1, 5))
        _, actions = react(group, Filled(2, 5))
        assert [action for action in actions if isinstance(action, Flatten)] == expected


def test_a_bracket_has_raced_if_more_was_exited_than_entered() -> None:
    raced = stop_and_target()
    for event in (Filled(P, 100), Filled(S, 100)):
        raced, _ = react(raced, event)
    assert not raced.raced
    assert learn(raced, Filled(T, 30)).raced
    assert settle(learn(raced, Filled(T, 30)))[0].raced


def test_siblings_work_from_the_start() -> None:
    assert [(member.active, member.told, member.open) for member in oco((1, 5), (2, 7)).members] == [
        (True, 5, 5), (True, 7, 7),
    ]  # fmt: skip
