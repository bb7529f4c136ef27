"""The table of modes: what each is, and that a name is looked up here alone."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest

from btkite.errors import ConfigError
from btkite.modes import MODES, Mode, mode


def test_a_mode_is_found_by_its_name_or_is_one_already() -> None:
    for name, row in MODES.items():
        assert mode(name) is row
        assert mode(row) is row
        assert row.name == name


@pytest.mark.parametrize("name", ["Live", "", "test", None, 3])
def test_what_is_no_mode_is_refused_with_the_names_that_are(name: object) -> None:
    with pytest.raises(ConfigError, match="backtest, paper, live"):
        mode(name)  # type: ignore[arg-type]


def test_only_live_arms_and_only_live_sends_orders_to_kite() -> None:
    assert [row.name for row in MODES.values() if row.arm] == ["live"]
    assert [row.name for row in MODES.values() if row.fills == "kite"] == ["live"]


def test_a_backtest_reads_history_and_leaves_nothing_behind() -> None:
    assert (MODES["backtest"].bars, MODES["backtest"].journal) == ("history", False)
    for name in ("paper", "live"):
        assert (MODES[name].bars, MODES[name].journal) == ("stream", True)


def test_a_mode_of_ones_own_needs_no_other_file() -> None:
    """Replayed paper: bars of the stream, fills of the simulator, nothing kept."""
    row = Mode("rehearsal", bars="stream", fills="simulator", journal=False, arm=False)
    assert mode(row) is row
    with pytest.raises(FrozenInstanceError):
        row.arm = True  # type: ignore[misc]
