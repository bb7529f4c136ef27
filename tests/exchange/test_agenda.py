"""Appointments with the market: when they are kept, and in what order."""

from __future__ import annotations

from datetime import timedelta

from btkite.exchange.clock import DAY as WHOLE_DAY
from btkite.exchange.clock import MINUTE, SECOND, kite_text, stamp

from .scene import DAY, KEY, Scene
from .test_market import two_days

FLAT = (100.0, 100.0, 100.0, 100.0)
MIDNIGHT = stamp(DAY)
OPEN = MINUTE * (9 * 60 + 15)


def test_an_appointment_is_kept_between_the_prints_around_it() -> None:
    scene = Scene([FLAT]).opened()
    listing = scene.venue.market.listings[KEY]
    seen: list[tuple[str, int]] = []
    scene.venue.market.at(MIDNIGHT + OPEN + 30 * SECOND, lambda us: seen.append((kite_text(us), listing.printed)))
    scene.bar()
    assert seen == [("2026-11-18 09:15:30", 2)]


def test_at_one_moment_an_appointment_comes_after_the_bars_end_and_before_the_print() -> None:
    scene = Scene([FLAT, FLAT]).opened()
    listing = scene.venue.market.listings[KEY]
    seen: list[int] = []
    scene.venue.market.at(MIDNIGHT + OPEN + MINUTE, lambda us: seen.append(listing.printed))
    assert scene.bar() == "09:16:00"
    assert seen == []
    scene.bar()
    assert seen == [4]


def test_a_pull_stops_at_an_appointment_that_changed_an_order() -> None:
    scene = Scene([FLAT]).opened()
    order = scene.place("BUY", "LIMIT", price=90.0)

    def cancel(us: int) -> bool:
        scene.venue.cancel("regular", order.order_id)
        return True

    scene.venue.market.at(MIDNIGHT + OPEN + 45 * SECOND, cancel)
    assert scene.bar() == "09:15:45"
    assert order.status == "CANCELLED"


def test_an_appointment_in_the_past_is_kept_at_once() -> None:
    scene = Scene([FLAT]).opened()
    seen: list[str] = []
    scene.venue.market.at(MIDNIGHT, lambda us: seen.append(scene.now))
    scene.bar()
    assert seen == ["09:15:00"]


def test_a_rule_of_every_day_is_asked_for_each_day_that_is_played() -> None:
    scene = Scene(candles={KEY: two_days()})
    seen: list[str] = []

    def rule(day: int):  # type: ignore[no-untyped-def]
        return [(day * WHOLE_DAY + 9 * 60 * MINUTE + minute * MINUTE, seen_at) for minute in (-30, 5)]

    def seen_at(us: int) -> None:
        seen.append(kite_text(us))

    scene.venue.market.every_day(rule)
    scene.to_end()
    assert seen == ["2026-11-18 09:05:00", "2026-11-19 08:30:00", "2026-11-19 09:05:00"]


def test_appointments_are_kept_when_time_is_moved_by_hand_and_their_time_is_now() -> None:
    scene = Scene([FLAT])
    times: list[str] = []
    for minute in (5, 2):
        scene.venue.market.at(MIDNIGHT + (9 * 60 + minute) * MINUTE, lambda us: times.append(scene.now))
    scene.venue.move_to(stamp(DAY + timedelta(hours=9, minutes=10)))
    assert times == ["09:02:00", "09:05:00"]
    assert scene.now == "09:10:00"
