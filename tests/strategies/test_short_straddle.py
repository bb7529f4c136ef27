from __future__ import annotations

import math

import pandas as pd
import pytest

SPEC = "short_straddle:ShortStraddle"
CE, PE = [100.0] * 375, [80.0] * 375


def at(stamp: str) -> int:
    """Index of the bar that ends at this time."""
    return int((pd.Timestamp(f"2026-11-18 {stamp}") - pd.Timestamp("2026-11-18 09:16")).total_seconds() // 60)


def test_it_sells_both_legs_at_the_entry_time_and_a_stop_rests_on_each(load, play, minutes):
    ran = play(load(SPEC), minutes(CE), minutes(PE), cash=1_000_000)
    one, two = ran.orders[:2]
    for row, symbol in ((one, "D0"), (two, "D1")):
        assert (row["symbol"], row["side"], row["size"], row["exectype"]) == (symbol, "SELL", 65, "Market")
        assert row["created"].strftime("%H:%M") == "09:20"
    stops = [row for row in ran.orders if row["exectype"] == "Stop"]
    assert [(row["symbol"], row["side"], row["size"], row["price"]) for row in stops] == [
        ("D0", "BUY", 65, 130.0),
        ("D1", "BUY", 65, 104.0),
    ]


def test_at_the_exit_time_stops_are_cancelled_and_legs_bought_back(load, play, minutes):
    ran = play(load(SPEC), minutes(CE), minutes(PE), cash=1_000_000)
    assert [row["status"] for row in ran.orders] == ["Completed"] * 2 + ["Canceled"] * 2 + ["Completed"] * 2
    assert {row["created"].strftime("%H:%M") for row in ran.orders[4:]} == {"15:10"}
    assert ran.positions == [{"size": 0}, {"size": 0}]


def test_a_stopped_leg_leaves_the_other_alone(load, play, minutes):
    call = list(CE)
    call[at("11:00") :] = [(128.0, 140.0, 128.0, 140.0)] + [140.0] * (375 - at("11:00") - 1)
    ran = play(load(SPEC), minutes(call), minutes(PE), cash=1_000_000)
    by_symbol = {trade["symbol"]: trade for trade in ran.trades}
    assert by_symbol["D0"]["exit_price"] == 130.0
    assert by_symbol["D0"]["exit_time"].strftime("%H:%M") == "11:00"
    assert by_symbol["D1"]["exit_time"].strftime("%H:%M") == "15:11"
    assert ran.positions == [{"size": 0}, {"size": 0}]


def test_stop_prices_are_on_the_tick_and_never_below_the_asked_distance(load, play, minutes):
    ran = play(load(SPEC), minutes([100.15] * 375), minutes(PE), cash=1_000_000)
    stop = next(row for row in ran.orders if row["exectype"] == "Stop")
    assert stop["price"] == 130.2  # 130.195 rounded up


def test_lots_count_in_lots_of_the_instrument_or_the_parameter(load, play, minutes):
    ran = play(load(SPEC), minutes(CE), minutes(PE), cash=1_000_000, lots=2, lot=75)
    assert ran.orders[0]["size"] == 150


@pytest.mark.parametrize("leg", [0, 1])
def test_if_one_leg_is_refused_the_other_is_bought_back(load, play, minutes, leg):
    ran = play(
        load(SPEC),
        minutes(CE),
        minutes(PE),
        cash=1_000_000,
        refuse=lambda order: order.issell() and order.data._name == f"D{leg}",
    )
    assert [row["status"] for row in ran.orders if row["side"] == "SELL"].count("Rejected") == 1
    assert ran.positions == [{"size": 0}, {"size": 0}]
    assert ran.trades[0]["exit_time"].strftime("%H:%M") <= "09:23"
    assert len([row for row in ran.orders if row["side"] == "SELL"]) == 2  # one attempt a day


def test_a_leg_whose_stop_is_refused_is_bought_back(load, play, minutes):
    ran = play(
        load(SPEC),
        minutes(CE),
        minutes(PE),
        cash=1_000_000,
        refuse=lambda order: order.exectype == order.Stop and order.data._name == "D0",
    )
    by_symbol = {trade["symbol"]: trade for trade in ran.trades}
    assert by_symbol["D0"]["exit_time"].strftime("%H:%M") <= "09:23"
    assert by_symbol["D1"]["exit_time"].strftime("%H:%M") == "15:11"


def test_it_waits_until_both_legs_have_traded_today_but_not_for_ever(load, play, minutes):
    late = minutes(PE).iloc[at("09:40") :]
    ran = play(load(SPEC), minutes(CE), late, cash=1_000_000)
    assert {row["created"].strftime("%H:%M") for row in ran.orders[:2]} == {"09:40"}
    too_late = minutes(PE).iloc[at("10:00") :]
    assert play(load(SPEC), minutes(CE), too_late, cash=1_000_000).orders == []


def test_it_sells_once_a_day_and_again_the_next_day(load, play, minutes):
    frames = [pd.concat([minutes(leg), minutes(leg, day="2026-11-19")]) for leg in (CE, PE)]
    ran = play(load(SPEC), *frames, cash=1_000_000)
    assert [row["created"].strftime("%d %H:%M") for row in ran.orders if row["side"] == "SELL"] == [
        "18 09:20",
        "18 09:20",
        "19 09:20",
        "19 09:20",
    ]
    assert ran.positions == [{"size": 0}, {"size": 0}]


def moving() -> tuple[list[float], list[float]]:
    return (
        [round(100 + 25 * math.sin(n / 40), 2) for n in range(375)],
        [round(80 - 15 * math.sin(n / 40), 2) for n in range(375)],
    )


def test_two_runs_are_equal_and_so_is_bar_by_bar(load, play, minutes):
    one, two = moving()
    first, second = (play(load(SPEC), minutes(one), minutes(two), cash=1_000_000) for _ in range(2))
    slow = play(load(SPEC), minutes(one), minutes(two), cash=1_000_000, runonce=False)
    assert first.done() == second.done() == slow.done()
    assert first.equity == second.equity == slow.equity


def test_with_notices_at_once_it_does_the_same_deals(load, play, minutes):
    one, two = moving()
    later = play(load(SPEC), minutes(one), minutes(two), cash=1_000_000)
    at_once = play(load(SPEC), minutes(one), minutes(two), cash=1_000_000, quicknotify=True)
    assert [row[1:3] for row in at_once.done()] == [row[1:3] for row in later.done()]
    assert at_once.positions == [{"size": 0}, {"size": 0}]


def test_the_future_changes_nothing(load, sees_no_future, minutes):
    one, two = moving()
    sees_no_future(load(SPEC), [minutes(one), minutes(two)], cash=1_000_000)


def test_after_a_restart_without_legs_the_day_is_still_open(load, play, minutes):
    class Restarted(load(SPEC)):
        def nextstart(self):
            self.restored([], None)
            super().nextstart()

    ran = play(Restarted, minutes(CE), minutes(PE), cash=1_000_000)
    assert len([row for row in ran.orders if row["side"] == "SELL"]) == 2


def test_after_a_restart_with_a_leg_nothing_more_is_sold_and_the_leg_is_not_left_bare(load, play, minutes):
    class Restarted(load(SPEC)):
        def nextstart(self):
            self.restored([self.sell(data=self.data0, size=65)], None)
            super().nextstart()

    ran = play(Restarted, minutes(CE), minutes(PE), cash=1_000_000)
    assert [(row["side"], row["exectype"]) for row in ran.orders] == [
        ("SELL", "Market"),
        ("BUY", "Stop"),
        ("BUY", "Market"),
    ]
    assert ran.positions == [{"size": 0}, {"size": 0}]
