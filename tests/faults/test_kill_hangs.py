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
from tests.watch.running import PATIENCE, USER, held, here, holding, lively, market, open_orders, run, until

HANGS = '''
import threading
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
SLEEP = "threading.Event().wait(86400)"


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
            steer.arm("too_many_requests", path="/orders*", every=3, times=None)
            before, began = len(steer.requests()), steer.now()
            process.send_signal(signal.SIGUSR2)
            until(lambda: not held(steer) and not open_orders(steer), "nothing is held, nothing rests", tmp_path)
            assert steer.now() - began <= timedelta(seconds=10)
            assert steer.fired("too_many_requests")
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


def test_a_run_whose_strategy_hangs_cancels_what_opens_and_keeps_what_protects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here(monkeypatch, tmp_path)
    with market(tmp_path, speed=30) as exchange:
        steer = Steering(exchange.url)
        (tmp_path / "hangs.py").write_text(HANGS.replace("HOW", LOOP), encoding="utf-8")
        with run(tmp_path, strategy="hangs.py:Hangs") as process:
            hanging(tmp_path, steer, LOOP)
            process.send_signal(signal.SIGUSR1)
            assert process.wait(PATIENCE) == 3
            assert sorted(row["transaction_type"] for row in open_orders(steer)) == ["SELL"] * 3
            assert len(held(steer)) == 3


def test_a_signal_is_heeded_by_a_run_that_goes_on_and_a_second_one_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here(monkeypatch, tmp_path)
    with market(tmp_path, speed=30) as exchange:
        steer = Steering(exchange.url)
        with run(tmp_path) as process:
            until(lambda: holding(steer), "three positions and five orders", tmp_path)
            process.send_signal(signal.SIGUSR2)
            until(lambda: not held(steer) and not open_orders(steer), "nothing is held, nothing rests", tmp_path)
            (path,) = tmp_path.rglob("kill")
            said, placed = path.read_text(), len(steer.orders())
            process.send_signal(signal.SIGUSR2)
            process.send_signal(signal.SIGUSR1)
            after = steer.now() + timedelta(minutes=2)
            until(lambda: steer.now() >= after, "two minutes of the market")
            assert (path.read_text(), len(steer.orders())) == (said, placed)
            assert process.poll() is None


def test_a_process_that_stands_still_is_ended_and_its_account_closed_by_the_one_that_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here(monkeypatch, tmp_path)
    with market(tmp_path, speed=30) as exchange:
        steer = Steering(exchange.url)
        with run(tmp_path) as process:
            until(lambda: holding(steer), "three positions and five orders", tmp_path)
            process.send_signal(signal.SIGSTOP)
            try:
                steer.speed(1)
                lively(steer, 300)
                assert main(["kill", "--flatten", "--reason", "deaf"]) == 2
                said = capsys.readouterr().err
                assert f"the run (pid {process.pid}) does not answer" in said
                assert f"--confirm {USER}" in said
                assert len(held(steer)) == 3
                assert main(["kill", "--flatten", "--confirm", USER]) == 0
            finally:
                process.kill()
            assert process.wait(PATIENCE) == -signal.SIGKILL
            assert "nothing is open any more" in capsys.readouterr().err
            assert (held(steer), open_orders(steer)) == ({}, [])


def test_entries_that_a_dead_run_has_left_are_cancelled_without_flattening(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here(monkeypatch, tmp_path)
    with market(tmp_path, speed=30) as exchange:
        steer = Steering(exchange.url)
        with run(tmp_path) as process:
            until(lambda: holding(steer), "three positions and five orders", tmp_path)
            process.kill()
        assert main(["kill", "--reason", "dead"]) == 2
        assert "to have what opens cancelled now, say whose account it is" in capsys.readouterr().err
        assert main(["kill", "--confirm", USER]) == 0
        assert sorted(row["transaction_type"] for row in open_orders(steer)) == ["SELL"] * 3
        assert len(held(steer)) == 3


def test_a_symbol_that_is_locked_ends_with_an_alert_and_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here(monkeypatch, tmp_path)
    with market(tmp_path, speed=30) as exchange:
        steer = Steering(exchange.url)
        with run(tmp_path) as process:
            until(lambda: holding(steer), "three positions and five orders", tmp_path)
            steer.speed(4)
            steer.halt("NSE:INFY")
            assert main(["kill", "--flatten", "--reason", "locked"]) == 1
            out = capsys.readouterr().out
            assert "is still at it" in out
            assert "2 NSE:INFY cannot be closed now: order " in out
            assert held(steer) == {"INFY": 2}
            assert [row["tradingsymbol"] for row in open_orders(steer)] == ["INFY"]
            assert process.poll() is None
        (path,) = tmp_path.rglob("journal.sqlite")
        with Journal(path, SystemClock(), read_only=True) as journal:
            words = [event.data["text"] for event in journal.events("alert")]
        assert any("the kill switch: 2 NSE:INFY cannot be closed now" in text for text in words)


def _net(steer: Steering) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in steer.positions():
        found[row["product"]] = found.get(row["product"], 0) + int(row["quantity"])
    return found


def test_the_whole_account_is_emptied_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here(monkeypatch, tmp_path)
    with market(tmp_path, speed=30) as exchange:
        steer = Steering(exchange.url)
        with run(tmp_path) as process:
            until(lambda: holding(steer), "three positions and five orders", tmp_path)
            steer.place("NSE:INFY", "BUY", 7, product="CNC")
            steer.place("NSE:TCS", "BUY", 4, product="CNC")
            low = min(row["price"] for row in open_orders(steer) if row["tradingsymbol"] == "RELIANCE" and row["price"])
            steer.place("NSE:RELIANCE", "BUY", 3, product="CNC", order_type="LIMIT", price=low)
            until(lambda: _net(steer) == {"CNC": 11, "MIS": 6}, "what others hold, beside ours", tmp_path)
            before = len(steer.requests())
            assert main(["kill", "--flatten", "--account"]) == 2
            assert f"--account closes what others hold, too: say --confirm {USER}; nothing was done" in (
                capsys.readouterr().err
            )
            assert not list(tmp_path.rglob("kill"))
            steer.speed(1)
            lively(steer, 300)
            steer.arm("too_many_requests", path="/orders*", every=3, times=None)
            steer.arm("stale_positions", times=None, seconds=4)
            assert main(["kill", "--flatten", "--account", "--reason", "all out", "--confirm", USER]) == 0
            assert "the account is empty" in capsys.readouterr().err
            assert steer.fired("too_many_requests")
            assert process.wait(PATIENCE) == 0
        assert open_orders(steer) == []
        assert [row for row in steer.positions() if row["quantity"]] == []
        taken = [row["form"] for row in steer.requests(before) if row["method"] == "POST" and row["status"] == 200]
        closed = [form for form in taken if form.get("tag", "").startswith("kill") and "transaction_type" in form]
        assert sum(int(form["quantity"]) for form in closed if form["product"] == "CNC") == 11
