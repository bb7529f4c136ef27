from __future__ import annotations

import math
import random
from datetime import timedelta

import pytest

SPEC = "mean_reversion:MeanReversion"
CALM = [100.0, 100.4, 100.0, 99.6] * 10  # deviation 0.28


def walk(n: int = 375) -> list[tuple]:
    rng, price, rows = random.Random(7), 500.0, []
    for i in range(n):
        close = 500 + 6 * math.sin(i / 20) + rng.gauss(0, 1.2)
        rows.append((price, max(price, close) + 0.3, min(price, close) - 0.3, close))
        price = close
    return rows


def test_it_buys_a_fall_through_the_band_on_a_limit_that_lapses_in_minutes(load, play, minutes):
    ran = play(load(SPEC), minutes([*CALM, 99.0, 98.9, 99.5, 100.2, 100.3, 100.2]))
    entry, leave = ran.orders[:2]
    assert (entry["exectype"], entry["side"], entry["price"]) == ("Limit", "BUY", 99.0)
    assert entry["valid"] - entry["created"] == timedelta(minutes=5)
    assert (leave["exectype"], leave["side"], leave["price"]) == ("Limit", "SELL", 100.2)
    assert leave["size"] == entry["size"] == 90  # 9 % of 1,00,000 at 99: 90.9


def test_an_entry_that_lapses_is_not_repeated_until_the_next_fall(load, play, minutes):
    away = [(100.0, 100.2, 99.9, 100.0)] * 20
    ran = play(load(SPEC), minutes([*CALM, 99.0, *away]))
    assert [row["status"] for row in ran.orders] == ["Expired"]


def test_an_exit_that_lapses_is_given_anew(load, play, minutes):
    # Bought at 99; the sale at 101 is never reached, because the price then rests just below it.
    rest = [(100.5, 100.6, 100.4, 100.5 + 0.05 * (n % 2)) for n in range(20)]
    ran = play(load(SPEC), minutes([*CALM, 99.0, 98.9, 101.0, *rest]))
    sells = [row for row in ran.orders if row["side"] == "SELL"]
    assert sells[0]["status"] == "Expired"
    assert len(sells) >= 2
    assert sells[1]["created"] > sells[0]["created"]


def test_a_further_fall_is_stopped_out_at_the_market(load, play, minutes):
    ran = play(load(SPEC), minutes([*CALM, 99.0, 98.9, 80.0, 80.0, 80.0]), stop=3.5)
    assert [(row["side"], row["exectype"], row["status"]) for row in ran.orders] == [
        ("BUY", "Limit", "Completed"),
        ("SELL", "Market", "Completed"),
    ]
    assert ran.positions == [{"size": 0}]


def test_the_stop_takes_a_working_limit_exit_off_first(load, play, minutes):
    # Sale at 101.0 rests, then the price collapses within its five minutes.
    ran = play(load(SPEC), minutes([*CALM, 99.0, 98.9, 101.0, 100.5, 80.0, 80.0, 80.0]), stop=3.0)
    assert [row["status"] for row in ran.orders] == ["Completed", "Canceled", "Completed"]
    assert ran.positions == [{"size": 0}]


def test_a_price_that_stands_still_is_left_alone(load, play, minutes):
    assert play(load(SPEC), minutes([100.05] * 60)).orders == []


def test_a_refused_order_does_not_wedge_it(load, play, minutes):
    refused = []

    def refuse(order):
        refused.append(order.ref)
        return len(refused) <= 2

    ran = play(load(SPEC), minutes(walk()), refuse=refuse)
    assert [row["status"] for row in ran.orders[:2]] == ["Rejected", "Rejected"]
    assert ran.trades


def test_it_is_never_short(load, play, minutes):
    ran = play(load(SPEC), minutes(walk()))
    held = 0
    for row in ran.orders:
        held += row["executed_size"] * (1 if row["side"] == "BUY" else -1)
        assert held >= 0
    assert len(ran.trades) >= 3


def test_bounds_in_the_wrong_order_are_refused(load, play, minutes):
    with pytest.raises(ValueError, match="-stop < -entry < exit"):
        play(load(SPEC), minutes(CALM), entry=4.0, stop=3.0)


def test_two_runs_are_equal_and_so_is_bar_by_bar(load, play, minutes):
    first, second = (play(load(SPEC), minutes(walk())) for _ in range(2))
    slow = play(load(SPEC), minutes(walk()), runonce=False, quicknotify=True)
    assert first.done() == second.done() == slow.done()
    assert first.equity == second.equity == slow.equity


def test_the_future_changes_nothing(load, sees_no_future, minutes):
    sees_no_future(load(SPEC), [minutes(walk())])
