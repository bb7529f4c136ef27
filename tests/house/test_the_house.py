"""The law of the house: who may import whom, where a mode's name may stand, what words do not belong."""

from __future__ import annotations

import ast
import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

from btkite import log

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "btkite").rglob("*.py"))
FILES = [
    path
    for folder in ("btkite", "strategies", "tests", "examples", "docs", "benchmarks")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".py", ".md", ".yaml", ".csv", ".j2"}
] + [ROOT / name for name in ("README.md", "CHANGELOG.md", "setup.cfg", "pyproject.toml", "Makefile", "config.yaml")]


def lines(path: Path) -> list[tuple[int, str]]:
    return list(enumerate(path.read_text(encoding="utf-8").splitlines(), 1))


def found(pattern: str, paths: list[Path]) -> list[str]:
    wanted = re.compile(pattern)
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in paths
        for number, line in lines(path)
        if wanted.search(line)
    ]


def test_a_mode_is_asked_for_by_name_in_one_file_only():
    elsewhere = [path for path in SOURCES if path.name != "modes.py" and "cli" not in path.parts]
    assert found(r"(==|!=|\bin)\s*[(\[]?\s*[\"'](backtest|paper|live)[\"']", elsewhere) == []


def test_only_the_clock_asks_what_time_it_is():
    clocks = {ROOT / "btkite" / "clock.py", ROOT / "btkite" / "exchange" / "clock.py"}
    elsewhere = [path for path in SOURCES if path not in clocks]
    assert found(r"datetime\.(now|utcnow|today)\(|date\.today\(\)|time\.time\(\)", elsewhere) == []


def test_nothing_prints_but_the_command_line():
    elsewhere = [path for path in SOURCES if "cli" not in path.parts]
    assert found(r"^\s*print\(", elsewhere) == []


def test_no_error_is_swallowed_in_silence():
    text = {path: path.read_text(encoding="utf-8") for path in SOURCES}
    silent = re.compile(r"except(\s+(Exception|BaseException))?\s*:\s*pass\b|^\s*except\s*:", re.MULTILINE)
    assert [path for path in SOURCES if silent.search(text[path])] == []


def test_the_tower_may_import_nothing_of_the_house():
    """The contract in setup.cfg names what is forbidden, one by one: a new module must not be missing there."""
    law = configparser.ConfigParser()
    law.read(ROOT / "setup.cfg", encoding="utf-8")
    named = set(law["importlinter:contract:tower"]["forbidden_modules"].split())
    there = {path.relative_to(ROOT / "btkite").parts[0].removesuffix(".py") for path in SOURCES}
    free = {"__init__", "__main__", "_version", "exchange"}
    assert named == {f"btkite.{name}" for name in there - free}


def test_strategies_know_no_mode_no_kite_and_no_clock():
    imports = found(r"^\s*(from|import)\s", sorted((ROOT / "strategies").glob("*.py")))
    allowed = re.compile(
        r"import (backtrader|math|datetime)"
        r"|from (__future__|collections|datetime|math|statistics|btkite\.(sizers|indicators|analyzers|carried)) "
    )
    assert [line for line in imports if not allowed.search(line)] == []


def test_no_test_sleeps():
    tests = [path for path in sorted((ROOT / "tests").rglob("*.py")) if path != Path(__file__)]
    assert found(r"time\.sleep\(|asyncio\.sleep\([1-9]", tests) == []


def test_nothing_is_left_for_later():
    word = "TO" + "DO"
    assert found(rf"\b({word}|FIX" + r"ME|XX" + r"X)\b", [path for path in FILES if path != Path(__file__)]) == []


@pytest.mark.parametrize("module", ["btkite", "btkite.testing.plugin", "btkite.cli.app"])
def test_what_everybody_waits_for_imports_nothing_heavy(module):
    heavy = ("pandas", "numpy", "backtrader", "kiteconnect", "pyarrow", "aiohttp", "plotly", "matplotlib")
    code = f"import sys, {module}; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_btkite_leaves_backtrader_as_it_was():
    """Nothing is patched globally."""
    code = (
        "import backtrader as bt\n"
        "before = {name: id(value) for name, value in vars(bt.Cerebro).items()}\n"
        "import btkite\n"
        "btkite.Cerebro, btkite.KiteData, btkite.SimBroker, btkite.KiteStore, btkite.KiteBroker\n"
        "after = {name: id(value) for name, value in vars(bt.Cerebro).items()}\n"
        "print(before == after, bt.Store._singleton)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "None"]


def sentences(path: Path) -> list[str]:
    """What a file may say: its texts of several words but docstrings, with X for what is filled in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            said.update(id(part) for part in node.values)
            texts.append("".join(str(part.value) if isinstance(part, ast.Constant) else "X" for part in node.values))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            texts.append(node.value)
    return [text for text in texts if " " in text.strip()]


def test_no_sentence_of_ours_is_damaged_by_the_mask_of_secrets():
    """A name of a secret followed by a colon would have the next word of our own advice blacked out."""
    masks = {ROOT / "btkite" / "log.py", ROOT / "btkite" / "kite" / "secret.py"}
    texts = [text for path in SOURCES if path not in masks and "exchange" not in path.parts for text in sentences(path)]
    assert len(texts) > 1000
    assert log.redact_text("no api_secret: set it") != "no api_secret: set it"
    assert [text for text in texts if log.redact_text(text) != text] == []
