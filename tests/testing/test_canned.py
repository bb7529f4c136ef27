from __future__ import annotations

from datetime import datetime, time

import numpy as np
import pytest

from btkite.errors import ConfigError, DataError
from btkite.market.calendar import calendar
from btkite.testing import bars
from btkite.testing.canned import SHAPES


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("interval", ["minute", "5minute", "60minute", "day"])
def test_every_shape_is_made_of_candles_on_the_exchanges_grid_and_on_the_tick(name, interval):
    made = bars(name, interval=interval)
    made.check()
    prices = np.concatenate([made.open, made.high, made.low, made.close])
    assert np.allclose(prices * 20, np.round(prices * 20), atol=1e-6)
    if interval != "day":
        known = calendar()
        for start in made.start.tolist():
            assert known.bar_start("NSE", start, interval) == start


def test_the_same_name_is_the_same_bars():
    assert bars("whipsaw").digest() == bars("whipsaw").digest()


def test_a_session_of_minutes_runs_from_the_open_to_the_close():
    made = bars("flat")
    assert len(made) == 375
    assert (made.first.time(), made.last.time()) == (time(9, 15), time(15, 29))


def test_an_hourly_session_ends_with_a_bar_of_a_quarter_of_an_hour():
    starts = [start.time() for start in bars("flat", interval="60minute").start.tolist()]
    assert starts == [time(9 + n, 15) for n in range(7)]


def test_several_sessions_skip_closed_days():
    made = bars("uptrend", sessions=3, day="2026-11-20")
    days = sorted({start.date() for start in made.start.tolist()})
    assert [day.isoformat() for day in days] == ["2026-11-20", "2026-11-23", "2026-11-25"]  # 24: Guru Nanak Jayanti


def test_a_count_takes_as_many_sessions_as_it_needs():
    assert len(bars("flat", count=400)) == 400
    assert len({start.date() for start in bars("flat", count=400).start.tolist()}) == 2


def test_another_exchange_has_its_own_hours():
    assert bars("flat", symbol="MCX:GOLDM26DECFUT", count=3).first.time() == time(9, 0)


def test_trends_go_all_the_way_and_never_turn():
    assert (np.diff(bars("uptrend").close) > 0).all()
    assert (np.diff(bars("downtrend").close) < 0).all()
    assert bars("uptrend").close[-1] == 1200.0
    assert bars("downtrend", price=500.0).close[-1] == 400.0


def test_a_gap_lies_between_two_bars_or_between_two_sessions():
    one, two = bars("gap_up"), bars("gap_down", sessions=2)
    assert (one.close[186], one.open[187]) == (1000.0, 1030.0)
    assert (two.close[374], two.open[375]) == (1000.0, 970.0)


def test_a_bar_of_two_extremes_says_by_its_close_which_came_first():
    up, down = bars("stop_and_target"), bars("target_and_stop")
    place = int(np.argmax(up.high))
    assert (up.high[place], up.low[place]) == (down.high[place], down.low[place]) == (1020.0, 980.0)
    assert up.close[place] > up.open[place]
    assert down.close[place] < down.open[place]


def test_closes_become_bars_that_open_where_the_last_one_closed():
    made = bars.from_closes([100, 102, 101])
    assert made.open.tolist() == [100.0, 100.0, 102.0]
    assert made.high.tolist() == [100.0, 102.0, 102.0]
    assert made.low.tolist() == [100.0, 100.0, 101.0]


def test_none_leaves_a_bar_out():
    made = bars.from_rows([100, None, (101, 103, 100, 102), (102, 102, 102, 102, 7, 9)])
    assert [start.time() for start in made.start.tolist()] == [time(9, 15), time(9, 17), time(9, 18)]
    assert (made.volume[-1], made.oi[-1]) == (7.0, 9.0)


def test_a_file_in_kites_columns_is_read_and_named_by_its_name(tmp_path):
    path = tmp_path / "INFY_5minute.csv"
    path.write_text(
        "date,open,high,low,close,volume\n"
        "2026-11-18T09:15:00+0530,100,101,99,100.5,10\n"
        "2026-11-18T09:20:00+0530,100.5,102,100,101,20\n"
    )
    made = bars.from_csv(path)
    assert (made.key, made.interval, made.first) == ("NSE:INFY", "5minute", datetime(2026, 11, 18, 9, 15))
    assert bars.from_csv(path, symbol="BSE:INFY").key == "BSE:INFY"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: bars("uptrent"), "did you mean 'uptrend'"),
        (lambda: bars("flat", day="2026-11-22"), "does not trade on 2026-11-22; the next session is on 2026-11-23"),
        (lambda: bars("flat", interval="7minute"), "no candle interval '7minute'"),
        (lambda: bars("flat", count=0), "must be 1 or more"),
        (lambda: bars("flat", count=3, sessions=2), "count or sessions, not both"),
        (lambda: bars.from_rows([(1, 2, 3)]), "row 1 has 3 figures"),
        (lambda: bars.from_rows([100, (100, 99, 98, 100)]), "row 2 .*high is below"),
        (lambda: bars.from_csv("nowhere/INFY_minute.csv"), "is not there"),
    ],
)
def test_bad_input_gets_one_sentence(make, words):
    with pytest.raises((ConfigError, DataError), match=words) as caught:
        make()
    assert "\n" not in str(caught.value)
