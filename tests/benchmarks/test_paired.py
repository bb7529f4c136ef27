"""Benchmarks keep what they promise, or fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
BENCHMARKS = sorted(path for path in FOLDER.glob("*.py") if path.name != "paired.py")


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_every_benchmark_demands_what_it_promises(path):
    text = path.read_text(encoding="utf-8")
    assert "paired.demand(" in text or "paired.within(" in text


@pytest.mark.slow
@pytest.mark.parametrize(("at_least", "code"), [("1", 0), ("1000000", 1)])
def test_a_ratio_below_the_promised_one_is_an_error(at_least, code):
    small = [str(FOLDER / "load.py"), "--bars", "3000", "--rounds", "1", "--at-least", at_least]
    done = subprocess.run([sys.executable, *small], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "load 3,000 bars" in done.stdout
    assert ("is less than the 1,000,000 x that are promised" in done.stderr) is bool(code)
