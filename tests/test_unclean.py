"""Unclean ends: a journal of its own, and what the machine's clock is said to show."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from btkite import unclean
from btkite.clock import ManualClock
from btkite.journal import Journal

NOW = datetime(2026, 11, 23, 10, 0)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    with Journal(tmp_path / "journal.sqlite", ManualClock(datetime(2024, 7, 1, 9, 15))) as made:
        yield made


def crashes(journal: Journal, count: int, start: datetime = NOW, apart: timedelta = MINUTE) -> datetime:
    """So many runs that begin and are killed; when the next one begins."""
    for number in range(count):
        unclean.begin(journal, start + number * apart)
    return start + count * apart


@pytest.mark.parametrize(("count", "paused"), [(0, False), (1, False), (2, False), (3, True), (4, True)])
def test_three_ends_without_a_word_pause_the_next_run(journal: Journal, count: int, *, paused: bool) -> None:
    found = unclean.begin(journal, crashes(journal, count))
    assert len(found) == count
    assert bool(unclean.sentence(found)) is paused


def test_three_that_are_far_apart_are_no_pattern(journal: Journal) -> None:
    found = unclean.begin(journal, crashes(journal, 3, apart=6 * MINUTE))
    assert len(found) == 2
    assert unclean.sentence(found) == ""


def test_a_run_of_hours_that_is_killed_counts_when_it_is_found(journal: Journal) -> None:
    unclean.begin(journal, NOW)
    evening = NOW + timedelta(hours=5)
    assert unclean.begin(journal, evening) == [evening]


def test_a_clean_end_wipes_the_count(journal: Journal) -> None:
    after = crashes(journal, 3)
    unclean.begin(journal, after)
    unclean.end(journal, after + MINUTE, "SIGTERM")
    assert unclean.begin(journal, after + 2 * MINUTE) == []


def test_a_persons_word_wipes_the_count(journal: Journal) -> None:
    after = crashes(journal, 3)
    journal.append("resumed", {})
    assert unclean.begin(journal, after) == []


def test_to_look_is_not_to_begin(journal: Journal) -> None:
    after = crashes(journal, 3)
    head = journal.head
    assert len(unclean.ends(journal, after)) == 3
    assert journal.head == head


def test_an_error_that_ends_a_run_in_good_order_neither_counts_nor_wipes(journal: Journal) -> None:
    after = crashes(journal, 2)
    before = unclean.begin(journal, after)
    unclean.end(journal, after + MINUTE, "an error in next()", before)
    assert unclean.begin(journal, after + 2 * MINUTE) == before
    assert len(unclean.begin(journal, after + 3 * MINUTE)) == 3  # and now one that was killed


def test_a_run_that_goes_on_has_not_ended(journal: Journal) -> None:
    after = crashes(journal, 3)
    assert len(unclean.ends(journal, after, running=True)) == 2
    assert len(unclean.ends(journal, after)) == 3
