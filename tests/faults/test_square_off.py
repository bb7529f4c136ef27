"""The square-off live, before Zerodha's own: without a tick, and in a process that starts after the time.

The exchange's book judges: its risk desk squares off at 15:20, and nothing may be left for it.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from btkite.testing import Steering
from tests.watch.running import PATIENCE, held, here, holding, market, open_orders, run, until

DAY = {"start": datetime(2025, 3, 3, 15, 5), "end": datetime(2025, 3, 3, 16, 0), "generate_sessions": 2}
OURS = datetime(2025, 3, 3, 15, 17)
THEIRS = datetime(2025, 3, 3, 15, 20)


def judge(steer: Steering) -> None:
    """All was sold by us, in time, and nothing twice."""
    assert steer.now() < THEIRS
    assert open_orders(steer) == []
    sold: dict[str, int] = {}
    for row in steer.orders():
        assert row.get("placed_by") != "ADMINSQF"
        if row["transaction_type"] == "SELL" and row["status"] == "COMPLETE":
            sold[row["tradingsymbol"]] = sold.get(row["tradingsymbol"], 0) + row["filled_quantity"]
    assert sold == {"INFY": 2, "RELIANCE": 2, "TCS": 2}


def arrive(steer: Steering, moment: datetime, speed: float) -> None:
    steer.speed(60)
    until(lambda: steer.now() >= moment, f"{moment:%H:%M:%S}")
    steer.speed(speed)


def test_no_tick_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here(monkeypatch, tmp_path)
    with market(tmp_path, speed=30, **DAY) as exchange:
        steer = Steering(exchange.url)
        with run(tmp_path, "--param", "more=False") as process:
            until(lambda: holding(steer), "three positions and five orders", tmp_path)
            steer.arm("heartbeat_only", seconds=3600, updates=True)
            arrive(steer, datetime(2025, 3, 3, 15, 16, 30), 10)
            until(lambda: not held(steer) and not open_orders(steer), "nothing is held, nothing rests", tmp_path)
            assert steer.now() >= OURS
            judge(steer)
            assert process.poll() is None


@pytest.mark.parametrize("dies", ["kill", "terminate"])
def test_a_process_that_starts_after_the_time_does_it_at_once(
    dies: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here(monkeypatch, tmp_path)
    with market(tmp_path, speed=30, **DAY) as exchange:
        steer = Steering(exchange.url)
        with run(tmp_path, "--param", "more=False") as process:
            until(lambda: holding(steer), "three positions and five orders", tmp_path)
            getattr(process, dies)()
            process.wait(PATIENCE)
        arrive(steer, datetime(2025, 3, 3, 15, 17, 30), 1)
        assert len(held(steer)) == 3
        with run(tmp_path, "--param", "more=False"):
            until(lambda: not held(steer) and not open_orders(steer), "nothing is held, nothing rests", tmp_path)
            judge(steer)
