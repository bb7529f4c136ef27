"""SIGTERM, in whatever a live run is just doing: exit code 0 within five seconds, and the next start finds its way."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

from btkite.runs.ending import Ending
from tests.faults.process import Live, live, until

WITHIN = 5.0
SLACK = 3.0
"""Real seconds for a machine on which others work, too."""


def journal(running: Live) -> list[str]:
    (path,) = (running.folder / "state").rglob("journal.sqlite")
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
        return [kind for (kind,) in database.execute("SELECT kind FROM events ORDER BY seq")]


def test_between_two_bars_it_ends_with_its_tables_and_leaves_the_exits(tmp_path: Path) -> None:
    with live(tmp_path) as running:
        running.start("resting=0.05", "greedy=False")
        running.hears("order", "Completed", "BUY")
        running.hears("order", "Accepted", "BUY", "Limit")
        code, seconds = running.terminate()
        assert code == 0, running.words()
        assert seconds < WITHIN + SLACK
        assert [row["status"] for row in running.steer.orders()] == ["COMPLETE", "OPEN"]
        assert journal(running)[-1] == "ended"
        assert "still open: " in running.words()


WHERE: dict[str, dict[str, Any]] = {
    "connecting": {"method": "GET", "path": "/user/profile"},
    "the list of instruments": {"method": "GET", "path": "/instruments"},
    "warming up": {"method": "GET", "path": "/instruments/historical/*"},
    "sending an order": {"method": "POST", "path": "/orders/*"},
}


@pytest.mark.parametrize("where", WHERE)
def test_while_a_request_hangs_it_ends_all_the_same(tmp_path: Path, where: str) -> None:
    with live(tmp_path) as running:
        running.steer.arm("reply_withheld_after", times=None, seconds=60, **WHERE[where])
        running.start(BTKITE_DATA__WARMUP=5, BTKITE_BROKER__KITE_CONNECT__TIMEOUT=60)
        hanging = lambda: [row for row in running.steer.requests() if row.get("fault")]  # noqa: E731
        until(lambda: hanging() or running.steer.fired("reply_withheld_after"), f"it hangs in {where}")
        code, seconds = running.terminate()
        assert code == 0, running.words()
        assert seconds < WITHIN + SLACK
        assert "Traceback" not in running.words()
        if where == "sending an order":
            kinds = journal(running)
            assert "sending" in kinds
            assert kinds[-1] == "ended"
            assert len(running.steer.orders()) == 1


def test_what_hangs_leaves_time_within_the_bound_for_the_last_words() -> None:
    """The slack above is the machine's, not ours."""
    ending = Ending()
    ending.cerebro = bt.Cerebro()
    ending.cerebro.runningstrats = [bt.Strategy]  # it runs
    ending.terminate(signal.SIGTERM, None)
    try:
        assert ending._leaving is not None
        assert ending._leaving.is_alive()
        assert ending._leaving.interval <= WITHIN - 1.0
        assert (ending.why, ending.asked, ending.code) == ("SIGTERM", True, 0)
        assert ending.cerebro._event_stop
    finally:
        ending.close(leaves=False)


ENDED = """
import os, signal, sys, threading
import backtrader as bt
from btkite.runs import ending
from btkite.testing import bars
from btkite import KiteData

ending.LEAVE_AFTER = 1.0

class Told(bt.Strategy):
    def next(self):
        if len(self) == 1:
            os.kill(os.getpid(), signal.SIGTERM)

if sys.argv[1] == "own":
    signal.signal(signal.SIGTERM, lambda number, frame: print("heard"))
cerebro = bt.Cerebro()
cerebro.adddata(KiteData(dataname=bars.from_closes([100.0] * 5)))
cerebro.addstrategy(Told)
with ending.stoppable(on=True) as end:
    end.cerebro = cerebro
    cerebro.run()
print("over", flush=True)
threading.Event().wait(3)
print("went on", flush=True)
"""


@pytest.mark.parametrize(("whose", "said"), [("default", "over\n"), ("own", "over\nwent on\n")])
def test_what_comes_after_the_run_is_bounded_too_but_in_a_program_that_answers_by_itself(
    tmp_path: Path, whose: str, said: str
) -> None:
    (tmp_path / "ended.py").write_text(ENDED)
    done = subprocess.run(
        [sys.executable, "ended.py", whose], cwd=tmp_path, capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, said), done.stderr
