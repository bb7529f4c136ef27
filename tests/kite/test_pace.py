from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btkite.clock import ExchangeClock, ManualClock, SystemClock
from btkite.errors import RuleViolation
from btkite.kite.pace import BUDGETS, Budget, Kind, Lane, Limit, Pace
from tests.kite.fakes import FakeRest, data

NOON = datetime(2026, 11, 23, 12, 0)


def most_in_a_window(moments: Sequence[datetime], seconds: float) -> int:
    """The largest number of moments in any half-open window: each window may start at a moment."""
    span = timedelta(seconds=seconds)
    return max((sum(first <= other < first + span for other in moments) for first in moments), default=0)


@given(
    st.lists(
        st.tuples(st.sampled_from(list(Lane)), st.integers(0, 400_000)),
        min_size=1,
        max_size=80,
    )
)
def test_no_window_ever_holds_more_order_calls_than_kite_allows(steps: list[tuple[Lane, int]]) -> None:
    clock = ManualClock(NOON)
    pace = Pace(clock)
    sent: list[datetime] = []
    entries: list[datetime] = []
    for lane, microseconds in steps:
        clock.advance(microseconds / 1e6)
        asked = clock.now()
        pace.take(Kind.ORDER, lane)
        sent.append(clock.now())
        if lane is Lane.ENTRY:
            entries.append(clock.now())
        assert clock.now() - asked <= timedelta(seconds=2.2)
    assert most_in_a_window(sent, 1.1) <= 10
    assert most_in_a_window(entries, 0.88) <= 8


@given(st.sampled_from([Kind.QUOTE, Kind.HISTORICAL, Kind.OTHER]), st.lists(st.integers(0, 700_000), max_size=60))
def test_no_window_ever_holds_more_reads_than_kite_allows(kind: Kind, steps: list[int]) -> None:
    clock = ManualClock(NOON)
    pace = Pace(clock)
    sent = []
    for microseconds in steps:
        clock.advance(microseconds / 1e6)
        pace.take(kind)
        sent.append(clock.now())
    assert most_in_a_window(sent, 1.0) <= {Kind.QUOTE: 1, Kind.HISTORICAL: 3, Kind.OTHER: 10}[kind]


def test_ten_go_at_once_and_the_eleventh_waits(clock: ManualClock) -> None:
    pace = Pace(clock)
    for _ in range(10):
        pace.take(Kind.ORDER, Lane.EXIT)
    assert clock.now() == NOON
    pace.take(Kind.ORDER, Lane.EXIT)
    assert clock.now() == NOON + timedelta(seconds=1.1)


def test_entries_leave_room_for_exits_and_cancels(clock: ManualClock) -> None:
    pace = Pace(clock)
    for _ in range(8):
        pace.take(Kind.ORDER, Lane.ENTRY)
    assert pace.ready_at(Kind.ORDER, Lane.ENTRY) > clock.now()
    assert pace.ready_at(Kind.ORDER, Lane.EXIT) == clock.now()
    assert pace.ready_at(Kind.ORDER, Lane.CANCEL) == clock.now()


def test_an_exit_waits_a_fifth_of_a_second_at_most_while_entries_flood(clock: ManualClock) -> None:
    pace = Pace(clock)
    for _ in range(60):
        pace.take(Kind.ORDER, Lane.ENTRY)
        assert pace.ready_at(Kind.ORDER, Lane.EXIT) <= clock.now() + timedelta(seconds=0.221)
    assert clock.now() - NOON <= timedelta(seconds=6.5)


def test_a_call_counts_from_its_answer(clock: ManualClock) -> None:
    """Of ten calls the first was a second on its way: Kite may have counted it at the end of it."""
    pace = Pace(clock)
    first = pace.take(Kind.ORDER, Lane.EXIT)
    clock.advance(1.0)
    pace.answered(Kind.ORDER, first)
    for _ in range(9):
        pace.take(Kind.ORDER, Lane.EXIT)
    assert pace.ready_at(Kind.ORDER, Lane.EXIT) == NOON + timedelta(seconds=2.1)


