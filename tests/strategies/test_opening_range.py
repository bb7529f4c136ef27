from __future__ import annotations

import math
from datetime import timedelta

import backtrader as bt
import pandas as pd

SPEC = "opening_range:OpeningRangeBreakout"
# 15 bars between 99 and 101, then quiet inside the range up to 10:00.
RANGE = [(100.0, 101.0, 99.0, 100.0)] * 15
QUIET = [(100.0, 100.5, 99.5, 100.0)] * 30  # 09:31 … 10:00
BREAK = (100.0, 101.6, 100.0, 101.5)  # 10:01
REST = 330 - 1


def day(after: list, tail: tuple | None = None) -> list:
    rows = RANGE + QUIET + after
    return rows + [tail or (101.5, 101.5, 101.5, 101.5)] * (375 - len(rows))


def test_it_buys_the_first_close_above_the_range_with_stop_and_target(load, play, minutes):
    ran = play(load(SPEC), minutes(day([BREAK])))
    entry, stop, target = ran.orders[:3]
    assert (entry["created"].strftime("%H:%M"), entry["exectype"], entry["side"]) == ("10:01", "Market", "BUY")
    assert entry["size"] == 88  # 9 % of 1,00,000 at 101.5
    assert (stop["exectype"], stop["price"], stop["parent"]) == ("Stop", 99.0, entry["ref"])
    assert (target["exectype"], target["price"], target["parent"]) == ("Limit", 106.5, entry["ref"])  # 101.5 + 2 x 2.5


def test_a_close_inside_the_range_or_a_high_above_it_is_no_breakout(load, play, minutes):
    ran = play(load(SPEC), minutes(day([(100.0, 103.0, 100.0, 101.0)], tail=(100.0, 101.0, 99.0, 100.0))))
    assert ran.orders == []


def test_the_target_ends_the_trade_and_takes_the_stop_away(load, play, minutes):
    rise = [(101.5, 102.0, 101.5, 102.0), (102.0, 107.0, 102.0, 107.0)]
    ran = play(load(SPEC), minutes(day([BREAK, *rise], tail=(107.0, 107.0, 107.0, 107.0))))
    assert [row["status"] for row in ran.orders] == ["Completed", "Canceled", "Completed"]
    assert ran.trades[0]["exit_price"] == 106.5
    assert len(ran.trades) == 1


def test_the_stop_ends_the_trade_and_there_is_no_second_one_that_day(load, play, minutes):
    fall = [(101.5, 101.5, 101.0, 101.0), (101.0, 101.0, 98.5, 98.6)]
    again = [(101.0, 102.0, 101.0, 101.9)] * 20
    ran = play(load(SPEC), minutes(day([BREAK, *fall, *again])))
    assert [row["status"] for row in ran.orders] == ["Completed", "Completed", "Canceled"]
    assert ran.trades[0]["exit_price"] == 99.0
    assert ran.trades[0]["pnl"] < 0


def test_at_the_exit_time_the_bracket_is_cancelled_and_the_position_closed(load, play, minutes):
    ran = play(load(SPEC), minutes(day([BREAK])))
    assert [row["status"] for row in ran.orders] == ["Completed", "Canceled", "Canceled", "Completed"]
    leaving = ran.orders[-1]
    assert leaving["created"].strftime("%H:%M") == "15:10"
    assert ran.trades[0]["exit_time"].strftime("%H:%M") == "15:11"
    assert ran.positions == [{"size": 0}]


def test_no_entry_from_the_last_entry_time_on(load, play, minutes):
    rows = RANGE + [(100.0, 100.5, 99.5, 100.0)] * (375 - 15)
    for stamp, expected in (("14:29", 1), ("14:30", 0)):
        late = list(rows)
        at = int((pd.Timestamp(f"2026-11-18 {stamp}") - pd.Timestamp("2026-11-18 09:16")) / timedelta(minutes=1))
        late[at] = BREAK
        ran = play(load(SPEC), minutes(late))
        assert len([row for row in ran.orders if row["parent"] is None and row["side"] == "BUY"]) == expected


