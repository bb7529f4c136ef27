"""``btkite chaos`` that is ended from outside takes all its processes with it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.test_chaos import BROKEN

PATIENCE = 60.0
"""Real seconds until a busy machine counts as a broken one."""
HANGS = BROKEN.replace(
    """            raise ValueError("it fell over")""",
    """            open("hangs", "w").close()
            while True:
                pass""",
)


def until(holds: Callable[[], object], what: str) -> None:
    bell = threading.Event()
    for _ in range(int(PATIENCE / 0.05)):
        if holds():
            return
        bell.wait(0.05)
    pytest.fail(f"never came: {what}")


def of(mark: str) -> list[int]:
    """The processes whose environment has this mark: all that one of them has started."""
    found = []
    for one in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in one.read_bytes():
                found.append(int(one.parent.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="who is whose child is read in /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_no_process_is_left_behind(tmp_path: Path, jobs: str, number: signal.Signals) -> None:
    (tmp_path / "falls.py").write_text(HANGS)
    mark = f"BTKITE_TEST_MARK={tmp_path}"
    name, _, value = mark.partition("=")
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-m", "btkite", "chaos", "falls.py:Falls", "--seeds", "1..40", "--jobs", jobs]
    with subprocess.Popen(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": root, name: value}, stdout=subprocess.DEVNULL
    ) as process:
        try:
            until((tmp_path / "hangs").exists, "a strategy runs")
            assert len(of(mark)) > 2
            process.send_signal(number)
            assert process.wait(PATIENCE) == -number
            until(lambda: not of(mark), "all of them are gone")
        finally:
            for pid in of(mark):
                os.kill(pid, signal.SIGKILL)
