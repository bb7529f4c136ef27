from __future__ import annotations

import math
import random

import pandas as pd
import pytest

SPEC = "pair:Pair"


def legs(n: int = 375, seed: int = 3) -> tuple[list[float], list[float]]:
    rng, one, two, away = random.Random(seed), [], [], 0.0
    for i in range(n):
        base = 100 + 2 * math.sin(i / 60)
        away = 0.85 * away + rng.gauss(0, 0.3)
        one.append(round(base + away, 2))
        two.append(round(2 * base, 2))
    return one, two


def quiet(n: int) -> list[float]:
    return [100.0 + 0.1 * (i % 2) for i in range(n)]


def test_a_dear_leg_is_sold_and_a_cheap_one_bought_at_the_market(load, play, minutes):
    one = [*quiet(60), 100.15, 100.2, 100.2]
    ran = play(load(SPEC), minutes(one), minutes([100.0] * len(one)))
    (short, long) = ran.orders[:2]
    assert (short["symbol"], short["side"], short["exectype"]) == ("D0", "SELL", "Market")
    assert (long["symbol"], long["side"], long["exectype"]) == ("D1", "BUY", "Market")
    assert short["created"] == long["created"]
    assert short["size"] * 100.2 == pytest.approx(long["size"] * 100.0, rel=0.02)


def test_both_legs_are_closed_when_the_ratio_is_back(load, play, minutes):
    one = [*quiet(60), 100.15, 100.2, 100.1, 100.05, 100.05, 100.05]
    ran = play(load(SPEC), minutes(one), minutes([100.0] * len(one)))
    assert [row["status"] for row in ran.orders] == ["Completed"] * 4
    assert ran.positions == [{"size": 0}, {"size": 0}]
    assert ran.orders[2]["created"].strftime("%H:%M") < "10:22"


def test_a_ratio_that_runs_away_is_stopped(load, play, minutes):
    one = [*quiet(60), 100.17, 101.0, 104.0, 104.0, 104.0]
    ran = play(load(SPEC), minutes(one), minutes([100.0] * len(one)))
    assert ran.positions == [{"size": 0}, {"size": 0}]
    assert {row["created"] for row in ran.orders[2:]} == {ran.orders[0]["created"] + pd.Timedelta(minutes=1)}
    assert min(trade["pnl"] for trade in ran.trades) < 0


def test_nothing_stays_overnight(load, play, minutes):
    # The ratio leaves the band at 14:40 and drifts on, never back: only the clock ends the trade.
    before = quiet(324)
    drift = [100.17 + 0.002 * n for n in range(375 - len(before))]
    one = before + drift
    ran = play(load(SPEC), minutes(one), minutes([100.0] * 375), stop=50.0, exit=0.0)
    assert [row["created"].strftime("%H:%M") for row in ran.orders] == ["14:40", "14:40", "15:10", "15:10"]
    assert ran.positions == [{"size": 0}, {"size": 0}]


def test_nothing_is_opened_late(load, play, minutes):
    one = quiet(331) + [100.2] * 44  # leaves the band at 14:47
    assert play(load(SPEC), minutes(one), minutes([100.0] * 375)).orders == []


@pytest.mark.parametrize("refused", ["SELL", "BUY"])
def test_if_one_leg_is_refused_the_other_is_closed(load, play, minutes, refused):
    one = [*quiet(60), 100.15, 100.2, 100.2, 100.2, 100.2, 100.2]
    count = []

    def refuse(order):
        count.append(order)
        return len(count) <= 2 and order.isbuy() == (refused == "BUY")

    ran = play(load(SPEC), minutes(one), minutes([100.0] * len(one)), refuse=refuse)
    assert sorted(row["status"] for row in ran.orders) == ["Completed", "Completed", "Rejected"]
    assert ran.positions == [{"size": 0}, {"size": 0}]


def test_a_bar_of_one_feed_alone_decides_nothing(load, play, minutes):
    one = minutes([*quiet(60), 100.15, 100.2, 100.2])
    two = minutes([100.0] * 63).drop(one.index[[60, 61]])
    ran = play(load(SPEC), one, two)
    assert {row["created"] for row in ran.orders} <= {one.index[62]}


def test_two_runs_are_equal_and_so_is_bar_by_bar(load, play, minutes):
    one, two = legs()
    first, second = (play(load(SPEC), minutes(one), minutes(two)) for _ in range(2))
    slow = play(load(SPEC), minutes(one), minutes(two), runonce=False, quicknotify=True)
    assert len(first.trades) >= 4
    assert first.done() == second.done() == slow.done()
    assert first.equity == second.equity == slow.equity


def test_the_future_changes_nothing(load, sees_no_future, minutes):
    one, two = legs()
    sees_no_future(load(SPEC), [minutes(one), minutes(two)])


def test_it_needs_two_feeds(load, play, minutes):
    with pytest.raises(ValueError, match="two data feeds"):
        play(load(SPEC), minutes(quiet(10)))
