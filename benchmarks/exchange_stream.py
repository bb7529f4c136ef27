"""What the exchange's wire carries: ticks a second per core, requests a second, memory over a day.

The exchange runs in a process of its own, the readers in this one. Sixty market seconds a second and four
prints a minute make four snapshots a second: with 3,000 instruments in full mode that is 12,000 packets a
second, built, framed and sent, and the market that prints them is part of it. What counts is the CPU time of
the exchange's process: the floor is one core. Then requests a second on one kept connection, and the memory
of a day that is streamed at 600 times its speed while orders come and go.

    python benchmarks/exchange_stream.py [--instruments 3000] [--seconds 10] [--sockets 1] [--depth D] [--no-day]
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import multiprocessing
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import aiohttp
import numpy as np
import paired
import psutil

DAY = datetime(2026, 7, 15)  # a Wednesday with ordinary hours: 375 minutes
KEY, TOKEN = "sandboxkey000000", "benchmark-token"
MOST_CORES = 1.0
# Generous: what a request may cost, in milliseconds of the exchange's CPU (so a core answers 33 and 100 a second at the
# least), and by how many MB its memory may grow over a day.
MOST_MS = {"GET /quote, 500": 30.0}
MOST_MS_OF_OTHERS = 10.0
MOST_GROWTH = 150.0
FORM = "application/x-www-form-urlencoded"


def symbol_of(number: int) -> str:
    """Ten letters: a real one's length matters in a URL of five hundred."""
    return f"STOCK{number:05d}"


def serve(pipe: Any, instruments: int, speed: float, more: dict[str, Any]) -> None:
    """The exchange's process: started paused, runs when told to, ends with its parent's word."""
    from btkite.exchange import CandleSeries, Exchange, ExchangeSettings

    start = [DAY + timedelta(hours=9, minutes=15 + minute) for minute in range(375)]
    rng = np.random.default_rng(5)
    candles = {}
    for number in range(instruments):
        close = np.round(500 + np.cumsum(rng.normal(0, 0.4, 375)), 1)
        opened = np.round(close + 0.2, 1)
        candles[f"NSE:{symbol_of(number)}"] = CandleSeries(
            interval="minute", start=start, open=opened.tolist(), high=(close + 0.5).round(1).tolist(),
            low=(close - 0.5).round(1).tolist(), close=close.tolist(), volume=[4000] * 375,
        )  # fmt: skip
    settings = ExchangeSettings(
        candles=candles, start=DAY + timedelta(hours=9, minutes=14, seconds=55), speed=0.0, skip_closed=False,
        auto_token=TOKEN, rate_limits=False, cash=1e9, check_margin=False, check_holdings=False, **more,
    )  # fmt: skip
    with Exchange(settings) as exchange:
        pipe.send(exchange.port)
        pipe.recv()


@contextmanager
def exchange(instruments: int, speed: float, **more: Any) -> Iterator[tuple[int, psutil.Process]]:
    """A served market; its port and its process."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, instruments, speed, more))
    process.start()
    try:
        yield ours.recv(), psutil.Process(process.pid)
    finally:
        ours.send(None)
        process.join(20)


def cpu(process: psutil.Process) -> float:
    """Seconds of a core that it has used."""
    used = process.cpu_times()
    return used.user + used.system


class Caller:
    """Plain HTTP on one kept connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        self._headers = {"Authorization": f"token {KEY}:{TOKEN}"}

    def __call__(
        self, method: str, path: str, body: str | None = None, kind: str = "", *, may_fail: bool = False
    ) -> dict[str, Any]:
        headers = self._headers | ({"Content-Type": kind} if kind else {})
        self._connection.request(method, path, body, headers)
        reply = self._connection.getresponse()
        answer: dict[str, Any] = json.loads(reply.read())
        if reply.status != 200 and not may_fail:
            raise SystemExit(f"{method} {path}: {reply.status} {answer}")
        return answer["data"] or {}

    def clock(self, **body: Any) -> dict[str, Any]:
        return self("POST", "/_exchange/clock", json.dumps(body))


def tokens_of(port: int) -> list[int]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", "/instruments")
    lines = connection.getresponse().read().decode().splitlines()[1:]
    return [int(line.split(",")[0]) for line in lines]


async def listen(port: int, tokens: list[int], seconds: float, ready: asyncio.Event, found: list[int]) -> None:
    """One socket in full mode; counts packets, frames and bytes until the time is up."""
    limit = 64 * 1024 * 1024
    address = f"http://127.0.0.1:{port}/?api_key={KEY}&access_token={TOKEN}"
    async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=limit) as socket:
        await socket.send_json({"a": "subscribe", "v": tokens})
        await socket.send_json({"a": "mode", "v": ["full", tokens]})
        ready.set()
        end = None
        while end is None or time.monotonic() < end:
            try:
                message = await socket.receive(timeout=30.0)
            except TimeoutError:
                break
            if message.type is not aiohttp.WSMsgType.BINARY:
                continue
            if end is None:
                end = time.monotonic() + seconds
            count = struct.unpack(">H", message.data[:2])[0] if len(message.data) > 2 else 0
            found[0] += count
            found[1] += 1
            found[2] += len(message.data)


