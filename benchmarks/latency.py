"""From the wire to ``strategy.next()``: how late a live run learns what the exchange has just sent.

The exchange runs in a process of its own, at the speed of the day (1x); 20 times a second it sends one frame with a
packet of every instrument, as Kite does, and stamps each packet with the machine's monotonic clock (which processes
share) in the moment of sending, in the eight bytes of the two quantities on offer.

``next()`` runs on bars, so every packet is made to close one: its exchange time is a minute later than that of the
packet before. A figure is the time from the stamp of the packet that closed a bar to the first line of the ``next()``
that saw this bar, on all feeds together; decoding, bars, lines and broker are in it, twelve hundred times as many bars
as in a real minute. Two sides read the same wire:

* ``btkite``: ``btkite.Cerebro`` in live mode, armed; one inbox and one wait for all feeds.
* ``stock``: what is written today: kiteconnect's ``KiteTicker`` (twisted) in a thread of its own, a queue for each
  feed on which its ``_load`` waits for ``qcheck``, as backtrader's own live feeds do, and ``bt.Cerebro``. It is spared
  what its users are not: a tick is its bar, no bars are built, and no broker is asked anything.

Both sides run in turn, some rounds; of each the best round counts, because others on the machine make a run slower,
never faster. Backlog: the median of a round's last quarter may not be twice that of its first. What is promised is
asked of rounds on a quiet machine; where there is none, the table says so and nothing is judged.

    python benchmarks/latency.py [--feeds 1 10 50] [--seconds 5.5] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import queue
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np
import paired

DAY = datetime(2026, 7, 15)  # a Wednesday with ordinary hours
KEY, TOKEN, USER = "sandboxkey000000", "benchmark-token", "SIM001"
PER_SECOND = 20
P50 = {1: 1.0, 10: 2.0}  # ms
P99 = 5.0
QUIET = 0.5  # of its cores that a machine may be busy with, all in all
_STAMP = struct.Struct(">II")
_AT = 20  # where the two quantities are in a packet
_IST = 19_800


def moments(count: int) -> list[int]:
    """Epoch seconds of the packets: every minute of trading days after the exchange's own."""
    from btkite.market.calendar import calendar

    found: list[int] = []
    day = calendar().next_session_day("NSE", DAY.date())
    while len(found) < count:
        found += [
            int((datetime(day.year, day.month, day.day, 9, 15) - datetime(1970, 1, 1)).total_seconds())
            + 60 * minute - _IST
            for minute in range(375)
        ]  # fmt: skip
        day = calendar().next_session_day("NSE", day)
    return found[:count]


def serve(pipe: Any, feeds: int) -> None:
    """The exchange's process: sends ``count`` frames when told to."""
    from btkite.exchange import CandleSeries, Exchange, ExchangeSettings

    start = [DAY + timedelta(hours=9, minutes=15 + minute) for minute in range(375)]
    flat = [1000.0] * 375
    candles = {
        f"NSE:S{number:04d}": CandleSeries(
            interval="minute", start=start, open=flat, high=flat, low=flat, close=flat, volume=[4000] * 375
        )
        for number in range(feeds)
    }
    settings = ExchangeSettings(
        candles=candles, start=DAY + timedelta(hours=9, minutes=20), speed=1.0, skip_closed=False, api_key=KEY,
        auto_token=TOKEN, user_id=USER, rate_limits=False, cash=1e9, check_margin=False, check_holdings=False,
    )  # fmt: skip
    with Exchange(settings) as exchange:
        pipe.send(exchange.url)
        tokens, count = pipe.recv()
        tasks: list[Any] = []
        server = exchange._server
        server.call(lambda: tasks.append(asyncio.ensure_future(send(server.venue.hub, tokens, count))))
        pipe.recv()


async def send(hub: Any, tokens: list[int], count: int) -> None:
    """Frames of one packet each for all instruments, 20 a second."""
    from btkite.exchange.packets import frame

    packet = struct.Struct(">16I" + "IIHxx" * 10)
    begin = time.monotonic() + 0.2
    for number, moment in enumerate(moments(count)):
        price = 100_000 + 5 * (number % 40)
        packets = [
            packet.pack(
                token, price, 1, price, number + 1, 0, 0, price, price, price, price, moment, 0, 0, 0, moment,
                *(10, price, 1) * 10,
            )
            for token in tokens
        ]  # fmt: skip
        body = bytearray(frame(packets))
        await asyncio.sleep(max(0.0, begin + number / PER_SECOND - time.monotonic()))
        now = time.monotonic_ns()
        for place in range(len(tokens)):
            _STAMP.pack_into(body, 2 + place * 186 + 2 + _AT, now >> 32, now & 0xFFFF_FFFF)
        for socket in hub.sockets:
            socket.append(bytes(body))
            socket.start_flush()


