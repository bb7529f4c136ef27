"""Timers by the clock, beside backtrader's own on bars: each once, at its time, where there is trading."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any

import backtrader as bt
import pytest

from btkite.config import Config
from btkite.engine import Cerebro
from btkite.feeding import Feeding
from btkite.timing import due
from btkite.values import Instrument
from tests import test_feeding as feeding

MONDAY, TUESDAY = datetime(2024, 7, 1), datetime(2024, 7, 2)
DRILL = datetime(2024, 3, 2)  # a Saturday: 09:15 to 10:00, and 11:30 to 12:30
GRACE = timedelta(seconds=Config().data.grace)


def at(hour: int, minute: int, second: float = 0, day: datetime = TUESDAY) -> datetime:
    return day + timedelta(hours=hour, minutes=minute, seconds=second)


# ---- backtrader's timers --------------------------------------------------------------------------------------------


class Moments:
    """A store whose clock has come so far, turn by turn."""

    def __init__(self, moments: Any) -> None:
        self.left = list(moments)

    def start(self, data: Any = None) -> None:
        """Nothing to be done."""

    stop = start

    def get_notifications(self) -> tuple[()]:
        return ()

    def timers_due(self) -> datetime | None:
        return self.left.pop(0) if self.left else None


class Bars(bt.feed.DataBase):
    """A live feed: a bar at each moment, at None nothing yet."""

    params = (("ends", ()),)

    def islive(self) -> bool:
        return True

    def start(self) -> None:
        super().start()
        self.left = list(self.p.ends)

    def _load(self) -> bool | None:
        if not self.left:
            return False
        end = self.left.pop(0)
        if end is None:
            return None
        for line in self.lines.lines:
            line[0] = 100.0
        self.lines.datetime[0] = bt.date2num(end)
        return True


class Told(bt.Strategy):
    def __init__(self) -> None:
        self.told: list[datetime] = []

    def notify_timer(self, timer: Any, when: datetime, *args: Any, **kwargs: Any) -> None:
        self.told.append(when)


def told(bars: Any, moments: Any, engine: Any = Cerebro, **timer: Any) -> list[datetime]:
    """The times of a timer where ``bars`` come, and between them, at each None, the clock has come to a moment."""
    cerebro = engine(stdstats=False)
    cerebro.adddata(Bars(ends=bars))
    cerebro.addstore(Moments(moments))
    cerebro.addstrategy(Told)
    cerebro.add_timer(strats=True, **timer)
    (ran,) = cerebro.run()
    return ran.told


EVERY = {"offset": timedelta(hours=9, minutes=20), "repeat": timedelta(minutes=5)}
MINUTES = [at(9, 15) + timedelta(minutes=count) for count in range(1, 21)]


@pytest.mark.parametrize("when", [bt.timer.SESSION_START, time(0)], ids=["the session's start", "a time"])
@pytest.mark.parametrize("first", [1, 10, 21], ids=["bars", "bars later", "no bar"])
def test_one_that_repeats_does_so_all_day_whether_its_day_has_begun_with_a_bar_or_not(first: int, when: Any) -> None:
    """On bars backtrader's own; where the feed has none yet, its newest is of the day before."""
    yesterday = [at(15, 30, day=MONDAY)]
    expected = told(yesterday + MINUTES, [], bt.Cerebro, when=when, **EVERY)[1:]
    assert [moment.time() for moment in expected] == [time(9, 20), time(9, 25), time(9, 30), time(9, 35)]
    early, late = MINUTES[: first - 1], MINUTES[first - 1 :]
    assert told(yesterday + [None] * len(early) + late, early, when=when, **EVERY)[1:] == expected


