"""Scenario 1: one strategy file, three modes, each a process of its own. The exchange's own record is the judge."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from btkite import simulator
from btkite.candles import CandleCache
from btkite.exchange import Exchange
from btkite.series import Candles
from tests.runs.scene import SYMBOL, TOKEN, USER, requests, served

WARMUP = 30
STRATEGY = '''
import json
import backtrader as bt


class Mixed(bt.Strategy):
    """Markets, limits, stops and brackets, one after the other; all it did goes to a file."""

    params = (("file", ""),)

    def __init__(self):
        self.sma, self.done, self.bars, self.mine = bt.ind.SMA(period=10), [], 0, set()

    def notify_order(self, order):
        if order.alive():
            self.mine.add(order.ref)
            return
        self.mine.discard(order.ref)
        price = order.created.price if order.exectype != bt.Order.Market else None
        self.done.append([
            str(bt.num2date(order.created.dt).replace(microsecond=0)), "BUY" if order.isbuy() else "SELL",
            abs(order.created.size), order.getordername(), price, order.getstatusname(),
            order.executed.size, order.executed.price,
        ])

    def next(self):
        self.bars += 1
        close = self.data.close[0]
        if self.position.size and not self.mine:
            self.close()
        elif not self.mine and self.bars % 7 == 0:
            kind = self.bars // 7 % 3
            if kind == 0:
                self.buy_bracket(size=5, exectype=bt.Order.Market, stopprice=close * 0.998, limitprice=close * 1.002)
            elif kind == 1:
                self.sell(size=3, exectype=bt.Order.Limit, price=close * 1.0005)
            else:
                self.buy(size=4, exectype=bt.Order.Stop, price=close * 1.0005)
        elif self.bars % 7 == 6:
            for ref in self.mine.copy():
                self.cancel(self.broker.orders[ref])

    def stop(self):
        with open(self.p.file, "w") as file:
            json.dump({"orders": self.done, "bars": self.bars, "value": self.broker.getvalue()}, file)
'''
HEARD = """
import json, sys
calls = []
sys.addaudithook(lambda event, args: calls.append(repr(args[1])) if event == "socket.connect" else None)
from btkite.cli.app import main
code = main(sys.argv[2:])
with open(sys.argv[1], "w") as file:
    json.dump(calls, file)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def made() -> tuple[dict[str, Candles], datetime]:
    return simulator.made_up([SYMBOL], "minute", seed=11, warmup=WARMUP, sessions=1)


@pytest.fixture
def folder(tmp_path: Path, made: tuple[dict[str, Candles], datetime]) -> Path:
    """A working folder with the strategy, the candles and the configuration of all three."""
    CandleCache(tmp_path / "candles").write(made[0][SYMBOL])
    (tmp_path / "mixed.py").write_text(STRATEGY)
    config = {
        "data": {"cache": str(tmp_path / "candles"), "warmup": WARMUP},
        "paths": {"state": str(tmp_path / "state"), "runs": str(tmp_path / "runs")},
        "broker": {"charges": False, "square_off": None},
        "risk": {"enabled": False},
        "exchange": {"port": 0},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


def run(folder: Path, made: Any, mode: str, exchange: Exchange | None = None, *, confirm: str = USER) -> Any:
    """The command in a process of its own: its exit code, what it said, what came of it, whom it called."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("BTKITE_", "KITE_"))}
    if exchange is not None:
        clean |= {
            "KITE_API_KEY": "simulator", "KITE_ACCESS_TOKEN": TOKEN, "KITE_USER_ID": USER, "BTKITE_KEYRING": "off",
        }  # fmt: skip
    told = folder / f"{mode}.json"
    day = f"{made[1]:%Y-%m-%d}"
    where = ["--from", day, "--to", day] if exchange is None else ["--endpoint", exchange.url, "--sessions", "1"]
    confirmed = ["--confirm", confirm] if confirm and mode == "live" else []
    words = [
        "run", "mixed.py:Mixed", "-s", SYMBOL, "-i", "minute", "--mode", mode, "--no-save", "-p", f"file={told}",
        *confirmed, *where,
    ]  # fmt: skip
    calls = folder / f"{mode}-calls.json"
    done = subprocess.run(
        [sys.executable, "-c", HEARD, str(calls), *words], cwd=folder, env=clean, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    found = json.loads(told.read_text()) if told.exists() else None
    return done.returncode, done.stdout + done.stderr, found, json.loads(calls.read_text())


def order_calls(exchange: Exchange) -> list[tuple[str, str]]:
    return [one for one in requests(exchange) if one[0] != "GET" and one[1].startswith("/orders")]


@pytest.mark.timeout(300)
def test_one_strategy_file_does_the_same_in_three_modes_and_only_live_sends_orders(folder: Path, made: Any) -> None:
    code, said, wanted, calls = run(folder, made, "backtest")
    assert (code, calls) == (0, []), said
    assert wanted["bars"] == 375
    kinds = Counter((order[3], order[5]) for order in wanted["orders"])
    assert {"Market", "Limit", "Stop"} <= {kind for kind, _ in kinds}
    assert sum(count for (_, how), count in kinds.items() if how == "Completed") >= 20
    with served(made) as exchange:
        code, said, found, _ = run(folder, made, "paper", exchange)
        assert code == 0, said
        assert order_calls(exchange) == []
        assert found == wanted
    with served(made) as exchange:
        code, said, found, _ = run(folder, made, "live", exchange)
        assert code == 0, said
        assert len(order_calls(exchange)) >= len(wanted["orders"])
        assert found == wanted


@pytest.mark.parametrize("confirm", ["", "SIM002"], ids=["not said", "another's"])
def test_live_that_is_not_confirmed_sends_nothing_and_says_so(folder: Path, made: Any, confirm: str) -> None:
    with served(made) as exchange:
        code, said, found, _ = run(folder, made, "live", exchange, confirm=confirm)
        assert code != 0
        assert f"--confirm {USER}" in said or f"not {confirm}" in said or "SIM002" in said
        assert found is None
        assert order_calls(exchange) == []