def test_the_minute_holds_400_calls_at_most(clock: ManualClock) -> None:
    pace = Pace(clock)
    sent = []
    for _ in range(900):
        pace.take(Kind.ORDER, Lane.EXIT)
        sent.append(clock.now())
    assert most_in_a_window(sent, 60.0) == 400


def test_the_days_budget_ends_in_a_refusal_and_comes_back_the_next_day(clock: ManualClock) -> None:
    pace = Pace(clock, used_today=4499)
    pace.take(Kind.ORDER, Lane.ENTRY)
    with pytest.raises(RuleViolation, match="4500 order calls were made today and Kite allows 5000, 500 of them kept"):
        pace.take(Kind.ORDER, Lane.ENTRY)
    pace.take(Kind.ORDER, Lane.EXIT)
    assert pace.orders_today == 4501
    clock.advance(86_400)
    assert pace.orders_today == 0
    pace.take(Kind.ORDER, Lane.ENTRY)


def test_the_last_call_of_the_day_is_refused_to_exits_too(clock: ManualClock) -> None:
    pace = Pace(clock, used_today=5000)
    with pytest.raises(RuleViolation, match=r"Kite allows 5000$"):
        pace.take(Kind.ORDER, Lane.CANCEL)


def test_kinds_are_counted_apart(clock: ManualClock) -> None:
    pace = Pace(clock)
    pace.take(Kind.QUOTE)
    pace.take(Kind.HISTORICAL)
    pace.take(Kind.ORDER)
    assert clock.now() == NOON
    assert pace.ready_at(Kind.QUOTE) == NOON + timedelta(seconds=1.1)
    assert pace.orders_today == 1


def test_a_clock_that_is_set_back_does_not_hold_calls_for_long(clock: ManualClock) -> None:
    pace = Pace(clock)
    for _ in range(10):
        pace.take(Kind.ORDER, Lane.EXIT)
    clock.set(NOON - timedelta(hours=1))
    assert pace.ready_at(Kind.ORDER, Lane.EXIT) == NOON - timedelta(hours=1) + timedelta(seconds=1.1)


def test_who_waits_in_a_lower_lane_goes_first() -> None:
    """Two threads wait for one place: the cancel takes it, though the entry came first."""
    clock = SystemClock()
    tight = {**BUDGETS, Kind.ORDER: Budget((Limit(1, 0.5, 1),))}
    pace = Pace(clock, budgets=tight)
    pace.take(Kind.ORDER, Lane.ENTRY)
    went: list[Lane] = []

    def go(lane: Lane) -> None:
        pace.take(Kind.ORDER, lane)
        went.append(lane)

    entry = threading.Thread(target=go, args=(Lane.ENTRY,))
    entry.start()
    cancel = threading.Thread(target=go, args=(Lane.CANCEL,))
    cancel.start()
    entry.join(10)
    cancel.join(10)
    assert went == [Lane.CANCEL, Lane.ENTRY]


def test_in_lock_step_reads_cost_no_time(rest: FakeRest) -> None:
    """The exchange's time stands while we read, so waiting for it would be for ever; it counts no reads there."""
    rest.on("/_exchange/clock", data({"now": "2026-11-23T12:00:00+05:30", "speed": 0}))
    clock = ExchangeClock(rest.root, lockstep=True)
    pace = Pace(clock)
    for _ in range(20):
        pace.take(Kind.QUOTE)
    assert clock.now() == NOON
    assert len(rest.asked) == 1  # the clock's first look; no pull by us
    clock.close()


