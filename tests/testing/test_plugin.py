from __future__ import annotations

import subprocess
import sys

HEAVY = ("pandas", "numpy", "backtrader", "kiteconnect", "aiohttp", "pyarrow", "pydantic", "matplotlib")

pytest_plugins = ()


def python(*code: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", "\n".join(code)], capture_output=True, text=True, timeout=60, check=True
    )
    return ran.stdout.strip()


def test_importing_the_plugin_imports_nothing_heavy():
    loaded = python(
        "import sys, pytest",
        "before = set(sys.modules)",
        "import btkite.testing.plugin",
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))",
    )
    assert "btkite" in loaded.split()
    assert not set(HEAVY) & set(loaded.split()), loaded


def test_a_test_run_without_its_fixtures_imports_nothing_heavy(tmp_path):
    (tmp_path / "test_other.py").write_text(
        f"import sys\ndef test_light():\n    assert [name for name in {HEAVY!r} if name in sys.modules] == []\n"
    )
    assert "1 passed" in run_pytest(tmp_path)


def test_the_fixtures_are_there_without_a_conftest(tmp_path):
    (tmp_path / "test_mine.py").write_text(
        "import backtrader as bt\n"
        "class Holds(bt.Strategy):\n"
        "    def next(self):\n"
        "        if not self.position:\n"
        "            self.buy(size=1)\n"
        "def test_it_gains(bars, run_strategy):\n"
        "    outcome = run_strategy(Holds, bars('uptrend'))\n"
        "    assert outcome.final_value > 100_000\n"
        "def test_live(kite_exchange):\n"
        "    kite_exchange.run_strategy(Holds, [100, 101, 102, 103])\n"
        "    assert kite_exchange.positions()[0]['quantity'] == 1\n"
    )
    assert "2 passed" in run_pytest(tmp_path)


def test_it_can_be_switched_off(tmp_path):
    (tmp_path / "test_mine.py").write_text("def test_it(bars):\n    assert bars\n")
    assert "fixture 'bars' not found" in run_pytest(tmp_path, "-p", "no:btkite")


def run_pytest(folder, *more: str) -> str:
    # Other plugins that are installed here may import what they like; the claim is about ours.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *more, "."]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=folder)
    return ran.stdout + ran.stderr
