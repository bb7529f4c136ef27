"""The same ticks, once one by one into builders of their own, once as columns into a table: nothing may differ."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from btkite.clock import to_epoch
from btkite.market.bars import BarBuilder
from btkite.market.bartable import BarTable, tick_of
from btkite.market.calendar import calendar
from btkite.values import Bar, Instrument, Tick

DAY = date(2025, 6, 10)
SPLIT = date(2024, 3, 2)  # two parts, 09:15 to 10:00 and 11:30 to 12:30
KINDS: list[dict[str, Any]] = [
    {"instrument": Instrument("NSE", "SBIN", 1), "interval": "minute"},
    {"instrument": Instrument("NSE", "SBIN", 1), "interval": "60minute"},
    {"instrument": Instrument("NSE", "NIFTY 50", 9, segment="INDICES"), "interval": "minute"},
    {"instrument": Instrument("MCX", "GOLD25AUGFUT", 7, instrument_type="FUT", segment="MCX"), "interval": "60minute"},
    {"instrument": Instrument("NSE", "INFY", 2), "interval": "day"},
    {"instrument": Instrument("NSE", "TCS", 3), "interval": "day", "decide_at": time(15, 20)},
]
PLACES = ["09:00", "09:15", "09:16", "09:30", "09:59", "10:00", "11:30", "15:19", "15:29", "15:30", "00:00"]
NAMES = ("last_price", "volume", "exchange_time", "last_trade_time", "open", "high", "low", "oi")


def columns_of(ticks: list[Tick]) -> Any:
    """Ticks as a frame's columns."""
    prices = {"last_price", "open", "high", "low"}
    return SimpleNamespace(
        instrument_token=np.array([tick.instrument_token for tick in ticks], np.int64),
        **{name: np.array([getattr(tick, name) for tick in ticks], float if name in prices else int) for name in NAMES},
    )


def epoch(moment: datetime) -> int:
    return int(to_epoch(moment))


def moments(dice: Random, day: date) -> int:
    """Where something may turn: around the open, bar ends, the close, the night, other days."""
    place = dice.choice(PLACES)
    at = datetime.combine(day + timedelta(dice.choice([0, 0, 0, 0, 0, 0, -1, 1])), time.fromisoformat(place))
    return epoch(at) + dice.randint(-2, 62)


def a_tick(dice: Random, now: int, day: date) -> Tick:
    """A packet at about ``now``: sometimes older, sometimes of another time altogether, or without any."""
    stamp = dice.choice([now, now, now, now, now - dice.randint(0, 90), moments(dice, day), 0])
    traded = dice.choice([0, stamp, stamp, max(0, stamp - 1), max(0, stamp - 70), max(0, stamp - 90_000)])
    price = dice.choice([0.0, *(round(100 + 0.05 * step, 2) for step in range(12))])
    opened, high, low = dice.choice([(0.0, 0.0, 0.0), (100.0, 101.5, 0.0), (99.0, 102.0, 98.5)])
    volume = dice.choice([(now - epoch(datetime.combine(day, time(9)))) * 3, dice.randint(0, 40) * 10])
    return Tick(
        1, "full", price, max(0, volume), stamp, traded, oi=dice.randint(0, 3), open=opened, high=high, low=low
    )  # fmt: skip


class Scene:
    """One builder by itself for each row, and the same in a table."""

    def __init__(self, kinds: list[dict[str, Any]], since: datetime | None) -> None:
        self.kinds, self.since = kinds, since
        self.alone = [self.make(kind) for kind in kinds]
        self.together = [self.make(kind) for kind in kinds]
        self.table = BarTable()
        self.rows = [self.table.take(builder) for builder in self.together]

    def make(self, kind: dict[str, Any]) -> BarBuilder:
        return BarBuilder(kind["instrument"], kind["interval"], calendar(), since=self.since,
                          decide_at=kind.get("decide_at"))  # fmt: skip

    def frame(self, found: list[tuple[int, Tick]]) -> None:
        """A frame: which builder, which tick."""
        told = []
        for number, tick in found:
            builder = self.alone[number]
            unused, outside = builder.unused, builder.outside
            builder.add(tick)
            went = builder.outside != outside
            forms = builder.unused == unused and not went and builder.forming is not None
            told.append((tick.exchange_time or tick.last_trade_time, builder.state.end if forms else 0, went))
        rows = np.array([self.rows[number] for number, _ in found], np.int64)
        added = self.table.add(rows, columns_of([tick for _, tick in found]), np.arange(len(found)))
        outcome = zip(added.moment.tolist(), added.end.tolist(), added.outside.tolist(), strict=True)
        assert list(outcome) == told
        self.agree()

    def agree(self) -> None:
        for one, other in zip(self.alone, self.together, strict=True):
            assert bytes(one.state) == bytes(other.state)
            assert one.forming == other.forming
            assert one.forming_end == other.forming_end

    def close(self, now: datetime, grace: float, complete: bool) -> None:
        over = {int(row) for row in self.table.over(now, grace, complete=complete)}
        for row, one, other in zip(self.rows, self.alone, self.together, strict=True):
            bars = one.close(now, grace, complete=complete)
            assert (row in over) == bool(bars)
            assert other.close(now, grace, complete=complete) == bars
        self.agree()