@contextmanager
def exchange(feeds: int) -> Iterator[tuple[str, Any]]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, feeds))
    process.start()
    try:
        yield ours.recv(), ours
    finally:
        ours.send(None)
        process.join(20)


class Measure(bt.Strategy):
    """Writes down the latency of each bar; ends the run with the last."""

    params = (("last", 0), ("begin", None), ("stamps", None))

    def start(self) -> None:
        self.late: list[int] = []
        self.alive = 0
        self.used = 0.0  # CPU seconds of a bar, of all threads, from the first one on

    def notify_data(self, data: Any, status: int, *args: Any, **kwargs: Any) -> None:
        self.alive += status == data.LIVE
        if self.p.begin is not None and self.alive == len(self.datas):
            self.p.begin()
            self.p.begin = None

    def next(self) -> None:
        now = time.monotonic_ns()
        moment = self.data.datetime[0]
        if any(data.datetime[0] != moment for data in self.datas):
            return  # not all feeds are there yet
        end = round((moment - _EPOCH) * 86_400) - _IST
        stamp = self.p.stamps.pop(end, None)
        if stamp is not None:
            self.late.append(now - stamp)
        if len(self.late) == 1:
            self._begun = time.process_time()
        if end >= self.p.last:
            self.used = (time.process_time() - self._begun) / (len(self.late) - 1)
            self.env.runstop()


_EPOCH = date(1970, 1, 1).toordinal()


def config(url: str, folder: str) -> Any:
    from btkite.config import Config

    kite = {"endpoint": url, "api_key": KEY, "access_token": TOKEN, "user_id": USER}
    return Config().with_(
        **{f"broker.kite_connect.{name}": value for name, value in kite.items()},
        **{"risk.enabled": False, "data.cache": folder, "paths.state": folder, "log.file": False},
    )


def note(stamps: dict[int, int], moment: int, high: int, low: int) -> None:
    if high:
        stamps.setdefault(moment, high << 32 | low)


def btkite_side(feeds: int, count: int, folder: str) -> Measure:
    from btkite.engine import Cerebro
    from btkite.kite.inbox import Ticks
    from btkite.store import KiteStore

    stamps: dict[int, int] = {}

    class Stamped(KiteStore):
        def _dispatch(self, event: Any) -> bool:
            if isinstance(event, Ticks):
                tick = event.ticks[-1]
                note(stamps, tick.exchange_time, tick.buy_quantity, tick.sell_quantity)
            return super()._dispatch(event)

    with exchange(feeds) as (url, pipe):
        store = Stamped(mode="live", config=config(url, folder), confirm=USER)  # type: ignore[call-arg]
        cerebro = Cerebro(stdstats=False)
        datas = [store.getdata(f"NSE:S{number:04d}", interval="minute") for number in range(feeds)]
        for data in datas:
            cerebro.adddata(data)
        cerebro.setbroker(store.getbroker())
        tokens = [data.instrument.instrument_token for data in datas]
        cerebro.addstrategy(Measure, last=moments(count)[-3], begin=lambda: pipe.send((tokens, count)), stamps=stamps)
        (ran,) = cerebro.run()
        return ran


class Queued(bt.feed.DataBase):
    """backtrader's own pattern of a live feed."""

    params = (("qcheck", 0.5),)

    def islive(self) -> bool:
        return True

    def start(self) -> None:
        super().start()
        self.queue: queue.Queue[Any] = queue.Queue()

    def haslivedata(self) -> bool:
        return not self.queue.empty()

    def _load(self) -> bool | None:
        try:
            tick = self.queue.get(timeout=self._qcheck)
        except queue.Empty:
            return None
        self.lines.datetime[0] = bt.date2num(tick["exchange_timestamp"])
        price = tick["last_price"]
        self.lines.open[0] = self.lines.high[0] = self.lines.low[0] = self.lines.close[0] = price
        self.lines.volume[0], self.lines.openinterest[0] = tick["last_traded_quantity"], tick["oi"]
        return True


