"""Promises about what the strategy sees: each bar once, in order, and as the exchange's candles have it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

from .evidence import Evidence
from .scenario import OPEN, TAIL, WARMUP, candles

_TICKS_LOST = ("heartbeat_only", "malformed_frame", "ticks_frozen", "socket_half_open", "ticks_out_of_order")
"""Ticks are gone, and in lock step nothing tells that they are."""
_TICKS_LIE = ("bad_tick", "clock_skew", "price_spike", "modify_races_trigger", *_TICKS_LOST)
"""Ticks that no candle has, or that come at another time."""
_AWAY = ("token_exception", "upgrade_refused")
_HAIR = 1e-6


def bars_in_order(e: Evidence) -> Iterator[str]:
    moments = list(e.moments())
    for at, count in Counter(moments).items():
        if count > 1:
            yield f"next() was called {count} times for the bar of {at:%H:%M}"
    for before, after in pairwise(moments):
        if after < before:
            yield f"the bar of {after:%H:%M} came after that of {before:%H:%M}"
    if e.day.deaths or e.happened("clock_skew", *_TICKS_LOST, *_AWAY):
        return
    first = OPEN + timedelta(minutes=WARMUP)
    wanted = {first + timedelta(minutes=n + 1) for n in range(e.scenario.minutes + TAIL)}
    for at in sorted(wanted - set(moments)):
        yield f"next() was not called for the bar of {at:%H:%M}"


def bars_true(e: Evidence) -> Iterator[str]:
    if e.happened(*_TICKS_LIE):
        return
    series = candles(e.scenario)
    known = {
        (key, str(start.astype("datetime64[s]").item() + timedelta(minutes=1))): prices
        for key, one in series.items()
        for start, *prices in zip(one.start, one.open, one.high, one.low, one.close, strict=True)
    }
    for bar in e.day.bars:
        for key, prices in bar["prices"].items():
            wanted = known.get((key, bar["at"]))
            if wanted is None or any(abs(a - b) > _HAIR for a, b in zip(prices, wanted, strict=True)):
                told = "no such candle" if wanted is None else str([float(one) for one in wanted])
                yield f"the bar of {key} at {bar['at'][11:16]} has {prices}, and the exchange {told}"
