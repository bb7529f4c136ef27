"""Frames of the stream become one-minute bars: from the bytes that a socket reads to bars that are closed.

Each frame has one full packet (184 bytes, five levels of depth) of every instrument, four frames a market second;
prices and volumes are random, and the same on both sides.

* ``btkite``: what the live store does with a frame: :meth:`.Decoder.read`, the judge of silence, the bar builders of
  all feeds, and taking the bars that are over. No strategy and no broker.
* ``kiteconnect``: what is written today: ``KiteTicker``'s own parser, a dict a tick, and bars in dicts.

The bars must be equal to the last bit. The clock starts after the first frame, which has the calendar's hours looked up
once a day for each instrument. It fails if frames of a thousand packets are not ``--at-least`` times as fast, or if
12,000 ticks a second (3,000 instruments, four times a second) take more than one per cent of a core.

    python benchmarks/ticks.py [--sizes 1 100 1000 3000] [--ticks 300000] [--rounds 2] [--at-least 100]
"""

from __future__ import annotations

import argparse
import hashlib
import os
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import paired

OPEN = datetime(2026, 7, 15, 9, 15)  # a Wednesday with ordinary hours
AT_LEAST, JUDGED = 100.0, 1000
PER_SECOND, MOST = 12_000, 1.0  # ticks, per cent of a core
A_SECOND = 4  # frames
_IST = 19_800
_PACKET = struct.Struct(">H16I" + "IIHxx" * 10)


def token_of(number: int) -> int:
    return (5000 + number) * 256 + 1


