"""The kill switch is looked at right before the first byte: what was given before it and has not left, does not."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from btkite.risk.gate import KillSwitch
from tests.brokers.scene import CALM, buy
from tests.brokers.wire import Live

NOW = datetime(2026, 11, 18, 9, 20)


@pytest.mark.parametrize("exit", [False, True], ids=["entry", "exit"])
def test_an_entry_that_was_given_before_the_kill_does_not_leave_after_it(
    live: Live, tmp_path: Path, exit: bool
) -> None:
    switch = KillSwitch(tmp_path / "kill")

    def given_then_killed(s: Any) -> Any:
        s.broker.gate.kill = switch
        order = s.close() if exit else s.buy(size=2)
        switch.engage("enough", NOW)
        return order

    ran = live.run([CALM] * 8, {2: buy(size=5), 4: given_then_killed})
    left = [(asked.form["transaction_type"], asked.form["quantity"]) for asked in live.middle.calls("POST")]
    assert left == [("BUY", "5"), ("SELL", "5")][: 1 + exit]
    assert live.held() == (0 if exit else 5)
    assert ran.story(1)[-1] == ("Completed" if exit else "Rejected")
    if not exit:
        assert "the kill switch is engaged: enough" in ran.given[1].info.reason
