"""The kill switch while the strategy hangs, and where its process cannot even give itself up.

The exchange's book judges.
"""

from __future__ import annotations

import signal
from datetime import timedelta
from pathlib import Path

import pytest

from btkite.cli.app import main
from btkite.clock import SystemClock
from btkite.journal import Journal
from btkite.testing import Steering
from tests.watch.running import PATIENCE, held, here, holding, lively, market, open_orders, run, until

HANGS = '''
import time
import backtrader as bt
from holder import Holder


class Hangs(Holder):
    """Holder, until a file says that its next() never comes back."""

    def next(self):
        super().next()
        from pathlib import Path
        if Path("hang").exists():
            Path("hangs").touch()
            HOW
'''
LOOP = "while True: pass"
SLEEP = "time.sleep(86400)"


def hanging(folder: Path, steer: Steering, how: str) -> None:
    """The strategy holds three positions, five orders work, and from its next bar on it hangs."""
    until(lambda: holding(steer), "three positions and five orders", folder)
    (folder / "hang").touch()
    until((folder / "hangs").exists, "the strategy hangs", folder)


@pytest.mark.parametrize("how", [LOOP, SLEEP], ids=["loop", "sleep"])
def test_a_run_whose_strategy_hangs_cancels_and_closes(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here(monkeypatch, tmp_path)
    with market(tmp_path, speed=30) as exchange:
        steer = Steering(exchange.url)
        (tmp_path / "hangs.py").write_text(HANGS.replace("HOW", how), encoding="utf-8")
        with run(tmp_path, strategy="hangs.py:Hangs") as process:
            hanging(tmp_path, steer, how)
            steer.speed(0.25)
            lively(steer)
            before, began = len(steer.requests()), steer.now()
            process.send_signal(signal.SIGUSR2)
            until(lambda: not held(steer) and not open_orders(steer), "nothing is held, nothing rests", tmp_path)
            assert steer.now() - began <= timedelta(seconds=10)
            assert process.wait(PATIENCE) == 3
            taken = [row for row in steer.requests(before) if row["method"] == "POST" and row["status"] == 200]
            assert sum(int(row["form"]["quantity"]) for row in taken) == 6
            assert {row["form"]["transaction_type"] for row in taken} == {"SELL"}
        (path,) = tmp_path.rglob("journal.sqlite")
        with Journal(path, SystemClock(), read_only=True) as journal:
            assert journal.verify() is None
            assert journal.last_book().data["book"]["positions"] == {}  # type: ignore[union-attr]
        assert "SIGUSR2" in (path.parent / "kill").read_text()
        assert main(["kill", "--flatten"]) == 0
        assert "nothing was changed" in capsys.readouterr().out
