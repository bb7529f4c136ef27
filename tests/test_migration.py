"""docs/migrate.md: someone's script becomes a btkite one in five changed lines. Both are run."""

from __future__ import annotations

import difflib
import os
import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pytest

from btkite.candles import CandleCache
from btkite.cli.app import main
from btkite.series import Candles
from btkite.testing import bars

ROOT = Path(__file__).resolve().parents[1]
BEFORE, AFTER = (ROOT / "examples" / "before_after" / f"{name}.py" for name in ("before", "after"))
PAGE = (ROOT / "docs" / "migrate.md").read_text(encoding="utf-8")


def market() -> Candles:
    """Five sessions of five minutes that go up and down, on the tick."""
    n = np.arange(375)
    level = 1500 + 40 * np.sin(n / 11) + 15 * np.sin(n / 3.7)
    closes = np.round(np.round(level / 0.05) * 0.05, 2)
    return bars.from_closes(closes.tolist(), interval="5minute", symbol="NSE:INFY")


def changed_lines() -> int:
    before, after = (path.read_text(encoding="utf-8").splitlines() for path in (BEFORE, AFTER))
    changes = difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes()
    return sum(max(i2 - i1, j2 - j1) for kind, i1, i2, j1, j2 in changes if kind != "equal")


def test_five_lines_change():
    assert 0 < changed_lines() <= 5


def test_the_page_shows_the_files_as_they_are():
    before, after = (path.read_text(encoding="utf-8") for path in (BEFORE, AFTER))
    assert between("before", "python") == before
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), n=1)
    assert between("diff", "diff") == "".join(list(lines)[2:])


def between(mark: str, language: str) -> str:
    found = re.search(rf"<!-- {mark} -->\n```{language}\n(.*?)```\n<!-- /{mark} -->", PAGE, re.DOTALL)
    assert found is not None, mark
    return found[1]


def test_both_scripts_run_on_the_candles_that_lie_beside_them(tmp_path, monkeypatch, capsys):
    for name in [name for name in os.environ if name.startswith(("BTKITE_", "KITE_"))]:
        monkeypatch.delenv(name)
    commands = re.search(r"^cd examples/before_after\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert commands is not None
    for name in ("before.py", "after.py", "INFY_5minute.csv"):
        (tmp_path / name).write_bytes((BEFORE.parent / name).read_bytes())
    monkeypatch.chdir(tmp_path)
    closed = []
    for line in commands[1].splitlines():
        verb, *words = shlex.split(line)
        if verb == "export":
            monkeypatch.setenv(*words[0].split("="))
        elif verb == "python":
            runpy.run_path(words[0], run_name="__main__")
            closed.append(capsys.readouterr().out.splitlines()[-2])
        else:
            assert main(words) == 0
    assert len(closed) == 2
    assert closed[0] == closed[1] > "closed trades: 20"


@pytest.fixture
def printed(tmp_path, monkeypatch, capsys):
    """Run a script in a folder of its own, beside INFY_5minute.csv and with a candle cache; what it printed."""
    candles = market()
    CandleCache(tmp_path / "cache").write(candles)
    candles.frame().to_csv(tmp_path / "INFY_5minute.csv", index=False)
    for name in [name for name in os.environ if name.startswith(("BTKITE_", "KITE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("BTKITE_DATA__CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("BTKITE_BROKER__CHARGES", "false")
    monkeypatch.setenv("BTKITE_BROKER__DEFAULT_PRODUCT", "CNC")
    monkeypatch.chdir(tmp_path)

    def run(script: Path | str) -> list[str]:
        if isinstance(script, str):
            (tmp_path / "script.py").write_text(script, encoding="utf-8")
            script = tmp_path / "script.py"
        runpy.run_path(str(script), run_name="__main__")
        return capsys.readouterr().out.splitlines()

    return run


def free_of_commission() -> str:
    return BEFORE.read_text(encoding="utf-8").replace("commission=0.0003", "commission=0.0")


def test_both_scripts_trade_alike(printed):
    before, after = printed(free_of_commission()), printed(AFTER)
    assert len(before) > 6
    assert before == after


def test_the_script_that_is_shown_runs_with_its_commission(printed):
    *_, closed, value = printed(BEFORE)
    assert closed.startswith("closed trades: ")
    assert float(value.removeprefix("value: ")) < 105_000


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_the_flag_takes_the_script_to_paper_and_live(printed, kite_exchange, monkeypatch, mode):
    kite_exchange.reset(market())
    kite = kite_exchange.config().broker.kite_connect
    monkeypatch.setenv("BTKITE_BROKER__KITE_CONNECT__ENDPOINT", kite.endpoint)
    monkeypatch.setenv("KITE_API_KEY", kite.api_key)
    monkeypatch.setenv("KITE_ACCESS_TOKEN", kite_exchange.access_token)
    monkeypatch.setenv("KITE_USER_ID", kite.user_id)
    history = printed(AFTER)
    flagged = AFTER.read_text(encoding="utf-8").replace(
        'KiteStore(mode="backtest")', f'KiteStore(mode="{mode}", confirm="{kite.user_id}")'
    )
    assert flagged != AFTER.read_text(encoding="utf-8")
    assert printed(flagged) == history
    assert bool(kite_exchange.orders()) is (mode == "live")
