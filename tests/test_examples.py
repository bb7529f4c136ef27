"""Every example runs, in a process and a folder of its own, and prints what it is there to show."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"

PRINTS = {
    "backtest_by_hand.py": r"40 trades, 40 won, ₹2,421\.00 gross\n₹\d+\.\d\d charges",
    "custom_sizer.py": r"0\.02 % a trade: \d+ trades of \[\d.*\] units(.|\n)*0\.08 % a trade",
    "live_on_exchange.py": r"INFY is LIVE\n(.|\n)*Sell 6 Limit +Completed +1545\.00(.|\n)*BUY MARKET COMPLETE morn",
    "strike_at_0920.py": r"24012\.00 → NFO:NIFTY2470424000CE(.|\n)*settled at 197 with(.|\n)*NFO:NIFTY2471124000CE: ₹",
    "three_lines.py": r"2026-11-18 11:50:00(.|\n)*'NSE:INFY': 1584\.0",
}
"""What must be in the output of each; an example without a row here fails."""


def scripts() -> list[str]:
    return sorted(path.name for path in EXAMPLES.glob("*.py"))


def test_every_example_is_known_here():
    assert scripts() == sorted(PRINTS)


@pytest.mark.parametrize("name", scripts())
def test_the_example_runs(name, tmp_path):
    mine = {key: value for key, value in os.environ.items() if not key.startswith(("BTKITE_", "KITE_", "XDG_"))}
    for folder in ("home", "tmp"):
        (tmp_path / folder).mkdir()
    ran = subprocess.run(
        [sys.executable, str(EXAMPLES / name)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=100,
        cwd=tmp_path,
        env={**mine, "HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp"), "PYTHONUTF8": "1"},
    )
    assert ran.returncode == 0, ran.stderr
    assert "Traceback" not in ran.stderr, ran.stderr
    assert re.search(PRINTS[name], ran.stdout), ran.stdout
    left = [path.relative_to(tmp_path) for folder in ("home", "tmp") for path in (tmp_path / folder).rglob("*")]
    assert [path for path in left if "matplotlib" not in str(path) and ".cache" not in str(path)] == []
