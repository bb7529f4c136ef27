"""``btkite status``: what a second terminal sees of a run as it runs, after it was killed, before there was any.
The positions and orders that it shows are compared with the exchange's own book."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from btkite.cli.app import main
from btkite.testing import Steering
from tests.faults.process import live
from tests.watch.running import (
    PATIENCE,
    TOKEN,
    environment,
    held,
    here,
    holding,
    market,
    open_orders,
    run,
    until,
)

Btkite = Callable[..., tuple[int, str, str]]


@dataclass
class Seen:
    """What was on the screen at each stage, and what the exchange said then."""

    text: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)
    orders: set[str] = field(default_factory=set)
    watched: str = ""
    watch_code: int | None = None
    files: dict[str, list[str]] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    folder = tmp_path_factory.mktemp("status")
    with pytest.MonkeyPatch.context() as around, market(folder, speed=30) as exchange:
        here(around, folder)
        steer, found = Steering(exchange.url), Seen()

        def look(stage: str) -> None:
            capture = subprocess.run(
                [sys.executable, "-m", "btkite", "status", "--mode", "live", "--json"],
                cwd=folder, env=environment(), capture_output=True, text=True, timeout=PATIENCE, check=False,
            )  # fmt: skip
            found.codes[stage] = capture.returncode
            (found.data[stage],) = json.loads(capture.stdout)
            found.text[stage] = capture.stdout

        look("never")
        found.files["never"] = sorted(
            path.name for path in folder.rglob("*") if path.is_file() and path.suffix != ".log"
        )
        with run(folder, "-p", "more=False") as process:
            until(lambda: holding(steer), "three positions and five orders", folder)
            state = folder / "state"
            status = until(lambda: next(state.rglob("status.json"), None), "a first word", folder)
            until(lambda: len(json.loads(status.read_text())["orders"]) == 5, "a word of the five orders", folder)
            steer.pause()
            until(lambda: json.loads(status.read_text())["link"] == "connected", "the stream", folder)
            look("running")
            found.positions = held(steer)
            found.orders = {row["order_id"] for row in open_orders(steer)}
            _watch(folder, found)
            process.send_signal(signal.SIGKILL)
            process.wait(PATIENCE)
            found.files["before"] = _journal(state)
            look("died")
            found.files["after"] = _journal(state)
        yield found


def _journal(state: Path) -> list[str]:
    return [f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in sorted(state.rglob("*.sqlite"))]


def _watch(folder: Path, found: Seen) -> None:
    out = folder / "watched.txt"
    with out.open("w", encoding="utf-8") as file:
        command = [sys.executable, "-m", "btkite", "status", "--watch"]
        process = subprocess.Popen(command, cwd=folder, env=environment(), stdout=file, stderr=file)
        until(lambda: out.read_text(encoding="utf-8").count("live on") >= 2, "two looks", folder)
        process.send_signal(signal.SIGINT)
        found.watch_code = process.wait(PATIENCE)
    found.watched = out.read_text(encoding="utf-8")


def test_positions_and_orders_are_those_of_the_exchange(seen: Seen) -> None:
    said = seen.data["running"]["said"]
    assert {row["symbol"].partition(":")[2]: row["size"] for row in said["positions"]} == seen.positions
    assert len(seen.positions) == 3
    assert {row["order_id"] for row in said["orders"]} == seen.orders
    assert len(seen.orders) == 5
    assert said["order_calls"] == 8


def test_it_says_who_runs_what_and_how_it_fares(seen: Seen) -> None:
    now = seen.data["running"]
    assert now["running"] == "running"
    assert now["said"]["strategy"] == "Holder"
    assert now["said"]["link"] == "connected"
    assert now["said"]["gate"] == {"flatten": False, "paused": [], "reason": "", "state": "active"}
    assert now["said"]["tick_age"] is not None
    risk = {row["key"]: row for row in now["said"]["risk"]}
    assert (risk["risk.max_daily_trades"]["used"], risk["risk.max_daily_trades"]["limit"]) == (
        8,
        50,
    )
    assert risk["risk.max_position_pct"]["used"] > 0
    money = now["said"]["money"]
    assert money["value"] == pytest.approx(
        money["capital"] + money["realized"] + money["unrealized"] - money["charges"], abs=0.005
    )
    assert money["charges"] > 0
    assert now["events"]


def test_on_a_terminal_it_fits_80_columns(seen: Seen) -> None:
    text = seen.watched
    assert seen.watch_code == 0
    assert max(len(line) for line in text.splitlines()) <= 80
    for words in (
        "SIM001 · live on 127.0.0.1",
        "running · pid",
        "gate      ACTIVE",
        "NSE:INFY",
        "max 50 entries a day",
        "last events",
    ):
        assert words in text, words
    assert "█░" in text


def test_a_run_that_died_is_told_from_one_that_lives_and_the_journal_speaks_for_it(seen: Seen) -> None:
    now = seen.data["died"]
    assert now["running"] == "died"
    assert {key.partition(":")[2]: row["size"] for key, row in now["book"]["positions"].items()} == seen.positions
    assert {row["info"]["order_id"] for row in now["book"]["orders"]} == seen.orders


def test_the_exit_code_says_whether_somebody_should_look(seen: Seen) -> None:
    assert seen.codes == {"never": 0, "running": 0, "died": 1}


def test_looking_writes_nothing(seen: Seen) -> None:
    assert seen.files["before"] == seen.files["after"]
    assert seen.files["never"] == ["config.yaml", "holder.py"]
    assert seen.data["never"]["running"] == "never"


def test_no_token_is_shown(seen: Seen) -> None:
    assert TOKEN not in seen.watched + "".join(seen.text.values())


def test_a_mode_without_an_account_is_refused(btkite: Btkite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch, tmp_path)
    code, out, err = btkite("status", "--mode", "backtest")
    assert (code, out) == (2, "")
    assert "backtest keeps no account that could be looked at" in err
    assert main(["status"]) == 0


def test_malformed_frames_and_postbacks_are_counted_on_it(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}/"
    with live(tmp_path, postback_url=address) as running:
        running.start(BTKITE_BROKER__KITE_CONNECT__POSTBACK_PORT=port)
        running.hears("order", "Completed", "BUY")
        running.steer.arm("malformed_frame", times=2)
        forged = {"order_id": "1", "order_timestamp": "2025-03-03 10:00:00", "checksum": "0" * 64}
        request = urllib.request.Request(address, json.dumps(forged).encode(), method="POST")
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=10)
        status = next((tmp_path / "state").rglob("status.json"))

        def counted() -> bool:
            said = json.loads(status.read_text())
            return said["malformed"] == 2 and said["postbacks"]["forged"] == 1 and said["postbacks"]["heard"] >= 1

        until(counted, "a word of both", None)
        assert running.command("status", "--mode", "live").wait(PATIENCE) == 0
        (text,) = [path.read_text() for path in tmp_path.glob("out-status.txt")]
        said = " ".join(text.split())
        assert "2 malformed frames" in said
        assert re.search(r"\d+ postbacks? \(1 forged\)", said)
