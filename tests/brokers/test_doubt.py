from __future__ import annotations

from btkite.brokers.doubt import AGAIN, LOOKS, WATCH, WATCHED, Doubt

NOW = 1_000_000


def looks(doubt: Doubt, until: int) -> list[int]:
    """When the book is asked, if somebody asks each second."""
    return [second for second in range(until + 1) if doubt.look(NOW + second)]


def test_the_book_is_asked_often_at_first_and_over_the_whole_window():
    doubt = Doubt()
    doubt.begin(1, NOW)
    assert looks(doubt, 100) == list(LOOKS)
    assert LOOKS[-1] >= 90  # so late one was seen


def test_it_says_when_it_is_due():
    doubt = Doubt()
    assert doubt.due() == []
    doubt.begin(1, NOW)
    assert doubt.due() == [NOW + 1]
    doubt.look(NOW + 1)
    assert doubt.due() == [NOW + 2]


def test_a_late_caller_makes_one_look_of_those_that_he_missed_each_time():
    doubt = Doubt()
    doubt.begin(1, NOW)
    assert doubt.look(NOW + 20)
    assert doubt.due() == [NOW + 2]  # still to be made: no look is skipped


def test_what_a_book_asked_too_early_does_not_hold_is_not_given_up():
    doubt = Doubt()
    doubt.begin(1, NOW)
    assert doubt.give_up(NOW + 89) == []
    assert 1 in doubt
    assert doubt.give_up(NOW + 90) == [(1, 90)]
    assert 1 not in doubt


def test_each_order_has_its_own_window():
    doubt = Doubt()
    doubt.begin(1, NOW)
    doubt.begin(2, NOW + 50)
    assert doubt.refs() == [1, 2]
    assert doubt.give_up(NOW + 100) == [(1, 100)]
    assert doubt.refs() == [2]


def test_without_an_answer_the_book_is_asked_on_and_on():
    doubt = Doubt()
    doubt.begin(1, NOW)
    made = looks(doubt, 150)
    assert made == [*LOOKS, 90 + AGAIN, 90 + 2 * AGAIN, 90 + 3 * AGAIN, 90 + 4 * AGAIN]


def test_what_is_known_is_asked_for_no_more():
    doubt = Doubt()
    doubt.begin(1, NOW)
    assert doubt.end(1) is True
    assert doubt.end(1) is False
    assert doubt.due() == []
    assert looks(doubt, 100) == []


def test_what_was_given_up_is_watched_for_an_hour():
    doubt = Doubt()
    doubt.begin(1, NOW)
    doubt.give_up(NOW + 90)
    asked = [second - 90 for second in looks(doubt, 90 + 2 * WATCHED)]
    assert asked == list(range(WATCH, WATCHED + 1, WATCH))
    assert doubt.due() == []


def test_a_given_up_order_that_surfaces_is_watched_no_more():
    doubt = Doubt()
    doubt.begin(1, NOW)
    doubt.give_up(NOW + 90)
    assert doubt.end(1) is False
    assert doubt.due() == []
