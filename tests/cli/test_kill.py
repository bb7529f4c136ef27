"""``btkite kill``: with a run that heeds it, without one, twice, and by ourselves. The exchange's book judges."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from btkite.clock import SystemClock
from btkite.journal import Journal
from btkite.risk.gate import KillSwitch
from btkite.testing import Steering
from btkite.watch.killing import open_of
from tests.watch.running import PATIENCE, USER, held, here, holding, lively, market, open_orders, run, until

Btkite = Callable[..., tuple[int, str, str]]
WORDS = ("--reason", "all is well", "--confirm", USER)


def test_entries_go_and_exits_stay_and_what_is_left_of_a_dead_run_is_closed_by_us(
    btkite: Btkite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here(monkeypatch, tmp_path)
    with market(tmp_path, speed=30) as exchange:
        steer = Steering(exchange.url)
        with run(tmp_path) as process:
            until(lambda: holding(steer), "three positions and five orders", tmp_path)
            code, out, err = btkite("kill", "--reason", "lunch")
            assert (code, err) == (0, "")
            assert "is engaged (lunch, since " in out
            assert re.search(r"has cancelled what opens, and keeps what reduces: order .*; held still: position ", out)
            assert sorted(row["transaction_type"] for row in open_orders(steer)) == ["SELL"] * 3
            assert len(held(steer)) == 3
            assert "nothing was changed" in btkite("kill")[1]
            process.send_signal(signal.SIGKILL)
            process.wait(PATIENCE)

        # Shares that somebody bought by hand are not ours to sell.
        steer.place("NSE:INFY", "BUY", 7, product="CNC")
        code, _, err = btkite("kill", "--flatten")
        assert code == 2
        assert "open by the journal is " in err
        assert f"say whose account it is with --confirm {USER}" in err
        assert len(held(steer)) >= 3
        assert btkite("kill", "--flatten", "--confirm", "AB1234")[0] == 2
        assert len(open_orders(steer)) >= 3

        lively(steer, 200)
        code, out, err = btkite("kill", "--flatten", "--confirm", USER)
        assert code == 0, (out, err)
        assert "nothing is open any more" in err
        assert [row for row in open_orders(steer) if row["product"] == "MIS"] == []
        left = {(row["tradingsymbol"], row["product"]): row["quantity"] for row in steer.positions() if row["quantity"]}
        assert left == {("INFY", "CNC"): 7}
        (path,) = tmp_path.rglob("journal.sqlite")
        with Journal(path, SystemClock(), read_only=True) as journal:
            assert journal.verify() is None
            last = journal.last_book()
            assert last is not None
            assert last.data["book"]["positions"] == {}


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An account that nobody runs, and no exchange at all."""
    here(monkeypatch, tmp_path)
    (tmp_path / "config.yaml").write_text(
        "broker:\n  kite_connect:\n    endpoint: http://127.0.0.1:9\n    user_id: SIM001\n"
        f"paths:\n  state: {tmp_path / 'state'}\n"
    )
    return tmp_path / "state" / "127.0.0.1-9" / USER / "live"


def test_without_a_run_the_next_one_starts_halted(btkite: Btkite, alone: Path) -> None:
    code, out, err = btkite("kill", "--reason", "holiday")
    assert (code, err) == (0, "")
    assert "no process runs this account, and the next one opens nothing" in out
    switch = KillSwitch(alone / "kill")
    assert switch.engaged()
    assert switch.reason.startswith("holiday, since ")
    assert not switch.flatten
    assert [path.name for path in alone.iterdir()] == ["kill"]  # no lock was taken, no journal made


def test_a_kill_is_not_refused_for_want_of_a_reason(btkite: Btkite, alone: Path) -> None:
    assert "is engaged (btkite kill, since " in btkite("kill", "--reason", " ")[1]
    assert KillSwitch(alone / "kill").reason.startswith("btkite kill, since ")


def test_a_second_kill_changes_nothing_and_says_so(btkite: Btkite, alone: Path) -> None:
    btkite("kill", "--reason", "first")
    before = (alone / "kill").read_bytes()
    code, out, _ = btkite("kill", "--reason", "second")
    assert code == 0
    assert "was engaged already (first, since " in out
    assert (alone / "kill").read_bytes() == before


def test_flatten_widens_a_kill_and_keeps_its_reason(btkite: Btkite, alone: Path) -> None:
    btkite("kill", "--reason", "first")
    code, out, err = btkite("kill", "--flatten", "--reason", "second")
    assert code == 0
    assert "is engaged (first, since " in out
    assert "by its journal nothing is open" in err
    assert KillSwitch(alone / "kill").flatten
    assert "was engaged already" in btkite("kill", "--flatten")[1]


def test_resuming_takes_it_back(btkite: Btkite, alone: Path) -> None:
    btkite("kill", "--flatten")
    assert btkite("resume", *WORDS)[0] == 0
    assert not (alone / "kill").exists()


def test_no_account_and_no_such_mode_are_refused(btkite: Btkite, alone: Path) -> None:
    code, _, err = btkite("kill", "--mode", "backtest")
    assert code == 2
    assert "backtest keeps no account that could be killed: use paper or live" in err


def test_what_is_waited_for_is_said() -> None:
    row = {"ref": 4, "symbol": "NSE:INFY", "uncertain_until": "2026-11-02T09:21:30"}
    (text,) = open_of({"orders": [row], "positions": []})
    assert text == "order 4 NSE:INFY (Kite has not answered: looked up until 09:21:30)"


def test_kill_and_resume_name_the_same_endpoint(
    btkite: Btkite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The built-in simulator has an account of an exchange that serves, too."""
    here(monkeypatch, tmp_path)
    (tmp_path / "config.yaml").write_text(f"paths:\n  state: {tmp_path / 'state'}\n", encoding="utf-8")
    said = [btkite("kill")[1], btkite("resume")[2], btkite("resume", *WORDS)[1], btkite("resume")[1]]
    assert len({re.findall(r"live on (\S+)\)", text)[0] for text in said}) == 1, said
