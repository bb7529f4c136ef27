"""Ticks are made by hand or by hypothesis; expectations are computed from them without the builder."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btkite.clock import to_epoch
from btkite.errors import ConfigError
from btkite.market.bars import BarBuilder
from btkite.market.calendar import calendar
from btkite.values import Bar, Instrument, Tick

SHARE = Instrument("NSE", "SBIN", 779521)
INDEX = Instrument("NSE", "NIFTY 50", 256265, segment="INDICES")
DAY = date(2025, 6, 10)
OPEN = datetime(2025, 6, 10, 9, 15)


def at(clock: str, day: date = DAY) -> datetime:
    return datetime.combine(day, time.fromisoformat(clock))


def tick(clock: str | datetime, price: float, volume: int = 0, **more: Any) -> Tick:
    moment = at(clock) if isinstance(clock, str) else clock
    return Tick(more.pop("token", 1), more.pop("mode", "full"), price, volume, int(to_epoch(moment)), **more)


def build(ticks: Sequence[Tick], interval: str = "minute", **more: Any) -> list[Bar]:
    builder = BarBuilder(more.pop("instrument", SHARE), interval, calendar(), **more)
    for each in ticks:
        builder.add(each)
    return builder.close(datetime(2031, 1, 1), 0, complete=True)


# -- which bar ----------------------------------------------------------------------------------------


def test_the_exchange_time_decides_the_bar() -> None:
    bars = build([tick("09:15:00", 100, 10), tick("09:15:59", 101, 15), tick("09:16:00", 99, 40)])
    assert bars == [
        Bar(at("09:15"), at("09:16"), 100, 101, 100, 101, 15),
        Bar(at("09:16"), at("09:17"), 99, 99, 99, 99, 25),
    ]


def test_without_an_exchange_time_the_last_trade_decides() -> None:
    trade = Tick(1, "quote", 100.0, 5, 0, int(to_epoch(at("09:17:30"))))
    assert build([trade])[0].start == at("09:17")


def test_without_any_time_a_tick_is_counted_and_placed_only_by_its_arrival() -> None:
    builder = BarBuilder(SHARE, "minute", calendar())
    builder.add(Tick(1, "ltp", 100.0))
    assert builder.untimed == 1
    assert builder.forming is None
    builder.add(Tick(1, "ltp", 100.0), at("09:20:30"))
    assert builder.forming is not None
    assert builder.forming.start == at("09:20")


def test_ticks_before_the_open_and_after_the_close_make_no_bar() -> None:
    builder = BarBuilder(SHARE, "minute", calendar())
    for clock in ("09:08:00", "09:14:59", "15:30:00", "15:45:00"):
        builder.add(tick(clock, 100, 5))
    assert builder.outside == 4
    assert builder.close(at("16:00"), 0, complete=True) == []


def test_each_part_of_a_split_session_counts_its_own_bars_and_none_bridges_the_gap() -> None:
    day = date(2024, 3, 2)
    bars = build([tick(at(clock, day), 100) for clock in ("09:59:59", "10:30:00", "11:30:00", "12:29:59")], "30minute")
    assert [(bar.start.time(), bar.end.time()) for bar in bars] == [
        (time(9, 45), time(10)),
        (time(11, 30), time(12)),
        (time(12), time(12, 30)),
    ]


def test_the_last_bar_is_cut_at_the_close_of_the_class() -> None:
    day = date(2026, 8, 3)
    ticks = [tick(at("15:14:00", day), 100), tick(at("15:16:00", day), 101)]
    share = build(ticks, "60minute", instrument_class="cas")
    assert [(bar.end.time(), bar.close) for bar in share] == [(time(15, 15), 100)]
    future = build(ticks, "60minute", instrument=Instrument("NFO", "SBIN26AUGFUT", 2, instrument_type="FUT"))
    assert [(bar.start.time(), bar.end.time()) for bar in future] == [
        (time(14, 15), time(15, 15)),
        (time(15, 15), time(15, 40)),
    ]


def test_a_session_of_unknown_hours_makes_no_bars() -> None:
    assert build([tick(datetime(2026, 11, 8, 18, 20), 100)]) == []


# -- closing ------------------------------------------------------------------------------------------


def test_a_later_tick_closes_a_bar_without_the_clock() -> None:
    builder = BarBuilder(SHARE, "minute", calendar())
    builder.add(tick("09:15:10", 100))
    builder.add(tick("09:16:10", 101))
    assert [bar.close for bar in builder.close(at("09:15:50"), 1, complete=False)] == [100]
    assert builder.forming is not None
    assert builder.forming.open == 101


def test_the_clock_closes_a_bar_after_the_grace_whether_ticks_come_or_not() -> None:
    builder = BarBuilder(SHARE, "minute", calendar())
    builder.add(tick("09:15:10", 100))
    assert builder.forming_end == at("09:16")
    assert builder.close(at("09:16:00"), 1.0, complete=False) == []
    assert builder.close(datetime(2025, 6, 10, 9, 16, 0, 999_999), 1.0, complete=False) == []
    assert len(builder.close(at("09:16:01"), 1.0, complete=False)) == 1
    assert builder.close(at("09:16:02"), 1.0, complete=False) == []
    assert builder.forming_end is None


def test_in_lock_step_a_bar_closes_at_its_end() -> None:
    builder = BarBuilder(SHARE, "minute", calendar())
    builder.add(tick("09:15:10", 100))
    assert len(builder.close(at("09:16:00"), 1.0, complete=True)) == 1


def test_a_tick_after_the_close_closes_the_sessions_last_bar() -> None:
    builder = BarBuilder(SHARE, "minute", calendar())
    builder.add(tick("15:29:58", 100))
    builder.add(tick("15:30:01", 105))
    assert [bar.close for bar in builder.close(at("15:29:59"), 1, complete=False)] == [100]


def test_a_late_tick_is_counted_and_never_opens_a_closed_bar_again() -> None:
    builder = BarBuilder(SHARE, "minute", calendar())
    builder.add(tick("09:15:10", 100, 10))
    assert len(builder.close(at("09:16:01"), 1.0, complete=False)) == 1
    builder.add(tick("09:15:59", 150, 30))
    assert builder.late == 1
    assert builder.forming is None
    builder.add(tick("09:16:30", 101, 50))
    [bar] = builder.close(at("09:17:00"), 0, complete=True)
    assert (bar.high, bar.volume) == (101, 40)  # its volume is not lost, only its price


def test_a_tick_older_than_the_forming_bar_is_late_too() -> None:
    builder = BarBuilder(SHARE, "minute", calendar())
    builder.add(tick("09:20:10", 100))
    builder.add(tick("09:19:50", 150))
    assert builder.late == 1
    assert builder.forming is not None
    assert builder.forming.high == 100


def test_an_overtaken_packet_widens_the_bar_but_is_not_its_close() -> None:
    [bar] = build([tick("09:15:10", 100, 5), tick("09:15:30", 101, 9), tick("09:15:20", 95, 7)])
    assert (bar.low, bar.close, bar.volume) == (95, 101, 9)


# -- cached packets and depth -------------------------------------------------------------------------


def test_a_cached_packet_after_subscribing_makes_no_bar_but_says_what_traded_before() -> None:
    builder = BarBuilder(SHARE, "minute", calendar(), since=at("10:30:05"))
    builder.add(tick("10:29:40", 90, 1_000))
    assert builder.stale == 1
    assert builder.forming is None
    builder.add(tick("10:30:10", 100, 1_500))
    builder.add(tick("10:30:50", 101, 1_520))
    [bar] = builder.close(at("10:31"), 0, complete=True)
    assert (bar.low, bar.volume) == (100, 520)


def test_without_a_cached_packet_volume_counts_from_the_first_tick() -> None:
    builder = BarBuilder(SHARE, "minute", calendar(), since=at("10:30:05"))
    builder.add(tick("10:30:10", 100, 1_500))
    builder.add(tick("10:30:50", 101, 1_520))
    [bar] = builder.close(at("10:31"), 0, complete=True)
    assert bar.volume == 20


@pytest.mark.parametrize("cached", [datetime(2025, 6, 9, 15, 29, 59), at("10:29:40")])
def test_a_cached_packet_with_volume_of_an_earlier_day_says_nothing(cached: datetime) -> None:
    yesterday = int(to_epoch(datetime(2025, 6, 9, 15, 29, 59)))
    builder = BarBuilder(SHARE, "minute", calendar(), since=at("10:30"))
    builder.add(tick(cached, 90, 7_000, last_trade_time=yesterday))
    builder.add(tick("10:30:10", 100, 40))
    builder.add(tick("10:30:50", 101, 60))
    [bar] = builder.close(at("10:31"), 0, complete=True)
    assert bar.volume == 20
    assert builder.stale == 1


def test_a_packet_of_the_second_of_subscribing_is_fresh() -> None:
    assert len(build([tick("10:30:05", 100, 1)], since=at("10:30:05"))) == 1


def test_depth_before_the_first_trade_of_a_day_carries_no_volume_of_yesterday() -> None:
    yesterday = int(to_epoch(datetime(2025, 6, 9, 15, 0)))
    builder = BarBuilder(SHARE, "minute", calendar(), since=at("10:00"))
    builder.add(tick("10:00:10", 100, 7_000, last_trade_time=yesterday))
    builder.add(tick("10:30:10", 101, 40, last_trade_time=int(to_epoch(at("10:30:10")))))
    [bar] = builder.close(at("10:31"), 0, complete=True)
    assert (bar.open, bar.volume) == (101, 40)


def test_yesterdays_packet_makes_nothing_today() -> None:
    builder = BarBuilder(SHARE, "day", calendar(), since=at("09:00"))
    builder.add(tick(datetime(2025, 6, 9, 15, 29, 59), 90, 5_000, open=91, high=92, low=89))
    assert builder.close(at("09:20"), 0, complete=True) == []
    assert builder.stale == 1


def test_a_packet_for_depth_alone_makes_no_bar() -> None:
    traded = int(to_epoch(at("09:15:40")))
    builder = BarBuilder(SHARE, "minute", calendar())
    builder.add(tick("09:15:40", 100, 10, last_trade_time=traded))
    builder.add(tick("09:17:20", 100, 10, last_trade_time=traded))
    assert [bar.start for bar in builder.close(at("09:18"), 0, complete=True)] == [at("09:15")]
    builder.add(tick("09:18:30", 103, 14, last_trade_time=int(to_epoch(at("09:18:30")))))
    [bar] = builder.close(at("09:19"), 0, complete=True)
    assert (bar.start, bar.open, bar.volume) == (at("09:18"), 103, 4)


def test_depth_seen_after_joining_late_tells_what_had_traded_before() -> None:
    builder = BarBuilder(SHARE, "minute", calendar(), since=at("11:00"))
    builder.add(tick("11:00:02", 100, 500, last_trade_time=int(to_epoch(at("10:59:58")))))
    builder.add(tick("11:00:30", 101, 530, last_trade_time=int(to_epoch(at("11:00:30")))))
    [bar] = builder.close(at("11:01"), 0, complete=True)
    assert (bar.open, bar.volume) == (101, 30)


def test_a_trade_told_a_second_late_counts_where_the_exchange_time_puts_it() -> None:
    bars = build(
        [
            tick("09:15:30", 100, 10, last_trade_time=int(to_epoch(at("09:15:30")))),
            tick("09:16:00", 102, 15, last_trade_time=int(to_epoch(at("09:15:59")))),
        ]
    )
    assert [(bar.start, bar.close, bar.volume) for bar in bars] == [(at("09:15"), 100, 10), (at("09:16"), 102, 5)]


# -- volume -------------------------------------------------------------------------------------------


def test_the_days_first_bar_owns_the_auctions_volume() -> None:
    for ticks in (
        [tick("09:15:03", 100, 900), tick("09:16:00", 100, 950)],
        [tick("09:08:00", 100, 800), tick("09:15:03", 100, 900), tick("09:16:00", 100, 950)],
    ):
        assert [bar.volume for bar in build(ticks)] == [900, 50]


def test_a_share_that_first_trades_late_still_owns_all_of_its_day() -> None:
    assert [bar.volume for bar in build([tick("11:20:00", 100, 70)], since=at("09:10"))] == [70]


def test_joining_within_the_days_first_bar_still_gives_it_all_of_the_volume() -> None:
    assert [bar.volume for bar in build([tick("09:15:40", 100, 900)], since=at("09:15:30"))] == [900]
    assert [bar.volume for bar in build([tick("09:16:40", 100, 900)], since=at("09:15:30"))] == [0]


def test_volume_starts_again_each_day() -> None:
    bars = build([tick("15:29:00", 100, 5_000), tick(datetime(2025, 6, 11, 9, 15), 100, 30)], since=at("15:28"))
    assert [bar.volume for bar in bars] == [0, 30]


def test_after_an_outage_the_missed_volume_is_in_no_bar() -> None:
    builder = BarBuilder(SHARE, "minute", calendar())
    builder.add(tick("10:00:10", 100, 10))
    builder.resume(at("10:20:30"))
    builder.add(tick("10:20:40", 101, 900))
    builder.add(tick("10:20:50", 101, 905))
    assert [(bar.start, bar.volume) for bar in builder.close(at("10:21"), 0, complete=True)] == [
        (at("10:00"), 10),
        (at("10:20"), 5),
    ]
    assert builder.whole_from == at("10:20:30")


def test_a_short_outage_inside_a_bar_loses_nothing() -> None:
    builder = BarBuilder(SHARE, "minute", calendar())
    builder.add(tick("10:00:10", 100, 10))
    builder.resume(at("10:00:20"))
    builder.add(tick("10:00:30", 101, 25))
    builder.add(tick("10:01:00", 101, 26))
    assert [bar.volume for bar in builder.close(at("10:02"), 0, complete=True)] == [25, 1]


def test_an_index_without_volume_has_bars_of_volume_zero() -> None:
    [bar] = build([tick("09:15:01", 25_000.5), tick("09:15:02", 24_999.9)], instrument=INDEX)
    assert bar == Bar(at("09:15"), at("09:16"), 25_000.5, 25_000.5, 24_999.9, 24_999.9, 0.0)


def test_open_interest_is_the_last_one() -> None:
    future = Instrument("NFO", "NIFTY25JUNFUT", 3, instrument_type="FUT")
    [bar] = build([tick("09:15:01", 100, 1, oi=10), tick("09:15:02", 100, 2, oi=12)], instrument=future)
    assert bar.oi == 12


# -- day bars -----------------------------------------------------------------------------------------


def test_a_day_bar_takes_the_packets_own_day() -> None:
    [bar] = build([tick("13:00:00", 105, 9_000, open=100, high=110, low=95, close=99)], "day")
    assert bar == Bar(at("00:00"), at("15:30"), 100, 110, 95, 105, 9_000)


def test_a_day_bar_without_the_packets_day_is_built_from_prices() -> None:
    [bar] = build([tick("09:15:00", 100), tick("12:00:00", 98), tick("15:29:59", 104)], "day")
    assert bar == Bar(at("00:00"), at("15:30"), 100, 104, 98, 104, 0)


def test_decide_at_closes_the_day_early_and_nothing_opens_it_again() -> None:
    builder = BarBuilder(SHARE, "day", calendar(), decide_at=time(15, 20))
    builder.add(tick("15:19:59", 100, 50))
    assert [bar.end for bar in builder.close(at("15:20"), 0, complete=True)] == [at("15:20")]
    builder.add(tick("15:25:00", 120, 90))
    assert builder.close(at("16:00"), 0, complete=True) == []


def test_decide_at_leaves_a_muhurat_evening_alone() -> None:
    [bar] = build([tick(datetime(2022, 10, 24, 18, 30), 100)], "day", decide_at=time(15, 20))
    assert bar.end == datetime(2022, 10, 24, 19, 15)


def test_decide_at_is_for_day_bars_only() -> None:
    with pytest.raises(ConfigError, match="5minute bars of NSE:SBIN"):
        BarBuilder(SHARE, "5minute", calendar(), decide_at=time(15, 20))


# -- properties ---------------------------------------------------------------------------------------

prices = st.integers(1, 400_000).map(lambda steps: round(steps * 0.05, 2))
# (seconds since 09:10, price, volume traded): from before the open to after the close, over two days
walks = st.lists(st.tuples(st.integers(0, 6 * 3600 + 1800), prices, st.integers(0, 999)), min_size=1, max_size=80)


def day_of_ticks(walk: list[tuple[int, float, int]], token: int = 1, day: date = DAY) -> list[Tick]:
    ticks, volume = [], 0
    for offset, price, traded in sorted(walk, key=lambda step: step[0]):
        volume += traded
        ticks.append(tick(at("09:10", day) + timedelta(seconds=offset), price, volume, token=token))
    return ticks


def inside(ticks: list[Tick]) -> list[Tick]:
    return [each for each in ticks if to_epoch(OPEN) <= each.exchange_time < to_epoch(at("15:30"))]


@given(walks, st.sampled_from(["minute", "5minute", "60minute", "day"]))
def test_bars_are_true_to_their_ticks(walk: list[tuple[int, float, int]], interval: str) -> None:
    ticks = day_of_ticks(walk)
    bars = build(ticks, interval)
    used = inside(ticks)
    assert [bar.start for bar in bars] == sorted({bar.start for bar in bars})
    assert sum(bar.volume for bar in bars) == (used[-1].volume if used else 0)
    for bar in bars:
        own = [each.last_price for each in used if to_epoch(bar.start) <= each.exchange_time < to_epoch(bar.end)]
        assert (bar.open, bar.high, bar.low, bar.close) == (own[0], max(own), min(own), own[-1])
        assert bar.end == calendar().bar_end("NSE", bar.start, interval)
    assert len(used) == sum(
        to_epoch(bar.start) <= each.exchange_time < to_epoch(bar.end) for bar in bars for each in used
    )


@given(walks, st.lists(st.integers(0, 6 * 3600 + 1800), max_size=8), st.booleans())
def test_asking_the_clock_in_between_changes_no_bar(
    walk: list[tuple[int, float, int]], asked: list[int], complete: bool
) -> None:
    ticks = day_of_ticks(walk)
    builder, bars = BarBuilder(SHARE, "minute", calendar()), []
    moments: list[tuple[int, int, Tick | None]] = [(each.exchange_time, 0, each) for each in ticks]
    moments += [(int(to_epoch(at("09:10"))) + seconds, -1, None) for seconds in asked]
    for moment, _, each in sorted(moments, key=lambda event: event[:2]):
        if each is None:
            bars += builder.close(datetime(1970, 1, 1, 5, 30) + timedelta(seconds=moment), 1.0, complete=complete)
        else:
            builder.add(each)
    bars += builder.close(at("16:00"), 1.0, complete=False)
    assert bars == build(ticks)
    assert builder.late == 0


@given(walks, walks, st.randoms(use_true_random=False))
def test_bars_do_not_depend_on_how_instruments_interleave(
    one: list[tuple[int, float, int]], two: list[tuple[int, float, int]], chance: Any
) -> None:
    queues = {1: day_of_ticks(one, 1), 2: day_of_ticks(two, 2)}
    expected = {token: build(ticks) for token, ticks in queues.items()}
    builders = {token: BarBuilder(SHARE, "minute", calendar()) for token in queues}
    bars: dict[int, list[Bar]] = {1: [], 2: []}
    waiting = {token: list(ticks) for token, ticks in queues.items()}
    while any(waiting.values()):
        token = chance.choice([token for token, ticks in waiting.items() if ticks])
        builders[token].add(waiting[token].pop(0))
        bars[token] += builders[token].close(at("09:00"), 0, complete=True)
    for token, builder in builders.items():
        bars[token] += builder.close(at("16:00"), 0, complete=True)
    assert bars == expected


@st.composite
def candles(draw: st.DrawFn) -> list[tuple[int, float, float, float, float, int]]:
    minutes = sorted(draw(st.sets(st.integers(0, 374), min_size=1, max_size=12)))
    found = []
    for minute in minutes:
        low, one, two, high = sorted(draw(st.lists(prices, min_size=4, max_size=4)))
        opened, closed = (one, two) if draw(st.booleans()) else (two, one)
        found.append((minute, opened, high, low, closed, draw(st.integers(0, 10_000))))
    return found


@given(candles())
def test_a_candle_played_as_four_prints_comes_back(day: list[tuple[int, float, float, float, float, int]]) -> None:
    """docs/fills.md: open, low, high, close if it closes up or flat, else open, high, low, close."""
    ticks, volume = [], 0
    for minute, opened, high, low, closed, traded in day:
        path = (opened, low, high, closed) if closed >= opened else (opened, high, low, closed)
        for share, (offset, price) in enumerate(zip((0, 20, 40, 59), path, strict=True), 1):
            moment = OPEN + timedelta(minutes=minute, seconds=offset)
            ticks.append(tick(moment, price, volume + traded * share // 4, last_trade_time=int(to_epoch(moment))))
        volume += traded
    assert [(bar.start, *bar[2:7]) for bar in build(ticks)] == [
        (OPEN + timedelta(minutes=minute), *prices_, float(traded)) for minute, *prices_, traded in day
    ]
