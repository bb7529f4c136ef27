"""``btkite demo``: three modes, one answer, nothing left but the reports."""

from __future__ import annotations

import configparser
import os
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import pytest
import pytest_socket

from btkite.cli import demo
from btkite.cli.app import main
from btkite.cli.demo import MODES, _verdict, find_strategy
from btkite.errors import ConfigError
from btkite.report.result import RunResult
from tests.report.conftest import equity_frame, order_frame, trade_frame

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Shown:
    code: int
    text: str
    folder: Path
    threads: list[threading.Thread]
    left: list[Path]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    """One run of the demo in an empty folder, with loopback for all network, and a broken configuration around."""
    folder = tmp_path_factory.mktemp("demo")
    scratch = tmp_path_factory.mktemp("scratch")
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("BTKITE_", "KITE_")) and name != "BTKITE_SHARED":
                patch.delenv(name)
        patch.setenv("BTKITE_RISK__MAX_POSITION_PCT", "no number")
        patch.setenv("KITE_USER_ID", "AB1234")
        patch.setenv("COLUMNS", "120")
        patch.chdir(folder)
        patch.setattr(tempfile, "tempdir", str(scratch))
        pytest_socket.socket_allow_hosts(["127.0.0.1"])
        before = set(threading.enumerate())
        out = StringIO()
        try:
            with redirect_stdout(out):
                code = main(["demo"])
        finally:
            pytest_socket._remove_restrictions()
        threads = [thread for thread in threading.enumerate() if thread not in before and thread.is_alive()]
        yield Shown(code, out.getvalue(), folder, threads, list(scratch.iterdir()))


def test_it_succeeds_without_an_account_and_without_a_network(shown: Shown) -> None:
    assert shown.code == 0


def test_the_three_modes_give_one_answer(shown: Shown) -> None:
    assert re.search(r"┃ figure .*┃ +backtest ┃ +paper ┃ +live ┃ same ┃", shown.text)
    rows = [line for line in shown.text.splitlines() if line.startswith("│ ") and line.rstrip().endswith("│")]
    assert len(rows) == 28
    assert all(row.rstrip("│ ").endswith("yes") for row in rows), "\n".join(rows)
    assert "Order by order and trade by trade the three are the same." in shown.text
    orders = re.search(r"│ Orders +│ +(\d+) │", shown.text)
    assert orders is not None
    assert int(orders[1]) > 10


def test_it_shows_the_gate_and_an_orders_life(shown: Shown) -> None:
    assert re.search(r"  8 of 8 orders denied: max order value ₹1,000\.00 \(risk\.max_order_value\)", shown.text)
    assert re.search(r"for example: \S", shown.text)
    life = shown.text.split("An order's life, live")[1]
    for word in ("Submitted", "Accepted", "changed to ₹", "Canceled", "Completed", "open P&L", "trade closed: "):
        assert word in life, word
    assert re.search(r"order \d{15}  BUY  5 LIMIT  CANCELLED", life)
    assert re.search(r"order \d{15}  SELL 5 MARKET COMPLETE at ₹1,\d{3}\.\d\d", life)
    assert "position RELIANCE: 0, P&L before charges" in life
    assert re.search(r"available ₹\d{1,2},\d\d,\d{3}\.\d\d", life)


def test_the_reports_are_where_it_says(shown: Shown) -> None:
    named = re.findall(r"^  (?:backtest|paper|live) +(runs/\S+/report\.html)$", shown.text, re.MULTILINE)
    assert len(named) == 3
    assert all((shown.folder / name).is_file() for name in named)


def test_nothing_else_is_left(shown: Shown) -> None:
    assert [path.name for path in shown.folder.iterdir()] == ["runs"]
    assert shown.left == []
    assert shown.threads == []


def results() -> list[RunResult]:
    """Three runs that gave two orders each, and so one trade."""
    frames = {
        "orders": order_frame([0.0, 0.0]),
        "trades": trade_frame([12.0]),
        "equity": equity_frame([1e5, 1e5 + 12.0], "B", "2026-11-18", None),
    }
    made = {"strategy": "SmaCross", "symbols": ("NSE:INFY",), "interval": "minute", "start_value": 1e5}
    return [RunResult(mode=mode, **made, **{name: frame.copy() for name, frame in frames.items()}) for mode in MODES]


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize(
    ("frame", "column", "value"), [("orders", "executed_price", 100.05), ("trades", "exit_price", 99.0)]
)
def test_one_price_of_one_mode_makes_the_three_differ(
    capsys: pytest.CaptureFixture[str], number: int, frame: str, column: str, value: float
) -> None:
    three = results()
    assert _verdict(three)
    assert "the three are the same." in capsys.readouterr().out
    other = getattr(three[number], frame).copy()
    other.loc[0, column] = value
    three[number] = replace(three[number], **{frame: other})
    assert not _verdict(three)
    assert capsys.readouterr().out.startswith("The three differ: see the column 'same'.\n")


TELLS_MODES_APART = """
import backtrader as bt

class SmaCross(bt.Strategy):
    params = (("fast", 1), ("slow", 2), ("percent", 1.0))

    def next(self):
        if len(self) in (80, 90):
            give = self.buy if len(self) == 80 else self.sell
            give(size=2 if type(self.broker).__name__ == "SimBroker" else 1)
"""


def test_it_fails_if_the_three_modes_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A strategy that looks where it runs, which none should."""
    strategy = tmp_path / "tells_modes_apart.py"
    strategy.write_text(TELLS_MODES_APART, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "find_strategy", lambda name: strategy)
    code = main(["demo"])
    out = capsys.readouterr().out
    assert "The three differ: see the column 'same'." in out
    assert code == 1
    assert "report.html" in out, "the reports are where to look"


def test_an_installation_carries_the_strategies() -> None:
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg", encoding="utf-8")
    assert setup["options.data_files"]["share/btkite/strategies"] == "strategies/*.py"
    assert find_strategy("sma_cross.py") == REPOSITORY / "strategies" / "sma_cross.py"


def test_a_strategy_that_is_nowhere_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r"strategies/none\.py is neither in the repository nor installed"):
        find_strategy("none.py")
