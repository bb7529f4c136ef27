"""While a run goes on: the account's lock and record, and Ctrl-C."""

from __future__ import annotations

import signal
import threading
from datetime import datetime, timedelta
from pathlib import Path

import backtrader as bt
import pytest

from btkite import runs
from btkite.clock import ManualClock, SystemClock
from btkite.config import Config
from btkite.errors import AccountLocked
from btkite.journal import AccountLock, Journal
from btkite.runs import keeping
from tests.runs.scene import (
    INTERVAL,
    SYMBOL,
    USER,
    InAndOut,
    LeavesOpen,
    go,
)


def test_an_account_that_another_process_runs_is_left_alone(config: Config, begin: datetime) -> None:
    plan = runs.prepare(InAndOut, SYMBOL, mode="live", interval=INTERVAL, start=begin, config=config, confirm=USER)
    with AccountLock(plan.folder / "lock", SystemClock(), command="the other one"):
        with pytest.raises(AccountLocked, match="the other one"):
            plan.go()
        assert len(go(config, mode="paper", start=begin).orders) > 0, "paper is an account of its own"
    assert plan.folder == Path(config.paths.state) / "simulator" / USER / "live"
    assert len(plan.go().orders) > 0


def test_ctrl_c_ends_a_live_run_cleanly_and_says_what_is_open(config: Config, begin: datetime) -> None:
    class Interrupts(LeavesOpen):
        def next(self) -> None:
            super().next()
            if self.position:
                signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    result = go(config, Interrupts, mode="live", start=begin)
    assert signal.getsignal(signal.SIGINT) is before
    assert (result.stopped, result.exit_code) == ("Ctrl-C", 130)
    assert len(result.equity) < 5
    order = next(line for line in result.left_open if line.startswith("order BUY 2 NSE:RELIANCE Limit ₹"))
    assert "Accepted, Kite " in order
    assert any(line.startswith("position 3 ") for line in result.left_open)


def test_ctrl_c_in_a_backtest_is_an_ordinary_interrupt(config: Config, begin: datetime) -> None:
    class Interrupts(bt.Strategy):
        def next(self) -> None:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        go(config, Interrupts, start=begin)


def test_an_account_on_a_served_exchange_goes_on_until_its_market_begins_anew(tmp_path):
    from datetime import datetime

    from btkite.clock import ManualClock
    from btkite.runs import account_record

    path = tmp_path / "journal.sqlite"
    with account_record(path, ManualClock(datetime(2024, 7, 1, 10))) as record:
        record.journal.append("order", {"refs": [1]})
    with account_record(path, ManualClock(datetime(2024, 7, 1, 11))) as record:
        assert len(record.journal.events()) == 1
    with account_record(path, ManualClock(datetime(2024, 7, 1, 9))) as record:
        assert record.journal.events() == []
    assert len(list(tmp_path.glob("journal-*.sqlite"))) == 1


def test_who_holds_an_account_says_so_again_and_again_and_goes_on_if_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Machines that share a folder and do not lock for each other go by these signs of life."""
    monkeypatch.setattr(keeping, "_BEAT", timedelta(milliseconds=5))
    lock = AccountLock(tmp_path / "lock", SystemClock())
    beats: list[bool] = []
    enough = threading.Event()
    real = lock.beat

    def beat() -> None:
        beats.append(len(beats) != 2)
        if len(beats) == 5:
            enough.set()
        if not beats[-1]:
            raise OSError("the disk is gone for a moment")
        real()

    monkeypatch.setattr(lock, "beat", beat)
    with keeping.held(lock) as held:
        assert held is lock
        assert lock.held
        assert enough.wait(20)
    assert beats[:5] == [True, True, False, True, True]
    assert not lock.held
    assert not [thread for thread in threading.enumerate() if thread.name == "btkite-lock"]
    assert lock.owner() == {}


@pytest.mark.parametrize("seconds", [0, 1], ids=["now", "in the future"])
def test_an_account_whose_last_event_lies_in_the_future_begins_anew(tmp_path: Path, seconds: int) -> None:
    path, clock = tmp_path / "journal.sqlite", ManualClock(datetime(2026, 11, 23, 10, 0))
    with keeping.account_record(path, clock) as record:
        clock.advance(seconds)
        record.journal.append("said", {"what": "first"})
    clock.set(datetime(2026, 11, 23, 10, 0))
    with keeping.account_record(path, clock) as record:
        kinds = [event.kind for event in record.journal.events()]
        assert kinds == ([] if seconds else ["said"])
        record.journal.append("said", {"what": "second"})
    aside = sorted(tmp_path.glob("journal-*.sqlite"))
    assert len(aside) == seconds
    for old in aside:  # put aside, and whole
        assert old.name == "journal-20261123-100001.sqlite"
        with Journal(old, clock, read_only=True) as journal:
            assert [event.data["what"] for event in journal.events()] == ["first"]
            assert journal.verify() is None
