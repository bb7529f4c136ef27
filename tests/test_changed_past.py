"""A corporate action rewrites what Kite says of the past: what is stored is replaced as a whole, in all intervals."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import backtrader as bt
import numpy as np
import pytest

from btkite import sources
from btkite.candles import Candles
from btkite.store import KiteStore
from btkite.values import Bar

KEY = "NSE:SPLIT"
DAYS = [datetime(2024, 7, day) for day in (1, 2, 3, 4, 5, 8, 9, 10, 11, 12)]
EX = DAYS[6]
OPEN = timedelta(hours=9, minutes=15)


def minutes(days: Any, *, ratio: float = 1.0, count: int = 25) -> Candles:
    """A seeded walk near 1000 ₹; before ``EX`` times ``ratio``, as Kite tells it from then on."""
    chance, price, rows = random.Random(7), 1000.0, []
    for day in DAYS:
        for n in range(count):
            price = max(900.0, price + chance.choice((-1.0, -0.5, 0.5, 1.0)))
            factor = ratio if day < EX else 0.2  # the market itself trades at a fifth from that day on
            four = [round(one * factor * 20) / 20 for one in (price, price + 2, price - 2, price + 1)]
            if day in days:
                rows.append((day + OPEN + timedelta(minutes=n), *four, 100, 0))
    names = ("date", "open", "high", "low", "close", "volume", "oi")
    return Candles.of(KEY, "minute", dict(zip(names, zip(*rows, strict=True), strict=True)))


@pytest.fixture
def fetch(kite_exchange: Any, tmp_path: Any) -> Any:
    def fetch(candles: Candles, end: datetime, interval: str = "minute") -> Any:
        kite_exchange.reset({KEY: candles}, start=end + timedelta(hours=20))
        store = KiteStore(mode="paper", config=kite_exchange.config(**{"data.cache": str(tmp_path)}))
        found = sources.load(
            "kite", KEY, interval, DAYS[0], end.date(), cache=store.cache, client=store.client, clock=store.clock,
            instrument=store.instrument(KEY),
        )  # fmt: skip
        store.client.close()
        return store.cache, found

    return fetch


@pytest.mark.parametrize("late", [0, 1, 3], ids=["on the day", "a day late", "three days late"])
def test_a_split_replaces_every_stored_interval_and_nothing_is_spliced(fetch: Any, caplog: Any, late: int) -> None:
    seen = DAYS[: 6 + late]
    for interval in ("minute", "day"):
        fetch(minutes(seen), seen[-1], interval)
    now = DAYS[: 7 + late]
    cache, found = fetch(minutes(now, ratio=0.2), now[-1])
    truth = minutes(now, ratio=0.2)
    assert found.close.tolist() == truth.close.tolist()
    assert cache.read(KEY, "minute").close.tolist() == truth.close.tolist()
    days = cache.read(KEY, "day").close
    assert np.abs(days[1:] / days[:-1] - 1).max() < 0.1  # nowhere the step of a splice
    told = [one.getMessage() for one in caplog.records if "past has changed" in one.getMessage()]
    assert len(told) == 1
    assert "1:5" in told[0]


def test_without_a_change_nothing_is_asked_for_again(fetch: Any, caplog: Any) -> None:
    fetch(minutes(DAYS[:4]), DAYS[3], "day")
    fetch(minutes(DAYS[:4]), DAYS[3])
    cache, _ = fetch(minutes(DAYS[:6]), DAYS[5])
    assert cache.stored(KEY, "day").last == DAYS[3]
    assert not [one for one in caplog.records if "past has changed" in one.getMessage()]


@pytest.mark.parametrize(("ratio", "words"), [(0.2, "1:5, as after a split"), (1.0, "")], ids=["split", "none"])
def test_a_run_whose_past_is_rewritten_is_told_once(kite_exchange: Any, ratio: float, words: str) -> None:
    """After an outage the candles of bars that were built from ticks come from history."""
    day = minutes(DAYS[:1])
    kite_exchange.reset({KEY: day}, start=DAYS[0] + timedelta(hours=9))
    store = kite_exchange.store("paper")
    data, engine = store.getdata(KEY, interval="minute"), bt.Cerebro()
    engine.adddata(data)
    data.live_from = 0
    for n, close in enumerate(day.close[:10]):
        start = DAYS[0] + OPEN + timedelta(minutes=n)
        row = (day.open[n], day.high[n], day.low[n], close, day.volume[n])
        data.take_bar(Bar(start, start + timedelta(minutes=1), *(float(one) for one in row)))
    data.take_history(minutes(DAYS[:1], ratio=ratio))
    told = [message for message, *_ in store.notifs]
    assert [words in one for one in told] == ([True] if words else [])
