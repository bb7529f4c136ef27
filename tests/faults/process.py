"""``btkite run --mode live`` as a process of its own, before an exchange whose clock runs; the judge is the exchange.

The strategy of :data:`PROBE` writes down, line by line with market time, what it is told. Nothing here waits for a
time to pass: it waits until the exchange, or that file, shows something.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from btkite.clock import to_ist
from btkite.exchange import Exchange, ExchangeSettings
from btkite.testing import Steering

KEY, SECRET, USER = "processkey000000", "processsecret000000000000000000x", "SIM007"
TOKEN = "tokenOfTheMorning1234567890abcdef"
SYMBOLS = ("NSE:INFY", "NSE:TCS")
PATIENCE = 60.0  # real seconds, for a busy machine

PROBE = '''
import json
import backtrader as bt
from btkite.linetime import from_seconds

class Probe(bt.Strategy):
    """Buys at its first bar, rests a stop below it, and wants one more each bar after that."""

    params = (("flat_when_lost", False), ("resting", 0.0), ("greedy", True))

    def say(self, kind, *what):
        with open("probe.jsonl", "a") as file:
            file.write(json.dumps([str(from_seconds(self.broker.now)), kind, *map(str, what)]) + "\\n")

    def notify_store(self, msg, *args, **kwargs):
        self.say("store", msg, *args)
        if msg == "session lost" and self.p.flat_when_lost:
            self.sell(size=1)

    def notify_data(self, data, status, *args, **kwargs):
        self.say("data", data._name, data._getstatusname(status))

    def notify_order(self, order):
        why = order.info.get("denied") or order.info.get("reason") or ""
        self.say("order", order.getstatusname(), "BUY" if order.isbuy() else "SELL", order.getordername(), why)

    def next(self):
        self.say("bar", self.data.close[0])
        if not hasattr(self, "first"):
            self.first = self.buy(size=1)
            if self.p.resting:
                self.rest = self.buy(size=1, exectype=bt.Order.Limit, price=self.data.close[0] * (1 - self.p.resting))
        elif self.p.greedy:
            self.buy(size=1)
'''


def until(condition: Callable[[], Any], what: str, seconds: float = PATIENCE) -> Any:
    """What ``condition`` says, once it is true."""
    end, nobody = time.monotonic() + seconds, threading.Event()
    while not (found := condition()):
        assert time.monotonic() < end, f"waited in vain until {what}"
        nobody.wait(0.02)
    return found


class Live:
    """One process, and the exchange before it."""

    def __init__(self, folder: Path, exchange: Exchange) -> None:
        self.folder = folder
        self.exchange = exchange
        self.steer = Steering(exchange.url)
        self.process: Any = None
        (folder / "probe.py").write_text(PROBE)
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("BTKITE_", "KITE_"))
        }
        self.environment |= {
            "BTKITE_KEYRING": "off",
            "BTKITE_PATHS__STATE": str(folder / "state"),
            "BTKITE_PATHS__RUNS": str(folder / "runs"),
            "BTKITE_DATA__CACHE": str(folder / "cache"),
            "BTKITE_BROKER__KITE_CONNECT__ENDPOINT": exchange.url,
            "BTKITE_BROKER__KITE_CONNECT__DEBUG": "true",
            "BTKITE_LOG__LEVEL": "debug",
            "BTKITE_RISK__ENABLED": "false",
            "KITE_API_KEY": KEY,
            "KITE_API_SECRET": SECRET,
            "KITE_USER_ID": USER,
        }
        self.keep_token(TOKEN)

    def keep_token(self, token: str) -> None:
        """As a tool of the user's own does it: whole or not at all."""
        draft = self.folder / ".env.new"
        draft.write_text(f"KITE_ACCESS_TOKEN={token}\n")
        draft.replace(self.folder / ".env")

    def command(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "btkite", *words],
            cwd=self.folder,
            env=self.environment,
            stdout=(self.folder / f"out-{words[0]}.txt").open("a"),
            stderr=(self.folder / f"err-{words[0]}.txt").open("a"),
            text=True,
        )

    def start(self, *params: str, **config: Any) -> None:
        self.environment |= {name: str(value) for name, value in config.items()}
        given = [word for param in params for word in ("-p", param)]
        symbols = [word for symbol in SYMBOLS for word in ("-s", symbol)]
        self.process = self.command("run", "probe.py:Probe", *symbols, "--mode", "live", "--confirm", USER, *given)

    # -- what it said -----------------------------------------------------------------------------------

    def lines(self, *beginning: str) -> list[list[str]]:
        """The strategy's lines, without the time, that begin like this."""
        return [row[1:] for row in self._rows() if row[1 : 1 + len(beginning)] == list(beginning)]

    def moments(self, *beginning: str) -> list[datetime]:
        rows = [row for row in self._rows() if row[1 : 1 + len(beginning)] == list(beginning)]
        return [datetime.fromisoformat(row[0]) for row in rows]

    def _rows(self) -> list[list[str]]:
        path = self.folder / "probe.jsonl"
        text = path.read_text() if path.exists() else ""
        return [json.loads(line) for line in text.splitlines() if line.endswith("]")]

    def hears(self, *beginning: str, count: int = 1) -> None:
        def heard() -> bool:
            assert self.process.poll() is None, self.words()
            return len(self.lines(*beginning)) >= count

        try:
            until(heard, f"the strategy hears {beginning}")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.lines()[-20:]}\n{self.words()}") from None

    def words(self) -> str:
        return "\n".join(path.read_text()[-3000:] for path in sorted(self.folder.glob("*-run.txt")))

    # -- what the exchange saw ----------------------------------------------------------------------------

    def asked(self, method: str = "", path: str = "", since: int = 0) -> list[dict[str, Any]]:
        rows = self.steer.requests(since)
        return [row for row in rows if method in ("", row["method"]) and row["path"].startswith(path)]

    def refusals(self) -> list[datetime]:
        """When the exchange said 403, to a call or to the stream."""
        return [moment(row) for row in self.steer.requests() if row["status"] == 403]

    def passes(self, seconds: float) -> None:
        """Until so much of the market's time has gone by."""
        end = self.steer.now() + timedelta(seconds=seconds)
        until(lambda: self.steer.now() >= end, f"{seconds} s of the market pass")

    # -- its end ------------------------------------------------------------------------------------------

    def end(self, seconds: float = PATIENCE) -> int:
        return int(self.process.wait(seconds))

    def terminate(self) -> tuple[int, float]:
        """SIGTERM: the exit code, and how many real seconds it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.end(), time.monotonic() - began


def moment(row: dict[str, Any]) -> datetime:
    return to_ist(datetime.fromisoformat(row["time"]))


@contextmanager
def live(folder: Path, speed: float = 60.0, **settings: Any) -> Iterator[Live]:
    """An exchange in the middle of a made-up morning, and a process that has not been started yet."""
    given = {
        "symbols": SYMBOLS, "start": datetime(2025, 3, 3, 10, 0), "end": datetime(2025, 3, 3, 16, 0), "speed": speed,
        "api_key": KEY, "api_secret": SECRET, "user_id": USER, "auto_token": TOKEN, "seed": 7, "generate_sessions": 2,
    }  # fmt: skip
    with Exchange(ExchangeSettings(**{**given, **settings})) as exchange:
        made = Live(folder, exchange)
        try:
            yield made
        finally:
            if made.process is not None and made.process.poll() is None:
                made.process.kill()
                made.process.wait(10)
