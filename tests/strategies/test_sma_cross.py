from __future__ import annotations

import math

import backtrader as bt
import pytest

SPEC = "sma_cross:SmaCross"
FLAT, UP, DOWN = [100.0] * 40, [100.0 + n for n in range(1, 21)], [120.0 - n for n in range(1, 41)]


def wave(n: int = 300) -> list[float]:
    return [100 + 8 * math.sin(i / 11) + 3 * math.sin(i / 3) for i in range(n)]


def test_it_buys_the_cross_and_closes_when_below_again(load, play, minutes):
    ran = play(load(SPEC), minutes(FLAT + UP + DOWN))
    (buy, sell) = ran.orders
    assert (buy["side"], sell["side"]) == ("BUY", "SELL")
    assert buy["created"].strftime("%H:%M") == "09:56"  # the first rising close, bar 41
    assert sell["size"] == buy["size"]
    assert ran.positions == [{"size": 0}]
    assert len(ran.trades) == 1


def test_it_never_holds_more_than_its_percent(load, play, minutes):
    ran = play(load(SPEC), minutes(FLAT + UP))
    assert ran.orders[0]["size"] == 89  # 9 % of 1,00,000 at 101
    assert ran.positions == [{"size": 89}]


def test_it_is_never_short(load, play, minutes):
    ran = play(load(SPEC), minutes(wave()))
    held = 0
    for row in ran.orders:
        held += row["executed_size"] * (1 if row["side"] == "BUY" else -1)
        assert held >= 0
    assert len(ran.trades) >= 3


def test_a_refused_entry_waits_for_the_next_cross(load, play, minutes):
    refused = []

    def refuse(order):
        if not refused:
            refused.append(order.ref)
            return True
        return False

    free = play(load(SPEC), minutes(wave()))
    ran = play(load(SPEC), minutes(wave()), refuse=refuse)
    assert ran.orders[0]["status"] == "Rejected"
    assert [row["created"] for row in ran.orders[1:]] == [row["created"] for row in free.orders[2:]]


def test_a_refused_exit_is_tried_again_on_the_next_bar(load, play, minutes):
    refused = []

    def refuse(order):
        if order.issell() and len(refused) < 3:
            refused.append(order.ref)
            return True
        return False

    ran = play(load(SPEC), minutes(FLAT + UP + DOWN), refuse=refuse)
    assert [row["status"] for row in ran.orders] == ["Completed", "Rejected", "Rejected", "Rejected", "Completed"]
    assert ran.positions == [{"size": 0}]


def test_a_sizer_given_to_cerebro_wins(load, play, minutes):
    ran = play(load(SPEC), minutes(FLAT + UP), sizer=(bt.sizers.FixedSize, {"stake": 3}))
    assert ran.orders[0]["size"] == 3


def test_it_refuses_a_fast_average_that_is_not_faster(load, play, minutes):
    with pytest.raises(ValueError, match="fast < slow"):
        play(load(SPEC), minutes(FLAT), fast=30, slow=30)


def test_two_runs_are_equal_and_so_is_bar_by_bar(load, play, minutes):
    first, second = (play(load(SPEC), minutes(wave())) for _ in range(2))
    slow = play(load(SPEC), minutes(wave()), runonce=False, quicknotify=True)
    assert first.equity == second.equity == slow.equity
    assert first.done() == second.done() == slow.done()


def test_the_future_changes_nothing(load, sees_no_future, minutes):
    sees_no_future(load(SPEC), [minutes(wave())])
