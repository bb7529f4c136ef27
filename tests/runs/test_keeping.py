"""While a run goes on: the account's lock and record, and Ctrl-C."""

from __future__ import annotations

import signal
from datetime import datetime
from pathlib import Path

import backtrader as bt
import pytest

from btkite import runs
from btkite.clock import SystemClock
from btkite.config import Config
from btkite.errors import AccountLocked
from btkite.journal import AccountLock
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
