from __future__ import annotations

import math

import backtrader as bt

SPEC = "daily_momentum:DailyMomentum"
FLAT = [(100.0, 101.0, 99.0, 100.0)] * 25
UP = [(c - 1, c + 0.5, c - 1, c) for c in (103.0, 105.0, 107.0, 110.0)]
DAYS = {"timeframe": bt.TimeFrame.Days}


def swing(n: int = 260, shift: float = 0.0) -> list[tuple]:
    closes = [200 + 20 * math.sin(i / 17 + shift) + i / 8 for i in range(n)]
    return [(c - 0.5, c + 1.0, c - 1.5, c) for c in closes]


def test_it_buys_a_new_high_that_has_risen_enough(load, play, days):
    table = days(FLAT + UP)
    ran = play(load(SPEC), table, **DAYS)
    assert [(row["side"], row["created"]) for row in ran.orders] == [("BUY", table.index[25])]
    assert ran.orders[0]["size"] == 87  # 9 % of 1,00,000 at 103


def test_a_new_high_without_the_rise_is_not_bought(load, play, days):
    assert play(load(SPEC), days([*FLAT, (100.5, 101.5, 100.5, 101.5)]), **DAYS).orders == []


def test_it_sells_when_the_close_slips_off_its_peak(load, play, days):
    rows = FLAT + UP + [(109.0, 109.0, 103.5, 103.6), (103.0, 103.0, 103.0, 103.0), (103.0, 103.5, 102.5, 103.0)]
    table = days(rows)
    ran = play(load(SPEC), table, **DAYS)
    # 6 % below the peak close of 110 is 103.4: 103.6 holds, 103.0 does not.
    assert [(row["side"], row["created"]) for row in ran.orders[1:]] == [("SELL", table.index[30])]
    assert ran.positions == [{"size": 0}]


def test_each_feed_is_traded_for_itself(load, play, days):
    ran = play(load(SPEC), days(swing()), days(swing(shift=1.5)), **DAYS)
    alone = [play(load(SPEC), days(swing(shift=shift)), **DAYS) for shift in (0.0, 1.5)]
    for number, single in enumerate(alone):
        mine = [(row["created"], row["side"]) for row in ran.orders if row["symbol"] == f"D{number}"]
        assert mine == [(row["created"], row["side"]) for row in single.orders]
        assert len(mine) >= 2


def test_a_refused_entry_waits_for_the_next_new_high_and_a_refused_exit_for_the_next_bar(load, play, days):
    seen = []

    def refuse(order):
        seen.append(order.isbuy())
        return seen.count(order.isbuy()) == 1  # the first buy and the first sale

    table = days(FLAT + UP + [100.0] * 5)
    ran = play(load(SPEC), table, refuse=refuse, **DAYS)
    assert [(row["side"], row["status"], row["created"]) for row in ran.orders] == [
        ("BUY", "Rejected", table.index[25]),
        ("BUY", "Completed", table.index[26]),
        ("SELL", "Rejected", table.index[29]),
        ("SELL", "Completed", table.index[30]),
    ]


def test_it_is_never_short(load, play, days):
    ran = play(load(SPEC), days(swing()), **DAYS)
    held = 0
    for row in ran.orders:
        held += row["executed_size"] * (1 if row["side"] == "BUY" else -1)
        assert held >= 0


def test_two_runs_are_equal_and_so_is_bar_by_bar(load, play, days):
    first, second = (play(load(SPEC), days(swing()), **DAYS) for _ in range(2))
    slow = play(load(SPEC), days(swing()), runonce=False, quicknotify=True, **DAYS)
    assert first.done() == second.done() == slow.done()
    assert first.equity == second.equity == slow.equity


def test_the_future_changes_nothing(load, sees_no_future, days):
    sees_no_future(load(SPEC), [days(swing())], **DAYS)
