"""The same sweep on a Dask cluster: a scheduler and workers that are processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from btkite.errors import ConfigError
from tests.sweeps.scene import MINE, SETS, swept

distributed = pytest.importorskip(
    "distributed", reason="dask.distributed is not installed: pip install btkite[dask]", exc_type=ImportError
)
pytestmark = [pytest.mark.usefixtures("config"), pytest.mark.slow]


@pytest.fixture
def address(config: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        yield cluster.scheduler_address


def test_a_cluster_finds_what_one_process_finds(address: str, tmp_path: Path) -> None:
    alone = swept(store="alone")
    there = swept(store="there", jobs=None, dask=address)
    assert [{**row, "seconds": 0} for row in there.found] == [{**row, "seconds": 0} for row in alone.found]
    assert swept(store="there", jobs=None, dask=address).known == 8
    # Workers live on; a changed strategy is read anew all the same, and so is what it imports.
    (tmp_path / "helper_of_mine.py").write_text("SIZE = 1\n")
    sys.modules.pop("helper_of_mine", None)
    changed = swept(store="there", jobs=None, dask=address)
    assert changed.known == 0
    assert [row["orders_digest"] for row in changed.found] != [row["orders_digest"] for row in there.found]
    assert not any(row["failed"] for row in changed.found)


def test_a_failure_there_is_a_row_too(address: str) -> None:
    result = swept({"fast": [2, 3], "mood": ["calm", "sad"]}, jobs=None, dask=address)
    assert len(result.ranked) == 2
    assert set(result.failures["failed"]) == {"Mine does not start: it is sad"}


def test_the_command_line_as_it_is_documented(tmp_path: Path) -> None:
    """``dask scheduler`` and ``dask worker``, then ``btkite sweep --dask``."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    file = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    local = ["--host", "127.0.0.1", "--no-dashboard"]
    parts = [
        [*dask, "scheduler", "--port", "0", "--scheduler-file", str(file), *local],
        [*dask, "worker", "--scheduler-file", str(file), "--nthreads", "1", "--no-nanny", *local],
    ]
    running = [subprocess.Popen(words, env=environment, stderr=subprocess.DEVNULL) for words in parts]
    try:
        with distributed.Client(scheduler_file=str(file), timeout="60s") as client:
            client.wait_for_workers(1, timeout=60)
            address = client.scheduler.address
        words = ["-m", "btkite", "sweep", MINE, "-s", "RELIANCE", "-i", "60minute", "--set", "fast=2..5"]
        done = subprocess.run(
            [sys.executable, *words, "--dask", address], env=environment, capture_output=True, text=True, timeout=100
        )
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.wait(30)
    assert done.returncode == 0, done.stderr
    assert "4 sets of Mine on NSE:RELIANCE" in done.stdout
    assert "row 1 again: btkite run mine.py:Mine" in done.stdout


def test_nobody_there_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match=r"no Dask scheduler answers at tcp://127.0.0.1:9: start one with `dask sch"):
        swept(SETS, jobs=None, dask="tcp://127.0.0.1:9")
    with distributed.LocalCluster(n_workers=0, dashboard_address=None, host="127.0.0.1") as cluster:
        address = cluster.scheduler_address
        with pytest.raises(ConfigError, match=f"the Dask scheduler at {address} has no workers: start one with"):
            swept(SETS, jobs=None, dask=address)
