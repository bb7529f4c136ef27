"""Recorded ticks: read from the forms in which they are recorded, played print by print with their depth."""

from __future__ import annotations

import gzip
import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from btkite.exchange import BadCandles
from btkite.exchange.clock import SECOND, kite_text, stamp
from btkite.exchange.history import candles
from btkite.exchange.ticks import TickSeries, read_ticks

from .scene import DAY, KEY, Scene

SHARED = Path(os.environ.get("BTKITE_SHARED", Path(__file__).resolve().parents[3] / "shared"))
AT = DAY.replace(hour=9, minute=15)


def ticks(*prices: float, every: float = 1.0, **more: Any) -> TickSeries:
    times = [AT + timedelta(seconds=every * i) for i in range(len(prices))]
    return TickSeries(time=times, last_price=prices, **more)


def scene(series: TickSeries, **more: Any) -> Scene:
    return Scene(ticks={KEY: series}, **more).opened()


def test_every_tick_is_a_print_at_its_own_time() -> None:
    played = scene(ticks(100.0, 100.5, 99.0, every=20.0, quantity=[1, 2, 3]))
    listing = played.venue.market.listings[KEY]
    seen = []
    while not played.venue.done:
        before = listing.printed
        played.venue.pull(True, None)
        if listing.printed > before:
            seen.append((played.now, listing.last, listing.volume))
    assert seen == [("09:15:00", 100.0, 1), ("09:15:20", 100.5, 3), ("09:15:40", 99.0, 6)]


def test_two_ticks_of_a_minute_are_joined_and_a_new_minute_is_a_jump() -> None:
    played = scene(ticks(100.0, 104.0, 110.0, every=30.0))
    near = played.place("SELL", "LIMIT", price=102.0)
    far = played.place("SELL", "LIMIT", price=107.0)
    played.to_end()
    assert near.average_price == 102.0  # on the way from 100 to 104
    assert far.average_price == 110.0  # the minute opened beyond it


def test_without_depth_an_order_meets_the_next_tick() -> None:
    played = scene(ticks(100.0, 101.0, 102.0))
    played.bar("09:15:00.500000")
    order = played.place("BUY")
    assert order.status == "OPEN"
    played.to_end()
    assert played.fills() == [("09:15:01", "BUY", 101.0)]


BOOK = ([[99.9, 20]], [[100.1, 4], [100.2, 30]])


def test_with_recorded_depth_an_order_trades_at_once_with_the_standing_book() -> None:
    played = scene(ticks(100.0, 100.0, depth=[BOOK, BOOK]))
    played.bar("09:15:00.500000")
    order = played.place("BUY")
    rows = [(row["quantity"], row["average_price"]) for row in played.venue.book.trades]
    assert rows == [(4, 100.1), (6, 100.2)]
    assert order.status == "COMPLETE"
    bids, asks = played.venue.market.listings[KEY].depth()
    assert (bids[0], asks[0]) == ((99.9, 20, 1), (100.2, 24, 1))


def test_a_resting_order_that_the_next_book_passes_trades_at_its_own_price() -> None:
    lower = ([[99.0, 20]], [[99.5, 6], [99.8, 100]])
    played = scene(ticks(100.0, 99.5, 99.5, depth=[BOOK, lower, None]))
    played.bar("09:15:00.500000")
    order = played.place("BUY", "LIMIT", price=99.7)
    played.bar()
    assert [(row["quantity"], row["average_price"]) for row in played.venue.book.trades] == [(6, 99.7)]
    assert order.pending_quantity == 4
    assert played.venue.market.listings[KEY].depth()[0][0] == (99.7, 4, 1)


def test_a_stop_is_triggered_by_the_last_price_and_takes_the_book() -> None:
    up = ([[101.0, 20]], [[101.3, 3], [101.5, 100]])
    played = scene(ticks(100.0, 101.2, depth=[BOOK, up]))
    played.bar("09:15:00.500000")
    played.place("BUY", "SL-M", trigger_price=101.0)
    played.to_end()
    assert [(row["quantity"], row["average_price"]) for row in played.venue.book.trades] == [(3, 101.3), (7, 101.5)]


def test_history_serves_the_minutes_of_the_ticks_and_the_forming_one() -> None:
    played = scene(ticks(100.0, 103.0, 99.0, 101.0, every=20.0, quantity=[1, 2, 3, 4], oi=[5, 6, 7, 8]))
    played.bar("09:15:30")
    listing, begin = played.venue.market.listings[KEY], stamp(AT)
    assert [row[1:] for row in candles(listing, "minute", begin, begin + 60 * SECOND, True)] == [
        [100.0, 103.0, 100.0, 103.0, 3, 7]
    ]
    assert listing.oi == 6
    played.to_end()
    rows = candles(listing, "minute", begin, begin + 60 * SECOND, False)
    assert [row[1:] for row in rows] == [[100.0, 103.0, 99.0, 99.0, 6], [101.0, 101.0, 101.0, 101.0, 4]]


def test_bars_end_where_a_pull_stops() -> None:
    played = scene(ticks(*[100.0] * 5, every=30.0))
    assert played.to_end() == ["09:16:00", "09:17:00", "09:18:00"]


def test_ticks_and_candles_of_other_symbols_stand_side_by_side() -> None:
    from .scene import candles as made

    played = Scene(ticks={KEY: ticks(100.0, 101.0)}, candles={"NSE:SBIN": made([(50.0, 50.0, 50.0, 50.0)])}).opened()
    played.place("BUY", symbol="SBIN")
    played.place("BUY")
    played.to_end()
    assert sorted(price for _, _, price in played.fills()) == [50.0, 100.0]