@given(st.integers(0, 2**32))
def test_a_table_builds_the_bars_that_the_builders_build_one_by_one(seed: int) -> None:
    dice = Random(seed)
    day = dice.choice([DAY, DAY, SPLIT])
    kinds = dice.choices(KINDS, k=dice.randint(1, 8))
    now = moments(dice, day)
    since = dice.choice([None, None, -30, 0, 100])
    scene = Scene(kinds, None if since is None else at(now + since))
    for _ in range(30):
        now += dice.choice([0, 1, 1, 5, 20, 59, 60, 61, 900, 8_100] if dice.random() < 0.98 else [60_000, 86_400])
        place = dice.randrange(len(kinds))
        both = scene.alone[place], scene.together[place]
        match dice.choice(["frame"] * 9 + ["close", "resume", "one", "leave"]):
            case "frame":
                count = dice.choice([1, 4, 16])
                scene.frame([(dice.randrange(len(kinds)), a_tick(dice, now, day)) for _ in range(count)])
            case "close":
                scene.close(at(now) + timedelta(milliseconds=dice.choice([0, 999, 1_000])), 1.0, dice.random() < 0.5)
            case "resume":
                for builder in both:
                    builder.resume(at(now))
            case "one":  # a tick that comes by itself
                tick = a_tick(dice, now, day)
                for builder in both:
                    builder.add(tick)
                scene.agree()
            case _:
                scene.table.remove(scene.rows[place])
                scene.agree()
                scene.rows[place] = scene.table.take(both[1])
                scene.agree()


def at(second: int) -> datetime:
    return datetime(1970, 1, 1, 5, 30) + timedelta(seconds=second)


def test_a_table_grows_with_its_builders_and_each_keeps_its_bar() -> None:
    table = BarTable()
    builders = [BarBuilder(Instrument("NSE", f"S{number}", number), "minute") for number in range(200)]
    rows = []
    stamp = epoch(datetime(2025, 6, 10, 9, 20))
    for number, builder in enumerate(builders):
        builder.add(Tick(number, "full", 100.0 + number, 10, stamp))
        rows.append(table.take(builder))
    assert sorted(set(rows)) == list(range(200))
    later = [Tick(number, "full", 50.0 + number, 15, stamp + 1) for number in range(200)]
    table.add(np.array(rows), columns_of(later), np.arange(200))
    forming = [builder.forming for builder in builders]
    assert forming == [
        Bar(at(stamp), at(stamp + 60), 100.0 + n, 100.0 + n, 50.0 + n, 50.0 + n, 15.0) for n in range(200)
    ]


def test_a_removed_builder_goes_on_by_itself_and_its_row_is_used_again() -> None:
    table = BarTable()
    first, second = (BarBuilder(Instrument("NSE", name, 1), "minute") for name in ("AAA", "BBB"))
    row = table.take(first)
    first.add(Tick(1, "full", 100.0, 10, epoch(datetime(2025, 6, 10, 9, 20))))
    table.remove(row)
    assert not len(table.over(datetime(2026, 1, 1), 0.0, complete=True))
    assert table.take(second) == row
    assert second.forming is None
    first.add(Tick(1, "full", 101.0, 12, epoch(datetime(2025, 6, 10, 9, 20, 5))))
    assert first.forming is not None
    assert (first.forming.close, second.forming) == (101.0, None)


def test_ticks_of_columns_are_what_bars_need() -> None:
    tick = Tick(408065, "full", 99.95, 10, 1_749_525_300, 1_749_525_299, open=1.0, high=2.0, low=0.5, oi=7)
    assert tick_of(columns_of([tick, tick]), 1) == tick