def test_every_day_has_its_own_range_and_its_own_attempt(load, play, minutes):
    second = [(o + 50, h + 50, low + 50, c + 50) for o, h, low, c in day([BREAK])]
    ran = play(load(SPEC), pd.concat([minutes(day([BREAK])), minutes(second, day="2026-11-19")]))
    entries = [row for row in ran.orders if row["side"] == "BUY"]
    assert [row["created"].strftime("%d %H:%M") for row in entries] == ["18 10:01", "19 10:01"]
    assert [row["price"] for row in ran.orders if row["exectype"] == "Stop"] == [99.0, 149.0]
    assert len(ran.trades) == 2


def test_a_feed_that_begins_after_the_opening_does_not_trade_that_day(load, play, minutes):
    rows = day([BREAK])
    assert play(load(SPEC), minutes(rows[20:], first="09:36")).orders == []
    both = pd.concat([minutes(rows[20:], first="09:36"), minutes(rows, day="2026-11-19")])
    assert {row["created"].day for row in play(load(SPEC), both).orders} == {19}


def test_a_refused_entry_spends_the_attempt_and_leaves_no_children(load, play, minutes):
    ran = play(load(SPEC), minutes(day([BREAK])), refuse=lambda order: order.parent is None)
    assert ran.orders[0]["status"] == "Rejected"
    assert {row["status"] for row in ran.orders[1:]} == {"Canceled"}
    assert ran.positions == [{"size": 0}]
    assert [row for row in ran.orders if row["parent"] is None] == [ran.orders[0]]


def test_a_refused_exit_is_tried_again(load, play, minutes):
    count = []

    def refuse(order):
        leaving = order.issell() and order.parent is None
        count.append(leaving)
        return leaving and sum(count) < 4

    ran = play(load(SPEC), minutes(day([BREAK])), refuse=refuse)
    assert [row["status"] for row in ran.orders[3:]] == ["Rejected"] * 3 + ["Completed"]
    assert ran.positions == [{"size": 0}]


def test_two_runs_are_equal_and_so_is_bar_by_bar(load, play, minutes):
    first, second = (play(load(SPEC), minutes(day([BREAK]))) for _ in range(2))
    slow = play(load(SPEC), minutes(day([BREAK])), runonce=False, quicknotify=True)
    assert first.done() == second.done() == slow.done()
    assert first.equity == second.equity == slow.equity


def test_the_future_changes_nothing(load, sees_no_future, minutes):
    walk = [100 + 2 * math.sin(n / 25) + n / 200 for n in range(375)]
    rows = [(c, c + 0.3, c - 0.3, c) for c in walk]
    sees_no_future(load(SPEC), [pd.concat([minutes(rows), minutes(rows, day="2026-11-19")])])


def test_bars_of_the_warm_up_draw_the_range_too(load, play, minutes):
    class Warm(load(SPEC)):
        def __init__(self):
            super().__init__()
            bt.ind.SMA(self.data.close, period=40)  # next() begins at 09:55

    ran = play(Warm, minutes(day([BREAK])))
    assert ran.orders[0]["created"].strftime("%H:%M") == "10:01"
    assert ran.orders[1]["price"] == 99.0


def test_after_a_restart_in_a_trade_it_does_not_enter_again_and_still_leaves_in_time(load, play, minutes):
    class Restarted(load(SPEC)):
        def nextstart(self):
            self.restored([self.buy(size=5)], self.position)
            super().nextstart()

    ran = play(Restarted, minutes(day([BREAK])))
    assert [(row["side"], row["size"], row["created"].strftime("%H:%M")) for row in ran.orders] == [
        ("BUY", 5, "09:16"),
        ("SELL", 5, "15:10"),
    ]