def test_the_days_volume_gives_the_quantities() -> None:
    series = ticks(100.0, 100.0, 100.0, volume=[1000, 1040, 1100])
    assert series.quantity.tolist() == [0, 40, 60]
    played = scene(series)
    played.to_end()
    assert played.venue.market.listings[KEY].volume == 1100


def test_ticks_are_put_in_the_order_of_time() -> None:
    series = TickSeries(time=[AT + timedelta(seconds=5), AT], last_price=[2.0, 1.0])
    assert series.last_price.tolist() == [1.0, 2.0]


# files


def test_a_plain_table_without_a_header_is_time_and_price(tmp_path: Path) -> None:
    path = tmp_path / "day.csv.gz"
    path.write_bytes(gzip.compress(b"2026-11-18 09:15:00,100.5\n2026-11-18 09:15:01.250,101\n"))
    series = read_ticks(path)
    assert series.last_price.tolist() == [100.5, 101.0]
    assert [one - stamp(AT) for one in series.time.tolist()] == [0, 1_250_000]


def test_kites_dictionaries_as_json_lines_with_two_instruments(tmp_path: Path) -> None:
    def tick(token: int, price: float) -> dict[str, Any]:
        level = {"price": price - 0.05, "quantity": 7, "orders": 2}
        return {
            "instrument_token": token, "last_price": price, "last_traded_quantity": 3, "volume_traded": 10,
            "exchange_timestamp": "2026-11-18T09:15:00", "oi": 4,
            "depth": {"buy": [level], "sell": [{**level, "price": price + 0.05}]},
        }  # fmt: skip

    path = tmp_path / "ticks.jsonl"
    path.write_text(json.dumps([tick(1, 100.0), tick(2, 50.0)]) + "\n" + json.dumps(tick(1, 100.1)) + "\n")
    series = read_ticks(path, token=1)
    assert series.last_price.tolist() == [100.0, 100.1]
    assert series.depth[0] == (((99.95, 7, 2),), ((100.05, 7, 2),))
    assert (series.quantity.tolist(), series.volume.tolist(), series.oi.tolist()) == ([3, 3], [10, 10], [4, 4])


def test_parquet_with_flat_levels_and_zoned_times(tmp_path: Path) -> None:
    import pandas as pd

    path = tmp_path / "ticks.parquet"
    frame = pd.DataFrame(
        {
            "time": pd.to_datetime(["2026-11-18T03:45:00Z", "2026-11-18T03:45:01Z"]),
            "last_price": [100.0, 100.5],
            "bid1": [99.9, 0.0],
            "bid_qty1": [5, 0],
            "ask1": [100.1, 100.6],
            "ask_qty1": [6, 8],
        }
    )
    frame.to_parquet(path)
    series = read_ticks(path)
    assert series.time.tolist() == [stamp(AT), stamp(AT) + SECOND]
    assert series.depth == [(((99.9, 5, 1),), ((100.1, 6, 1),)), ((), ((100.6, 8, 1),))]


@pytest.mark.parametrize("value", [1794973500, 1794973500_000, 1794973500_000_000, 1794973500_000_000_000])
def test_numbers_are_epoch_times_by_their_size(tmp_path: Path, value: int) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f"timestamp,ltp\n{value},10\n")
    assert kite_text(int(read_ticks(path).time[0])) == "2026-11-18 09:15:00"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,last_price\n", "holds no tick"),
        ("time,last_price\nsoon,100\n", "'soon' is not a time"),
        ("time,volume\n2026-11-18 09:15:00,100\n", "needs a time and a last price"),
        ("time,last_price\n2026-11-18 09:15:00,0\n", "no price above zero"),
    ],
)
def test_what_makes_no_ticks_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(BadCandles, match=message):
        read_ticks(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadCandles, match="no ticks at"):
        Scene(ticks={KEY: tmp_path / "none.csv"})


def recorded(name: str) -> Path:
    path = SHARED / "data" / "ticks" / name
    if not path.is_file():
        pytest.skip(f"the recorded ticks are not beside the repository: {path.name}")
    return path


@pytest.mark.shared
def test_a_real_index_day_is_played_second_by_second() -> None:
    path = recorded("NIFTY50_1s_last_price_2022-08-29.csv.gz")
    played = Scene(ticks={"NSE:NIFTY 50": path})
    listing = played.venue.market.listings["NSE:NIFTY 50"]
    stops = played.to_end()
    assert listing.printed == 23597 - sum(
        1 for one in read_ticks(path).time.tolist() if one < stamp(datetime(2022, 8, 29, 9, 0))
    )
    assert "09:16:00" in stops
    assert "15:30:00" in stops
    assert kite_text(listing.last_us) == "2022-08-29 15:34:59"


@pytest.mark.shared
def test_a_real_straddle_trades_at_its_recorded_touch() -> None:
    path = recorded("kite_top_of_book_BANKNIFTY26FEB59700_CE_PE_2026-01-29.jsonl.gz")
    call, put = "NFO:BANKNIFTY26FEB59700CE", "NFO:BANKNIFTY26FEB59700PE"
    played = Scene(
        ticks={call: path, put: path}, lot_sizes={call: 30, put: 30}, start=datetime(2026, 1, 29, 11, 28, 40)
    )
    form = {"exchange": "NFO", "product": "NRML", "quantity": 60}
    played.venue.move_to(stamp(datetime(2026, 1, 29, 11, 28, 40)) + SECOND // 2)
    listing = played.venue.market.listings[call]
    best = listing.depth()[1][0]
    order = played.place("BUY", symbol=call.partition(":")[2], **form)
    first = played.venue.book.trades[0]
    assert first["average_price"] == best[0]
    assert first["quantity"] == min(best[1], 60)
    played.venue.move_to(played.venue.now + 60 * SECOND)
    assert order.status == "COMPLETE"
    assert 900 < order.average_price < 1200