def frames(size: int, ticks: int) -> list[bytes]:
    """The day's first frames."""
    count = max(100, min(ticks // size, 20_000))
    rng = np.random.default_rng(size)
    first = int((OPEN - datetime(1970, 1, 1)).total_seconds()) - _IST
    price = rng.integers(10_000, 400_000, size)
    volume = rng.integers(1, 5_000, size)
    made = []
    for number in range(count):
        price = np.maximum(5, price + 5 * rng.integers(-4, 5, size))
        volume = volume + rng.integers(0, 300, size)
        moment = first + number // A_SECOND
        parts = [struct.pack(">H", size)]
        for place, (last, traded) in enumerate(zip(price.tolist(), volume.tolist(), strict=True)):
            ladder = [part for step in range(10) for part in (10 + step, last + 5 * step, 3)]
            parts.append(
                _PACKET.pack(184, token_of(place), last, 1, last, traded, 500, 600, last, last, last, last, moment,
                             0, 0, 0, moment, *ladder)
            )  # fmt: skip
        made.append(b"".join(parts))
    return made


def digest(bars: Iterable[tuple[Any, ...]]) -> str:
    """A hash of (token, start, open, high, low, close, volume) of all bars."""
    return hashlib.sha256(repr(sorted(bars)).encode()).hexdigest()


class Kiteconnect:
    """The parser of KiteTicker, and bars in dicts."""

    def __init__(self, size: int, folder: str) -> None:
        from kiteconnect import KiteTicker

        self.ticker = KiteTicker.__new__(KiteTicker)
        self.forming: dict[int, dict[str, Any]] = {}
        self.closed: list[dict[str, Any]] = []

    def take(self, frame: bytes, number: int) -> None:
        for tick in self.ticker._parse_binary(frame):
            token, price = tick["instrument_token"], tick["last_price"]
            start = tick["exchange_timestamp"].replace(second=0)
            bar = self.forming.get(token)
            if bar is not None and bar["start"] == start:
                bar["high"] = max(bar["high"], price)
                bar["low"] = min(bar["low"], price)
                bar["close"] = price
                bar["volume"] = tick["volume_traded"] - bar["base"]
                bar["day"] = tick["volume_traded"]
                continue
            base = 0
            if bar is not None:
                self.closed.append(bar)
                base = bar["day"]
            self.forming[token] = {
                "token": token, "start": start, "open": price, "high": price, "low": price, "close": price,
                "volume": tick["volume_traded"] - base, "base": base, "day": tick["volume_traded"],
            }  # fmt: skip

    def bars(self) -> str:
        names = ("token", "start", "open", "high", "low", "close", "volume")
        return digest(
            (bar["token"], str(bar["start"]), *(float(bar[name]) for name in names[2:])) for bar in self.closed
        )


class Btkite:
    """A live store's feeds, on no stream."""

    def __init__(self, size: int, folder: str) -> None:
        from btkite.clock import ManualClock
        from btkite.config import Config
        from btkite.feed import KiteData
        from btkite.feeding import Feeding
        from btkite.kite.frames import Decoder
        from btkite.series import Candles
        from btkite.silence import Silence
        from btkite.store import KiteStore
        from btkite.values import Instrument

        self.decoder = Decoder()
        config = Config().with_(**{"data.cache": folder})
        self.store = KiteStore(mode="live", config=config, clock=ManualClock(OPEN))  # type: ignore[call-arg]
        self.store.silence = Silence(30.0)
        self.feeds = []
        for number in range(size):
            key = f"NSE:S{number:04d}"
            data = KiteData(dataname=Candles.empty(key, "minute"), name=key)  # type: ignore[call-arg]
            data.bind(Instrument("NSE", f"S{number:04d}", token_of(number)))
            feeding = Feeding(self.store, data)
            feeding.state = "flowing"
            self.store._enter(feeding)
            self.feeds.append(feeding)

    def take(self, frame: bytes, number: int) -> None:
        now = OPEN + timedelta(seconds=number / A_SECOND)
        self.store.take_ticks(self.decoder.read(frame), now)
        for feeding in self.store._closing(now, 1.0, complete=True):
            feeding.close(now, 1.0, complete=True)

    def bars(self) -> str:
        return digest(
            (feeding.token, str(bar.start), bar.open, bar.high, bar.low, bar.close, bar.volume)
            for feeding in self.feeds
            for bar in feeding.pending
        )


SIDES: dict[str, Callable[[int, str], Any]] = {"btkite": Btkite, "kiteconnect": Kiteconnect}


def through(one: Any, wire: Sequence[bytes]) -> Callable[[], str]:
    for number, frame in enumerate(wire, 1):
        one.take(frame, number)
    return one.bars


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 100, 1000, 3000])
    parser.add_argument("--ticks", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--at-least", type=float, default=AT_LEAST)
    parser.add_argument("--side", choices=list(SIDES), help="one side's run")
    given = parser.parse_args()
    if given.side:
        os.environ["TZ"] = "Asia/Kolkata"  # KiteTicker's times are the host's
        time.tzset()
        begun = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            wire = frames(given.sizes[0], given.ticks)
            one = SIDES[given.side](given.sizes[0], folder)
            one.take(wire[0], 0)
            before = time.process_time() - begun
            paired.side(sys.argv, dict.fromkeys(SIDES, through), one, wire[1:], before=before)
        return
    for size in given.sizes:
        count = len(frames(size, given.ticks)) - 1
        args = ("--sizes", str(size), "--ticks", str(given.ticks))
        pair = paired.compare(__file__, *args, ours="btkite", theirs="kiteconnect", rounds=given.rounds, unmeasured=0)
        paired.tell(f"{count:,} frames of {size:,} packets to bars", pair, "btkite", "kiteconnect")
        each = [1e6 * spent / (count * size) for spent in (pair.ours, pair.theirs)]
        shares = [one * PER_SECOND / 1e4 for one in each]
        print(
            f"  a tick: {each[0]:.2f} and {each[1]:.1f} us; {PER_SECOND:,} a second: "
            f"{shares[0]:.2f} and {shares[1]:.0f} % of a core"
        )
        if size == JUDGED:
            paired.demand(pair, given.at_least)
            paired.within(f"{PER_SECOND:,} ticks a second", shares[0], MOST, "% of a core")


if __name__ == "__main__":
    main()
