"""Kite's two bulk answers over HTTP: a stretch of minute candles, and the instruments dump of the day.

A server in a process of its own, on loopback, answers with the same bytes again and again: 22,500 minutes (sixty
sessions, the most that one request brings), and 100,000 instruments. Each side asks through the client that it has:

* ``kiteconnect``: ``KiteConnect.historical_data`` and ``instruments``, lists of dicts.
* ``btkite``: ``KiteClient.historical``, columns as the candle cache and the lines take them, and ``dump`` into the
  :class:`.InstrumentMaster`, of which one instrument is looked up.

CPU time of the asking process; its first answer, which imports what is needed, is not timed. Dates, prices and volumes
of all candles, and all fields of all instruments, must be equal on both sides.

    python benchmarks/market_data.py [--rounds 3] [--at-least 40]
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import paired

CANDLES, ROWS = 22_500, 100_000
AT_LEAST = {"candles": 40.0, "instruments": 30.0}
ANSWERS = 3  # that are timed, in each process
FIRST = datetime(2026, 4, 1, 9, 15)
HEAD = (
    "instrument_token,exchange_token,tradingsymbol,name,last_price,expiry,strike,tick_size,lot_size,"
    "instrument_type,segment,exchange"
)


def candles() -> bytes:
    """Kite's answer, as its server writes it: no spaces, and whole prices without a point."""
    rng = np.random.default_rng(3)
    close = np.round(1500 + np.cumsum(rng.normal(0, 0.4, CANDLES)), 2)
    rows = []
    for number, price in enumerate(close.tolist()):
        at = FIRST + timedelta(days=number // 375, minutes=number % 375)
        prices = [round(price + step, 2) for step in (0.1, 0.45, -0.5, 0.0)]
        plain = [int(one) if one == int(one) else one for one in prices]
        rows.append([f"{at:%Y-%m-%dT%H:%M:%S}+0530", *plain, int(rng.integers(0, 90_000))])
    return json.dumps({"status": "success", "data": {"candles": rows}}, separators=(",", ":")).encode()


def instruments() -> bytes:
    """A dump: a tenth of it shares, the rest options."""
    lines = [HEAD]
    for number in range(ROWS):
        if number % 10 == 0:
            kind = f"SHARE{number},SHARE {number} LIMITED,0,,0,0.05,1,EQ,NSE,NSE"
        else:
            expiry, strike = f"2026-{number % 12 + 1:02}-{number % 28 + 1:02}", 50 * (number % 400)
            side = "CE" if number % 2 else "PE"
            name = f"NAME{number % 180}"
            kind = f"{name}26{strike}{side}{number},{name},0,{expiry},{strike},0.05,75,{side},NFO-OPT,NFO"
        lines.append(f"{256 * number + 1},{number},{kind}")
    return "\n".join(lines).encode()


def serve(pipe: Any) -> None:
    answers = {"historical": ("application/json", candles()), "instruments": ("text/csv", instruments())}

    class Kite(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            kind, body = answers["historical" if "historical" in self.path else "instruments"]
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing to say."""

    with HTTPServer(("127.0.0.1", 0), Kite) as server:
        pipe.send(server.server_port)
        server.serve_forever()


@contextmanager
def served() -> Iterator[int]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def asker(name: str, port: int) -> dict[str, Callable[[], Any]]:
    """What each side asks, by what it asks for."""
    until = FIRST + timedelta(days=59)
    if name == "kiteconnect":
        from kiteconnect import KiteConnect

        kite = KiteConnect("key", "token", root=f"http://127.0.0.1:{port}")
        return {
            "candles": lambda: kite.historical_data(408065, FIRST, until, "minute"),
            "instruments": kite.instruments,
        }
    from btkite.clock import ManualClock
    from btkite.kite.client import KiteClient
    from btkite.kite.endpoints import resolve
    from btkite.kite.instruments import InstrumentMaster

    client = KiteClient(resolve(f"http://127.0.0.1:{port}"), "key", "token", clock=ManualClock(FIRST))

    def dump() -> Any:
        master = InstrumentMaster(client.dump())
        master.find("NSE:SHARE50000")
        return master

    return {"candles": lambda: client.historical(408065, FIRST, until, "minute"), "instruments": dump}


def digest_of_candles(found: Any) -> str:
    """A hash of all columns, however they were given."""
    names = ("open", "high", "low", "close", "volume")
    if isinstance(found, list):
        dates = np.array([row["date"].replace(tzinfo=None) for row in found], "datetime64[s]")
        found = {"date": dates, **{name: np.array([row[name] for row in found], float) for name in names}}
    total = hashlib.sha256(found["date"].tobytes())
    for name in names:
        total.update(found[name].astype(float).tobytes())
    return total.hexdigest()


def digest_of_instruments(found: Any) -> str:
    """A hash of all rows, however they were given."""
    names = ("exchange", "tradingsymbol", "name", "instrument_type", "segment", "instrument_token", "strike",
             "tick_size", "lot_size")  # fmt: skip
    if isinstance(found, list):
        rows = [(*(row[name] for name in names), str(row["expiry"] or "NaT")) for row in found]
    else:
        columns = found.columns()
        plain = [list(columns[name]) if isinstance(columns[name], list) else columns[name].tolist() for name in names]
        rows = list(zip(*plain, map(str, columns["expiry"]), strict=True))
    return hashlib.sha256(repr(rows).encode()).hexdigest()


DIGESTS = {"candles": digest_of_candles, "instruments": digest_of_instruments}


def asked(ask: Callable[[], Any], what: str) -> Callable[[], str]:
    for _ in range(ANSWERS):
        found = ask()
    return lambda: DIGESTS[what](found)


def option(name: str, default: Any) -> Any:
    return type(default)(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else default


if __name__ == "__main__":
    if "--side" in sys.argv:
        begun = time.process_time()
        what = option("--what", "candles")
        ask = asker(option("--side", ""), option("--port", 0))[what]
        ask()
        sides = dict.fromkeys(("btkite", "kiteconnect"), asked)
        paired.side(sys.argv, sides, ask, what, before=time.process_time() - begun)
    else:
        with served() as port:
            for what, rows in (("candles", CANDLES), ("instruments", ROWS)):
                pair = paired.compare(
                    __file__, "--what", what, "--port", str(port),
                    ours="btkite", theirs="kiteconnect", rounds=option("--rounds", 3), unmeasured=0,
                )  # fmt: skip
                paired.tell(f"{rows:,} {what} over HTTP, {ANSWERS} times", pair, "btkite", "kiteconnect")
                paired.demand(pair, option("--at-least", AT_LEAST[what]))
