"""An exchange whose clock runs in this process, and ``btkite run`` against it in another one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from btkite.exchange import Exchange, ExchangeSettings
from btkite.testing import Steering

USER = "SIM001"
TOKEN = "token-of-the-running-market"
PATIENCE = 60.0
"""Seconds until a busy machine counts as a broken one."""
SYMBOLS = ("NSE:INFY", "NSE:RELIANCE", "NSE:TCS")

STRATEGY = '''
import backtrader as bt


class Holder(bt.Strategy):
    """Three positions, a stop below each, two entries far below the market; and after any news one more entry."""

    params = (("more", True),)

    def __init__(self):
        self.given, self.entries = False, 0

    def next(self):
        if self.given:
            return
        self.given = True
        if any(self.getposition(data).size for data in self.datas):
            return
        for data in self.datas:
            self.buy(data=data, size=2)
            self.sell(data=data, size=2, exectype=bt.Order.Stop, price=data.close[0] * 0.96)
        for data in self.datas[:2]:
            self.buy(data=data, size=1, exectype=bt.Order.Limit, price=data.close[0] * 0.97)

    def notify_order(self, order):
        if self.p.more and order.status in (order.Canceled, order.Completed) and self.entries < 40:
            if not order.info.get("adopted") and order.isbuy() is False:
                self.entries += 1
                self.buy(data=order.data, size=1, exectype=bt.Order.Limit, price=order.data.close[0] * 0.98)
'''


@contextmanager
def market(folder: Path, speed: float, **settings: Any) -> Iterator[Exchange]:
    """Serves, its settings written to ``folder/config.yaml`` beside the strategy."""
    made = ExchangeSettings(
        **{
            "seed": 7, "symbols": SYMBOLS, "auto_token": TOKEN, "api_key": "key-1", "user_id": USER, "speed": speed,
            "check_margin": False, "check_holdings": False, "expire_tokens": False, **settings,
        }
    )  # fmt: skip
    with Exchange(made) as running:
        (folder / "holder.py").write_text(STRATEGY, encoding="utf-8")
        (folder / "config.yaml").write_text(
            f"broker:\n  kite_connect:\n    endpoint: {running.url}\n    user_id: {USER}\n    api_key: key-1\n"
            f"paths:\n  state: {folder / 'state'}\n  runs: {folder / 'runs'}\n"
            f"data:\n  cache: {folder / 'candles'}\n  warmup: 0\n"
            "risk:\n  max_position_pct: 100\n",
            encoding="utf-8",
        )
        yield running


def environment() -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("KITE_", "BTKITE_"))}
    root = str(Path(__file__).resolve().parents[2])
    return {**ours, "BTKITE_KEYRING": "off", "KITE_ACCESS_TOKEN": TOKEN, "PYTHONPATH": root}


def here(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """This process, too, is in that folder with that token."""
    for name in list(os.environ):
        if name.startswith(("BTKITE_", "KITE_")) and name != "BTKITE_SHARED":
            monkeypatch.delenv(name)
    monkeypatch.setenv("BTKITE_KEYRING", "off")
    monkeypatch.setenv("KITE_ACCESS_TOKEN", TOKEN)
    monkeypatch.chdir(folder)


@contextmanager
def run(
    folder: Path, *more: str, mode: str = "live", strategy: str = "holder.py:Holder"
) -> Iterator[subprocess.Popen[str]]:
    """``btkite run holder.py:Holder`` in a process of its own; ended when this is left."""
    said = ["--confirm", USER] if mode == "live" else []
    symbols = [part for key in SYMBOLS for part in ("-s", key)]
    command = [sys.executable, "-m", "btkite", "run", strategy, *symbols, "--mode", mode, *said, *more]
    with (folder / "run.txt").open("a", encoding="utf-8") as out:
        process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=out, stderr=out, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)


def until(holds: Callable[[], Any], what: str, folder: Path | None = None) -> Any:
    """Wait for a condition; what was seen of the run is part of the failure."""
    bell = threading.Event()
    for _ in range(int(PATIENCE / 0.05)):
        found = holds()
        if found:
            return found
        bell.wait(0.05)
    told = (folder / "run.txt").read_text(encoding="utf-8") if folder is not None else ""
    pytest.fail(f"never came: {what}\n{told[-3000:]}")


def lively(steer: Steering, seconds: int = 40) -> None:
    """From now on each symbol trades every second, at the price at which it stands."""
    prices = {row["tradingsymbol"]: row["average_price"] for row in steer.positions()}
    steer.script(
        {"symbol": key, "last_price": prices[key.partition(":")[2]], "after": float(place == 0)}
        for _ in range(seconds)
        for place, key in enumerate(SYMBOLS)
    )


def open_orders(steer: Steering) -> list[dict[str, Any]]:
    return [row for row in steer.orders() if not row["status"].startswith(("COMPLETE", "CANCELLED", "REJECTED"))]


def held(steer: Steering) -> dict[str, int]:
    return {row["tradingsymbol"]: row["quantity"] for row in steer.positions() if row["quantity"]}


def holding(steer: Steering) -> bool:
    """Three positions, and five orders that work."""
    return len(held(steer)) == 3 and len(open_orders(steer)) == 5
