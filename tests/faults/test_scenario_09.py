"""Scenario 9: three positions, five working orders, every third call answered 429, and ``btkite kill --flatten``.

Judged by the exchange's own book, in its own time, while the run goes on in another process.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from btkite.cli.app import main
from tests.watch.running import USER, held, here, holding, lively, market, open_orders, run, until


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=None)


def test_kill_and_flatten_from_another_process_while_every_third_call_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here(monkeypatch, tmp_path)
    with market(tmp_path, speed=30) as exchange:
        from btkite.testing import Steering

        steer = Steering(exchange.url)
        with run(tmp_path) as process:
            until(lambda: holding(steer), "three positions and five orders", tmp_path)
            steer.speed(0.25)  # slower than life: a busy machine has four times the time for what takes ten seconds
            lively(steer)
            steer.arm("too_many_requests", path="/orders*", every=3, times=None)
            before, began = len(steer.requests()), steer.now()

            assert main(["kill", "--flatten", "--reason", "scenario 9"]) == 0
            out = capsys.readouterr().out
            ended = steer.now()
            assert "is engaged (scenario 9, since " in out
            assert "has cancelled every order and closed every position" in out
            assert open_orders(steer) == []
            assert held(steer) == {}
            assert ended - began <= timedelta(seconds=10)
            assert steer.fired("too_many_requests") >= 2  # else nothing was tried

            taken = [row for row in steer.requests(before) if row["method"] == "POST" and row["status"] == 200]
            late = [row for row in taken if moment(row["time"]) > began + timedelta(seconds=1)]
            assert taken
            assert all(row["form"]["transaction_type"] == "SELL" for row in late)
            # One sale of what was held, of each instrument: nothing was closed twice.
            sold = sum(int(row["form"]["quantity"]) for row in taken if row["form"]["transaction_type"] == "SELL")
            assert sold == 6
            assert process.poll() is None

            assert main(["kill", "--flatten", "--reason", "once more"]) == 0
            assert "was engaged already (scenario 9, since " in capsys.readouterr().out
        steer.disarm()

        # It outlives the process, until a person resumes.
        placed = len(steer.orders())
        steer.speed(30)
        with run(tmp_path) as process:
            until(
                lambda: "denied, the kill switch is engaged" in (tmp_path / "run.txt").read_text(), "a denial", tmp_path
            )
            assert process.poll() is None
        assert process.returncode != 0
        assert len(steer.orders()) == placed
        assert main(["resume", "--reason", "scenario 9 is over", "--confirm", USER]) == 0
        with run(tmp_path):
            until(lambda: len(steer.orders()) > placed, "an entry after the word of a person", tmp_path)