def test_many_threads_together_keep_the_limit() -> None:
    clock = SystemClock()
    pace = Pace(clock, budgets={**BUDGETS, Kind.ORDER: Budget((Limit(5, 0.2, 5),))})
    sent: list[datetime] = []
    lock = threading.Lock()

    def go() -> None:
        for _ in range(4):
            pace.take(Kind.ORDER, Lane.ENTRY)
            with lock:
                sent.append(clock.now())

    threads = [threading.Thread(target=go) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(sent) == 16
    # The moments were noted after the turn was taken, so a window may hold one of the turn before.
    assert most_in_a_window(sent, 0.1) <= 10
    assert max(sent) - min(sent) >= timedelta(seconds=0.55)


def test_the_calls_of_a_process_that_is_no_more_count_for_the_day_and_the_minute() -> None:
    clock = ManualClock(NOON)
    pace = Pace(clock)
    yesterday = [NOON - timedelta(days=1, minutes=n) for n in range(5, 0, -1)]
    today = [NOON - timedelta(seconds=n) for n in (300, 90)]
    just_now = [NOON - timedelta(milliseconds=n) for n in range(850, 50, -100)]
    pace.remember([*yesterday, *today, *just_now])
    assert pace.orders_today == 10
    assert pace.ready_at(Kind.ORDER, Lane.ENTRY) == just_now[0] + timedelta(seconds=0.88)
    assert pace.ready_at(Kind.ORDER, Lane.EXIT) <= clock.now()
    clock.advance(86_400)
    assert pace.orders_today == 0


def test_calls_that_are_known_already_are_not_counted_twice() -> None:
    clock = ManualClock(NOON)
    pace = Pace(clock)
    for _ in range(3):
        pace.take(Kind.ORDER)
    pace.remember([NOON - timedelta(seconds=1), NOON, NOON, NOON])
    pace.remember([NOON, NOON])
    assert pace.orders_today == 4


def test_a_call_that_is_answered_is_counted_once(clock: ManualClock) -> None:
    pace = Pace(clock, budgets={**BUDGETS, Kind.ORDER: Budget((Limit(2, 10.0, 2),), 5000, 4500)})
    first = pace.take(Kind.ORDER)
    clock.advance(1.0)
    pace.answered(Kind.ORDER, first)
    assert pace.orders_today == 1
    assert pace.ready_at(Kind.ORDER) <= clock.now()
    pace.take(Kind.ORDER)
    # Each goes when ten seconds have passed since its answer, or since it was made, if it has none yet.
    assert pace.ready_at(Kind.ORDER) == NOON + timedelta(seconds=11)
    pace.answered(Kind.ORDER, clock.now())
    clock.advance(10.0)
    assert pace.ready_at(Kind.ORDER) <= clock.now()


def test_an_answer_to_a_call_that_no_window_holds_any_more_counts_nothing(clock: ManualClock) -> None:
    pace = Pace(clock)
    moment = pace.take(Kind.ORDER)
    clock.advance(600)
    pace.ready_at(Kind.ORDER)
    pace.answered(Kind.ORDER, moment)
    for _ in range(10):
        pace.take(Kind.ORDER, Lane.EXIT)
        assert clock.now() == NOON + timedelta(seconds=600)


def test_what_is_remembered_on_another_day_is_of_that_day(clock: ManualClock) -> None:
    """The process has slept over midnight, with yesterday's count in mind."""
    pace = Pace(clock, used_today=40)
    tomorrow = NOON + timedelta(days=1)
    clock.set(tomorrow)
    pace.remember([NOON, *(tomorrow - timedelta(minutes=n) for n in (3, 2, 1))])
    assert pace.orders_today == 3


def test_what_is_remembered_does_not_make_it_forget_its_own_calls(clock: ManualClock) -> None:
    pace = Pace(clock)
    for _ in range(10):
        pace.take(Kind.ORDER, Lane.EXIT)
    pace.remember([clock.now()] * 3)
    assert pace.ready_at(Kind.ORDER, Lane.EXIT) > clock.now()
    assert pace.orders_today == 10


def test_moments_of_the_future_are_no_calls_of_this_minute(clock: ManualClock) -> None:
    pace = Pace(clock)
    pace.remember([clock.now() + timedelta(seconds=5)] * 20)
    assert pace.ready_at(Kind.ORDER) <= clock.now()