def test_once_a_day_is_once_a_day_by_the_clock_too() -> None:
    bars = [at(15, 30, day=MONDAY), None, None, at(9, 22)]
    for when in (bt.timer.SESSION_START, time(9, 20)):
        offset = {"offset": timedelta(hours=9, minutes=20)} if isinstance(when, int) else {}
        found = told(bars, [at(9, 20, 30), at(9, 21)], when=when, **offset)
        assert found == [at(9, 20, day=MONDAY), at(9, 20)]


def test_a_weekday_on_which_it_is_not_to_fire_has_no_second_chance() -> None:
    found = told(
        [at(15, 30, day=MONDAY), None, None], [at(9, 20), at(9, 21)], when=bt.timer.SESSION_START, weekdays=[1]
    )
    assert found == [MONDAY]


def test_bars_of_the_day_before_that_come_late_do_not_begin_the_day_anew() -> None:
    """The link was away overnight; the clock has fired, and then history brings the rest of yesterday."""
    bars = [at(15, 25, day=MONDAY), None, at(15, 26, day=MONDAY), at(15, 27, day=MONDAY), at(9, 17), at(9, 18)]
    assert told(bars, [at(9, 16, 30)], when=time(9, 16)) == [at(9, 16, day=MONDAY), at(9, 16)]


def test_a_timer_of_the_close_fires_before_the_run_ends_with_it() -> None:
    assert told([at(15, 20)], [at(15, 30)], when=time(15, 30)) == [at(15, 30)]


# ---- until when -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "until"),
    [
        (at(9, 14, 59), None),
        (at(9, 15), at(9, 15)),
        (at(12, 0), at(12, 0)),
        (at(15, 30, 30), at(15, 30)),
        (at(15, 31, 1), None),
        (at(9, 59, day=DRILL), at(9, 59, day=DRILL)),
        (at(10, 0, 30, day=DRILL), at(10, 0, day=DRILL)),
        (at(10, 30, day=DRILL), None),
        (at(11, 30, day=DRILL), at(11, 30, day=DRILL)),
        (at(12, 30, 30, day=DRILL), at(12, 30, day=DRILL)),
        (at(12, 0, day=datetime(2024, 7, 6)), None),
    ],
    ids=lambda value: f"{value:%a %H:%M:%S}" if value else "none",
)
def test_they_are_due_while_there_is_trading_and_right_after_it(moment: datetime, until: datetime | None) -> None:
    assert due(moment, {"NSE"}) == until


def test_of_several_exchanges_the_one_that_trades_tells() -> None:
    evening = at(20, 0)
    assert due(evening, {"NSE"}) is None
    assert due(evening, {"NSE", "MCX"}) == evening
    assert due(at(15, 30, 30), {"NSE", "MCX"}) == at(15, 30, 30)
    assert due(evening, ()) is None


kite = feeding.kite


@pytest.fixture
def paper(kite: Any) -> Any:
    """A paper store in its run at nine on Tuesday, as far as timers look at it; time is the test's."""
    one = kite(at(9, 0), complete=False)
    one.store._running = True
    one.store._feeds = [one.feeding]
    return one


def test_a_slot_that_goes_on_to_another_exchange_has_the_hours_of_that_one(paper: Any) -> None:
    paper.clock.advance(6 * 3600)
    assert paper.store.timers_due() == at(15, 0) - GRACE
    paper.clock.advance(5 * 3600)
    assert paper.store.timers_due() is None
    paper.store._feeds = [Feeding(paper.store, paper.data, Instrument("MCX", "GOLD", 1))]
    assert paper.store.timers_due() == at(20, 0) - GRACE


def test_where_bars_flow_no_timer_is_ahead_of_a_bar_that_may_come(paper: Any) -> None:
    paper.feeding.state = "flowing"
    paper.clock.advance(30 * 60)
    assert paper.store.timers_due() is None  # none was closed yet
    paper.store._release(at(9, 30))
    paper.clock.advance(60)
    assert paper.store.timers_due() == at(9, 30) - GRACE
    paper.store._release(at(9, 31))
    assert paper.store.timers_due() == at(9, 31) - GRACE