def stream(port: int, process: psutil.Process, tokens: list[int], seconds: float, sockets: int, speed: float) -> float:
    """Ticks to ``sockets`` readers for a while; the cores it took."""
    call = Caller(port)

    async def main() -> tuple[list[list[int]], float, float]:
        counts = [[0, 0, 0] for _ in range(sockets)]
        ready = [asyncio.Event() for _ in range(sockets)]
        readers = [
            asyncio.create_task(listen(port, tokens, seconds, one, found))
            for one, found in zip(ready, counts, strict=True)
        ]
        for one in ready:
            await one.wait()
        await asyncio.sleep(0.5)
        await asyncio.to_thread(call.clock, speed=speed)
        began, used = time.monotonic(), cpu(process)
        await asyncio.wait(readers)
        return counts, time.monotonic() - began, cpu(process) - used

    counts, wall, used = asyncio.run(main())
    call.clock(pause=True)
    packets, frames, size = (sum(column) for column in zip(*counts, strict=True))
    print(f"  {packets:,} packets in {frames} frames ({size / 1e6:.0f} MB) in {wall:.1f} s: "
          f"{packets / wall:,.0f} packets a second")  # fmt: skip
    print(f"  CPU of the exchange {used:.2f} s: {used / wall:.2f} cores; {packets / used:,.0f} packets per core-second")
    return used / wall


def requests(port: int, process: psutil.Process, seconds: float) -> dict[str, float]:
    """Calls on one kept connection; milliseconds of CPU of each."""
    call = Caller(port)
    order = urlencode({"exchange": "NSE", "tradingsymbol": symbol_of(0), "transaction_type": "BUY", "quantity": 1,
                       "product": "MIS", "order_type": "LIMIT", "price": "480.0", "tag": "bench"})  # fmt: skip
    many = urlencode([("i", f"NSE:{symbol_of(number)}") for number in range(500)])
    costs: dict[str, float] = {}
    for name, method, path, body in (
        ("GET /user/profile", "GET", "/user/profile", None),
        ("GET /quote/ltp, one", "GET", f"/quote/ltp?i=NSE:{symbol_of(0)}", None),
        ("GET /quote, 500", "GET", f"/quote?{many}", None),
        ("POST /orders/regular", "POST", "/orders/regular", order),
    ):
        kind = FORM if body else ""
        began, used, calls = time.monotonic(), cpu(process), 0
        while time.monotonic() - began < seconds:
            call(method, path, body, kind)
            calls += 1
        wall = time.monotonic() - began
        costs[name] = (cpu(process) - used) / calls * 1e3
        print(f"  {name:22} {calls / wall:7,.0f} a second   {costs[name]:.2f} ms of CPU each")
    return costs


def whole_day(instruments: int) -> float:
    """A day streamed at 600 times its speed, with orders; resident memory on the way. By how many MB it grew."""
    print(f"a day of {instruments} instruments at 600x, one socket in full mode, an order in each market minute")
    with exchange(instruments, 600.0) as (port, process):
        tokens, call = tokens_of(port), Caller(port)
        order = {"exchange": "NSE", "transaction_type": "BUY", "quantity": 1, "product": "MIS", "order_type": "LIMIT"}

        async def main() -> float:
            ready, found = asyncio.Event(), [0, 0, 0]
            reader = asyncio.create_task(listen(port, tokens, float("inf"), ready, found))
            await ready.wait()
            await asyncio.to_thread(call.clock, speed=600)
            shown, at_first = 0, process.memory_info().rss
            while not reader.done():
                state = await asyncio.to_thread(call.clock)
                now = datetime.fromisoformat(state["now"]).replace(tzinfo=None)
                minute = int((now - DAY).total_seconds() // 60) - 555
                if 0 <= minute < 360:
                    body = urlencode({**order, "tradingsymbol": symbol_of(minute % instruments), "price": "480.0"})
                    await asyncio.to_thread(call, "POST", "/orders/regular", body, FORM, may_fail=True)
                if minute >= shown:
                    print(f"  {now:%H:%M}  {process.memory_info().rss / 2**20:6.1f} MB")
                    shown += 75
                if minute >= 376:
                    break
                await asyncio.sleep(0.1)
            reader.cancel()
            at_last = process.memory_info().rss
            print(f"  {now:%H:%M}  {at_last / 2**20:6.1f} MB after {found[0]:,} packets")
            return (at_last - at_first) / 2**20

        return asyncio.run(main())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instruments", type=int, default=3000)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--sockets", type=int, default=1)
    parser.add_argument("--depth", default=None, help="displayed depth, as the setting of that name")
    parser.add_argument("--no-day", action="store_true", help="leave out the day's memory")
    given = parser.parse_args()
    more = {"depth": given.depth} if given.depth else {}
    print(f"{given.instruments} instruments in full mode, 4 snapshots a second, {given.sockets} socket(s)")
    with exchange(given.instruments, 60.0, **more) as (port, process):
        tokens = tokens_of(port)
        print(f"  {process.memory_info().rss / 2**20:.0f} MB at the start")
        cores = stream(port, process, tokens, given.seconds, given.sockets, 60.0)
        print("requests on one kept connection, the clock paused")
        costs = requests(port, process, 2.0)
    grown = None if given.no_day else whole_day(500)
    paired.within("the stream", cores, MOST_CORES, "cores")
    for name, cost in costs.items():
        paired.within(name, cost, MOST_MS.get(name, MOST_MS_OF_OTHERS), "ms of CPU")
    if grown is not None:
        paired.within("a day's growth", grown, MOST_GROWTH, "MB")


if __name__ == "__main__":
    main()