def stock_side(feeds: int, count: int, folder: str) -> Measure:
    from kiteconnect import KiteTicker

    from btkite.kite import endpoints
    from btkite.store import KiteStore

    os.environ["TZ"] = "Asia/Kolkata"  # KiteTicker's times are the host's
    time.tzset()
    stamps: dict[int, int] = {}
    with exchange(feeds) as (url, pipe):
        store = KiteStore(mode="paper", config=config(url, folder))  # type: ignore[call-arg]
        tokens = [store.instrument(f"NSE:S{number:04d}").instrument_token for number in range(feeds)]
        cerebro = bt.Cerebro(stdstats=False, quicknotify=True)
        datas = {token: Queued(timeframe=bt.TimeFrame.Ticks) for token in tokens}
        for data in datas.values():
            cerebro.adddata(data)
        root = endpoints.resolve(url).ws_root
        ticker = KiteTicker(KEY, TOKEN, root=root)
        first = moments(1)[0]

        def connected(socket: Any, response: Any) -> None:
            socket.subscribe(tokens)
            socket.set_mode(socket.MODE_FULL, tokens)
            pipe.send((tokens, count))

        def heard(socket: Any, ticks: list[dict[str, Any]]) -> None:
            last = ticks[-1]
            if "exchange_timestamp" not in last:  # a packet from before the mode was set
                return
            moment = round((last["exchange_timestamp"] - datetime(1970, 1, 1)).total_seconds()) - _IST
            if moment < first:
                return
            note(stamps, moment, last["total_buy_quantity"], last["total_sell_quantity"])
            for tick in ticks:
                datas[tick["instrument_token"]].queue.put(tick)

        ticker.on_connect, ticker.on_ticks = connected, heard

        class Begins(Measure):
            def start(self) -> None:
                super().start()
                ticker.connect(threaded=True)

        cerebro.addstrategy(Begins, last=moments(count)[-3], stamps=stamps)
        (ran,) = cerebro.run()
        ticker.stop()
        return ran


def figures(ran: Measure) -> dict[str, float]:
    """Of the second and later tenths, in ms: what Python does once is not of every tick. ``cpu``: what the process
    computes for one bar of all feeds; ``load``: how many cores of the machine were busy during the last minute."""
    late = ran.late
    found = np.array(late[len(late) // 10 :]) / 1e6
    quarter = len(found) // 4
    return {
        "p50": float(np.percentile(found, 50)),
        "p99": float(np.percentile(found, 99)),
        "max": float(found.max()),
        "backlog": float(np.median(found[-quarter:]) / np.median(found[:quarter])),
        "bars": float(len(late)),
        "cpu": 1e3 * ran.used,
        "load": os.getloadavg()[0],
    }


def main() -> None:
    import tempfile

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--feeds", type=int, nargs="+", default=[1, 10, 50])
    parser.add_argument("--seconds", type=float, default=5.5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=["btkite", "stock"], help="one side's run")
    given = parser.parse_args()
    count = int(given.seconds * PER_SECOND)
    if given.side:
        with tempfile.TemporaryDirectory() as folder:
            work = {"btkite": btkite_side, "stock": stock_side}[given.side]
            print(json.dumps(figures(work(given.feeds[0], count, folder))))
        return
    print(f"wire to next(), ms: {PER_SECOND} packets a second and feed, {given.seconds:g} s, each closes a bar;")
    print(f"the best of {given.rounds} rounds")
    print("  feeds  side        p50      p99      max   last quarter : first   CPU of a bar   load")
    rounds = {(feeds, side): [] for feeds in given.feeds for side in ("btkite", "stock")}
    for number in range(given.rounds):
        for feeds, side in sorted(rounds, reverse=bool(number % 2)):
            more = ("--side", side, "--feeds", str(feeds), "--seconds", str(given.seconds))
            rounds[feeds, side].append(paired.run(str(Path(__file__)), *more))
    for (feeds, side), said in rounds.items():
        best = {name: min(one[name] for one in said) for name in said[0]}
        print(
            f"  {feeds:5}  {side:7} {best['p50']:8.2f} {best['p99']:8.2f} {best['max']:8.2f}"
            f"   {best['backlog']:20.2f} {best['cpu']:14.2f} {best['load']:6.1f}"
        )
    for feeds in given.feeds:
        judge(feeds, rounds[feeds, "btkite"])


def judge(feeds: int, said: list[dict[str, float]]) -> None:
    """What is promised, by the best of the quiet rounds."""
    bound = QUIET * (os.cpu_count() or 1)
    quiet = [one for one in said if one["load"] <= bound]
    if not quiet:
        print(f"  with {feeds}: not judged, the machine was busy (load over {bound:g})")
        return
    best = {name: min(one[name] for one in quiet) for name in quiet[0]}
    if feeds in P50:
        paired.within(f"p50 with {feeds}", best["p50"], P50[feeds], "ms")
        paired.within(f"p99 with {feeds}", best["p99"], P99, "ms")
    paired.within(f"backlog with {feeds}", best["backlog"], 2.0, "x")


if __name__ == "__main__":
    main()
