"""The Parquet cache: names, ranges, what is kept, and what a damaged file says."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from datetime import date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from btkite.candles import CandleCache, Candles, decode, encode, joined, split_key, without
from btkite.errors import ConfigError, DataError
from btkite.values import INTERVALS

DAY = datetime(2026, 11, 23)
OPEN = DAY + timedelta(hours=9, minutes=15)


def windows(day: date) -> list[tuple[datetime, datetime]]:
    return [(datetime.combine(day, time(9, 15)), datetime.combine(day, time(15, 30)))]


def walk(start: datetime, count: int, *, interval: str = "minute", key: str = "NSE:INFY", shift: float = 0) -> Candles:
    steps = np.arange(count)
    close = 500 + shift + np.sin(steps / 7)
    opened = np.append(500 + shift, close[:-1])
    return Candles.of(
        key,
        interval,
        {
            "date": np.datetime64(start, "s") + steps * np.timedelta64(INTERVALS[interval], "s"),
            "open": opened,
            "high": np.maximum(opened, close) + 0.05,
            "low": np.minimum(opened, close) - 0.05,
            "close": close,
            "volume": steps * 10,
        },
    )


def days(*dates: datetime, key: str = "NSE:INFY") -> Candles:
    parts = [walk(day + timedelta(hours=9, minutes=15), 375, key=key).columns() for day in dates]
    return Candles.of(key, "minute", {name: np.concatenate([part[name] for part in parts]) for name in parts[0]})


@pytest.fixture
def cache(tmp_path: Path) -> CandleCache:
    return CandleCache(tmp_path / "candles")


# ---- names ------------------------------------------------------------------------------------


@given(st.text(min_size=1, max_size=20))
def test_every_symbol_has_a_folder_of_its_own_inside_the_cache(symbol: str) -> None:
    try:
        name = encode(symbol)
    except UnicodeEncodeError:
        assert any("\ud800" <= char <= "\udfff" for char in symbol)
        return
    assert decode(name) == symbol
    assert not set(name) & set('/\\:*?"<>|\x00\n')
    assert name not in (".", "..")
    assert not name.startswith((".", " "))
    assert not name.endswith((".", " "))


@pytest.mark.parametrize("symbol", ["NIFTY 50", "M&M", "BAJAJ-AUTO", "NIFTY26AUGFUT"])
def test_everyday_symbols_are_their_own_folders(symbol: str, cache: CandleCache) -> None:
    assert cache.path(f"NSE:{symbol}", "day") == cache.folder / "NSE" / symbol / "day.parquet"


@pytest.mark.parametrize("symbol", ["../../etc", "CON", "..", "A/B", "A:B"])
def test_nothing_leaves_the_cache_folder(symbol: str, cache: CandleCache) -> None:
    path = cache.path(f"NSE:{symbol}", "day")
    assert path.resolve().parent.parent == (cache.folder / "NSE").resolve()
    assert path.parent.name.upper() != "CON"


@pytest.mark.parametrize("key", ["INFY", "NSE:", ":INFY", "N/E:INFY", ""])
def test_a_key_needs_exchange_and_symbol(key: str) -> None:
    with pytest.raises(ConfigError, match="write EXCHANGE:TRADINGSYMBOL"):
        split_key(key)


# ---- ranges -----------------------------------------------------------------------------------

HOURS = st.integers(0, 48)
RANGES = st.lists(
    st.tuples(HOURS, HOURS).map(lambda pair: (DAY + timedelta(hours=pair[0]), DAY + timedelta(hours=pair[1]))),
    max_size=8,
)


def hours_in(ranges: list[tuple[datetime, datetime]]) -> set[int]:
    return {hour for start, end in ranges for hour in range(48) if start <= DAY + timedelta(hours=hour) < end}


@given(RANGES)
def test_joined_ranges_cover_the_same_and_do_not_touch(ranges: list[tuple[datetime, datetime]]) -> None:
    result = joined(ranges)
    assert hours_in(list(result)) == hours_in(ranges)
    assert all(left[1] < right[0] for left, right in itertools.pairwise(result))


@given(st.tuples(HOURS, HOURS).filter(lambda pair: pair[0] < pair[1]), RANGES)
def test_without_leaves_exactly_what_no_part_covers(
    pair: tuple[int, int], parts: list[tuple[datetime, datetime]]
) -> None:
    whole = (DAY + timedelta(hours=pair[0]), DAY + timedelta(hours=pair[1]))
    assert hours_in(list(without(whole, parts))) == hours_in([whole]) - hours_in(parts)


# ---- writing and reading ----------------------------------------------------------------------


def test_what_is_written_is_read_to_the_last_bit(cache: CandleCache) -> None:
    candles = days(DAY, DAY + timedelta(days=1))
    cache.write(candles, source="test")
    back = cache.read("NSE:INFY", "minute")
    assert back.digest() == candles.digest() == cache.digest("NSE:INFY", "minute")
    assert back.start.dtype == candles.start.dtype
    assert back.volume.dtype == np.float64


def test_fractions_of_volume_survive(cache: CandleCache) -> None:
    columns = {**walk(OPEN, 3).columns(), "volume": np.array([0.5, 1, 2]), "oi": np.array([0.25, 0, 0])}
    cache.write(Candles.of("NSE:INFY", "minute", columns))
    back = cache.read("NSE:INFY", "minute")
    assert (back.volume.tolist(), back.oi.tolist()) == ([0.5, 1, 2], [0.25, 0, 0])


def test_the_footer_tells_all_without_the_candles(cache: CandleCache) -> None:
    facts = {"tick_size": 0.1, "lot_size": 65, "instrument_token": 408065, "expiry": ""}
    cache.write(
        walk(OPEN, 5),
        source="kite",
        fetched_at=DAY,
        covered=[(DAY, DAY + timedelta(days=1))],
        gaps=[(DAY, OPEN)],
        facts=facts,
    )
    row = cache.stored("NSE:INFY", "minute")
    assert row is not None
    assert (row.rows, row.first, row.last, row.source, row.fetched_at) == (
        5,
        OPEN,
        OPEN + timedelta(minutes=4),
        "kite",
        DAY,
    )
    assert row.covered == ((DAY, DAY + timedelta(days=1)),)
    assert row.gaps == ((DAY, OPEN),)
    assert dict(row.facts) == {"tick_size": 0.1, "lot_size": 65, "instrument_token": 408065}
    assert cache.facts("NSE:INFY") == dict(row.facts)


def test_facts_that_the_cache_does_not_keep_are_refused(cache: CandleCache) -> None:
    with pytest.raises(ValueError, match="not colour"):
        cache.write(walk(OPEN, 2), facts={"colour": "red"})


def test_list_names_every_series_from_fine_to_coarse(cache: CandleCache) -> None:
    for key, interval in (
        ("NSE:M&M", "day"),
        ("NSE:M&M", "minute"),
        ("NSE:NIFTY 50", "day"),
        ("BSE:SENSEX", "60minute"),
    ):
        cache.write(walk(OPEN, 2, key=key, interval=interval))
    (cache.instruments_folder).mkdir()
    (cache.instruments_folder / "2026-11-23.parquet").write_bytes(b"")
    assert [(row.key, row.interval) for row in cache.list()] == [
        ("BSE:SENSEX", "60minute"),
        ("NSE:M&M", "minute"),
        ("NSE:M&M", "day"),
        ("NSE:NIFTY 50", "day"),
    ]


def test_a_write_leaves_no_other_file_and_a_failed_one_leaves_the_old(cache: CandleCache) -> None:
    cache.write(walk(OPEN, 3))
    with pytest.raises(TypeError):
        cache.write(walk(OPEN, 9), source=object())  # type: ignore[arg-type]
    folder = cache.path("NSE:INFY", "minute").parent
    assert [path.name for path in folder.iterdir()] == ["minute.parquet"]
    assert len(cache.read("NSE:INFY", "minute")) == 3


def test_a_range_reads_only_the_row_groups_that_hold_it(tmp_path: Path) -> None:
    cache = CandleCache(tmp_path, row_group=375)
    dates = [DAY + timedelta(days=number) for number in range(5)]
    whole = days(*dates)
    cache.write(whole)
    path = cache.path("NSE:INFY", "minute")
    with pq.ParquetFile(path) as file:
        assert file.metadata.num_row_groups == 5
        last = file.metadata.row_group(4).column(0)
        begin = min(last.data_page_offset, last.dictionary_page_offset or last.data_page_offset)
    raw = bytearray(path.read_bytes())
    raw[begin : begin + last.total_compressed_size] = b"\xff" * last.total_compressed_size
    path.write_bytes(raw)
    part = cache.read("NSE:INFY", "minute", dates[1], dates[3])
    assert part.digest() == whole.between(dates[1], dates[3]).digest()
    with pytest.raises(DataError, match="damaged"):
        cache.read("NSE:INFY", "minute", dates[4])


@pytest.mark.parametrize("warmup", [0, 1, 374, 375, 400, 1125, 5000])
def test_warmup_bars_lie_right_before_the_start(cache: CandleCache, warmup: int) -> None:
    # 2025-11-03 lies further back than any usual warm-up reaches: the reader has to look again.
    whole = days(datetime(2025, 11, 3), datetime(2025, 11, 4), DAY, DAY + timedelta(days=1))
    cache.write(whole)
    start, end = DAY + timedelta(days=1), DAY + timedelta(days=1, hours=10)
    part = cache.read("NSE:INFY", "minute", start, end, warmup_bars=warmup)
    first = max(0, 3 * 375 - warmup)
    assert part.start.tolist() == whole.start[first : 3 * 375 + 45].tolist()


def test_a_coarser_interval_is_made_from_what_is_stored(cache: CandleCache) -> None:
    cache.write(days(DAY, DAY + timedelta(days=1)))
    start = DAY + timedelta(days=1, hours=9, minutes=30)
    made = cache.read("NSE:INFY", "15minute", start, start + timedelta(minutes=30), warmup_bars=3, windows=windows)
    assert [f"{begun:%d %H:%M}" for begun in made.start.tolist()] == [
        "23 15:00",
        "23 15:15",
        "24 09:15",
        "24 09:30",
        "24 09:45",
    ]
    assert made.volume[-1] == sum(range(30, 45)) * 10
    assert made.interval == "15minute"
    assert "15minute from minute" in made.source


def test_the_stored_interval_is_taken_before_one_that_could_be_made(cache: CandleCache) -> None:
    cache.write(days(DAY))
    cache.write(walk(DAY, 1, interval="day", shift=77))
    assert cache.read("NSE:INFY", "day", windows=windows).open[0] == 577


def test_a_range_that_the_stored_interval_lacks_is_made_from_a_finer_one(cache: CandleCache) -> None:
    cache.write(days(DAY, DAY + timedelta(days=1)))
    cache.write(walk(OPEN, 7, interval="60minute", shift=77))
    tomorrow = DAY + timedelta(days=1)
    assert cache.read("NSE:INFY", "60minute", DAY, tomorrow, windows=windows).open[0] == 577
    assert cache.read("NSE:INFY", "60minute", tomorrow, windows=windows).open[0] == 500


def test_nothing_in_the_range_says_what_is_stored_and_what_to_run(cache: CandleCache) -> None:
    cache.write(walk(OPEN, 10, key="NSE:NIFTY 50"))
    with pytest.raises(DataError) as raised:
        cache.read("NSE:NIFTY 50", "minute", datetime(2024, 1, 1), datetime(2024, 2, 1))
    assert str(raised.value) == (
        "NSE:NIFTY 50 minute is stored from 2026-11-23 09:15 to 2026-11-23 09:24; nothing between 2024-01-01 00:00 "
        "and 2024-02-01 00:00; run `btkite data fetch -s 'NSE:NIFTY 50' -i minute --from 2024-01-01 --to 2024-01-31`"
    )


def test_a_hole_inside_the_stored_range_is_nothing_too(cache: CandleCache) -> None:
    cache.write(days(DAY, DAY + timedelta(days=7)))
    with pytest.raises(DataError, match="nothing between"):
        cache.read("NSE:INFY", "minute", DAY + timedelta(days=2), DAY + timedelta(days=3), warmup_bars=100)


def test_nothing_at_all_names_the_intervals_that_are_there(cache: CandleCache) -> None:
    cache.write(walk(DAY, 3, interval="day"))
    with pytest.raises(DataError, match=r"NSE:INFY 5minute is not stored in .*only day.*-s NSE:INFY -i 5minute`"):
        cache.read("NSE:INFY", "5minute", windows=windows)


def test_an_unknown_interval_is_refused(cache: CandleCache) -> None:
    with pytest.raises(ConfigError, match="interval '2minute' is unknown"):
        cache.read("NSE:INFY", "2minute")


# ---- merging ----------------------------------------------------------------------------------


def test_merged_bars_are_in_order_and_the_new_ones_win(cache: CandleCache) -> None:
    cache.merge("NSE:INFY", "minute", walk(OPEN, 10), source="kite", facts={"tick_size": 0.05})
    cache.merge("NSE:INFY", "minute", walk(OPEN + timedelta(minutes=8), 4, shift=100).columns(), facts={"lot_size": 1})
    cache.merge("NSE:INFY", "minute", walk(OPEN - timedelta(minutes=2), 2))
    back = cache.read("NSE:INFY", "minute")
    assert len(back) == 14
    assert back.first == OPEN - timedelta(minutes=2)
    assert back.open[10:].tolist()[0] == 600
    row = cache.stored("NSE:INFY", "minute")
    assert row is not None
    assert dict(row.facts) == {"tick_size": 0.05, "lot_size": 1}
    assert row.source == "kite"


def test_missing_is_what_was_never_asked_for(cache: CandleCache) -> None:
    day = timedelta(days=1)
    assert cache.missing("NSE:INFY", "minute", DAY, DAY + day) == ((DAY, DAY + day),)
    cache.merge("NSE:INFY", "minute", walk(OPEN, 5), covered=[(DAY, DAY + day)])
    assert cache.missing("NSE:INFY", "minute", DAY, DAY + day) == ()
    assert cache.missing("NSE:INFY", "minute", DAY - day, DAY + 2 * day) == (
        (DAY - day, DAY),
        (DAY + day, DAY + 2 * day),
    )


def test_what_was_asked_for_in_vain_is_a_known_gap(cache: CandleCache) -> None:
    day = timedelta(days=1)
    cache.merge("NSE:NEW", "minute", Candles.empty("NSE:NEW", "minute"), covered=[(DAY - 60 * day, DAY - day)])
    row = cache.stored("NSE:NEW", "minute")
    assert row is not None
    assert (row.rows, row.first, row.gaps) == (0, None, ((DAY - 60 * day, DAY - day),))
    cache.merge("NSE:NEW", "minute", walk(OPEN, 3, key="NSE:NEW"), covered=[(DAY - day, DAY + day)])
    cache.merge("NSE:NEW", "minute", Candles.empty("NSE:NEW", "minute"), covered=[(DAY + day, DAY + 9 * day)])
    row = cache.stored("NSE:NEW", "minute")
    assert row is not None
    assert row.gaps == ((DAY - 60 * day, OPEN), (DAY + day, DAY + 9 * day))
    assert row.covered == ((DAY - 60 * day, DAY + 9 * day),)


def test_replace_forgets_the_old_bars_in_the_same_step(cache: CandleCache) -> None:
    cache.merge(
        "NSE:INFY", "minute", walk(OPEN, 10), covered=[(DAY, DAY + timedelta(days=1))], facts={"tick_size": 0.05}
    )
    new = walk(OPEN + timedelta(minutes=3), 4, shift=-250)
    cache.merge("NSE:INFY", "minute", new, covered=[(OPEN, OPEN + timedelta(minutes=9))], replace=True)
    row = cache.stored("NSE:INFY", "minute")
    assert row is not None
    assert cache.read("NSE:INFY", "minute").digest() == new.digest()
    assert row.covered == ((OPEN, OPEN + timedelta(minutes=9)),)
    assert dict(row.facts) == {"tick_size": 0.05}


def test_one_series_is_not_merged_into_another(cache: CandleCache) -> None:
    with pytest.raises(ValueError, match="cannot be merged"):
        cache.merge("NSE:TCS", "minute", walk(OPEN, 2))


def test_a_series_that_was_put_together_is_of_several_sources_and_names_the_last(cache: CandleCache) -> None:
    for name, start in (("a.csv", OPEN), ("a.csv", OPEN), ("b.csv", OPEN + timedelta(days=1))):
        source = cache.merge("NSE:INFY", "minute", walk(start, 2), source=name).source
        assert source == ("a.csv" if name == "a.csv" else "several, last b.csv")
    for name in ("b.csv", "c.csv"):
        assert cache.merge("NSE:INFY", "minute", walk(OPEN, 2), source=name).source == f"several, last {name}"
    assert cache.merge("NSE:INFY", "minute", walk(OPEN, 2), source="d.csv", replace=True).source == "d.csv"


def test_a_range_without_data_of_a_derived_interval_says_from_what_it_is_made_and_what_is_stored(
    cache: CandleCache,
) -> None:
    cache.write(walk(OPEN, 50))
    with pytest.raises(DataError) as refused:
        cache.read("NSE:INFY", "5minute", datetime(2020, 1, 1), datetime(2020, 2, 1), windows=windows)
    assert str(refused.value) == (
        "NSE:INFY 5minute is made from minute, which is stored from 2026-11-23 09:15 to 2026-11-23 10:04; "
        "nothing between 2020-01-01 00:00 and 2020-02-01 00:00; "
        "run `btkite data fetch -s NSE:INFY -i 5minute --from 2020-01-01 --to 2020-01-31`"
    )


def test_remove_forgets_a_series_and_may_be_said_twice(cache: CandleCache) -> None:
    cache.write(walk(OPEN, 2))
    cache.remove("NSE:INFY", "minute")
    cache.remove("NSE:INFY", "minute")
    assert cache.list() == ()


# ---- damage -----------------------------------------------------------------------------------


def test_a_truncated_file_says_what_to_do(cache: CandleCache) -> None:
    cache.write(walk(OPEN, 50))
    path = cache.path("NSE:INFY", "minute")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"cannot be read .*delete it and fetch"):
        cache.read("NSE:INFY", "minute")


def test_a_flipped_bit_is_noticed(cache: CandleCache) -> None:
    cache.write(walk(OPEN, 50))
    path = cache.path("NSE:INFY", "minute")
    with pq.ParquetFile(path) as file:
        place = (
            file.metadata.row_group(0).column(1).data_page_offset
            + file.metadata.row_group(0).column(1).total_compressed_size
            - 3
        )
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(raw)
    with pytest.raises(DataError, match="damaged"):
        cache.read("NSE:INFY", "minute")


def test_a_stranger_in_the_cache_is_not_taken_for_ours(cache: CandleCache) -> None:
    path = cache.path("NSE:INFY", "minute")
    path.parent.mkdir(parents=True)
    pq.write_table(pa.table({"date": [OPEN], "open": [1.0]}), path)
    with pytest.raises(DataError, match=r"not written by btkite.*data import"):
        cache.read("NSE:INFY", "minute")


def test_reading_imports_no_pandas(cache: CandleCache) -> None:
    cache.write(days(DAY))
    program = (
        "import sys; from btkite.candles import CandleCache\n"
        f"c = CandleCache({str(cache.folder)!r}).read('NSE:INFY', 'minute')\n"
        "assert len(c) == 375 and 'pandas' not in sys.modules, 'pandas was imported'"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stderr
