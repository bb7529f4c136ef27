"""README.md: its commands and scripts run word for word, its links lead somewhere."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest

from btkite.cli.app import main

REPOSITORY = Path(__file__).resolve().parents[2]
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a clone, with nothing stored and nothing set."""
    for name in list(os.environ):
        if name.startswith(("BTKITE_", "KITE_")) and name != "BTKITE_SHARED":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("BTKITE_EXCHANGE__PORT", "0")  # an exchange that somebody serves here is not the reader's
    for folder in ("strategies", "examples"):
        (tmp_path / folder).symlink_to(REPOSITORY / folder)
    (tmp_path / "config.yaml").symlink_to(REPOSITORY / "config.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_begins_with_the_two_commands() -> None:
    assert [line.split("#")[0].strip() for line in COMMANDS[:2]] == ["make demo", "make test"]
    targets = re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert {"help", "demo", "test", "check", "bench"} <= set(targets)


def test_its_commands_run_and_the_modes_agree(clone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed = [line for line in COMMANDS if line.startswith("btkite run ")]
    assert len(typed) == 3
    found = []
    for line in typed:
        assert main(shlex.split(line)[1:]) == 0, line
        out = capsys.readouterr().out
        assert "MADE-UP candles" in out
        assert "held overnight" not in out
        rows = [[cell.strip() for cell in row.strip("│ ").split("│")] for row in out.splitlines() if row[:2] == "│ "]
        found.append({label: value for label, value in rows if label and label != "Folder"})
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 26


@pytest.mark.parametrize("script", blocks("python"))
def test_its_scripts_run_after_the_commands_above_them(
    clone: Path, script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in re.findall(r"^export (\w+)=(\S+)", "\n".join(COMMANDS), re.MULTILINE):
        monkeypatch.setenv(name, value)
    for line in COMMANDS:
        if line.startswith("btkite data "):
            assert main(shlex.split(line)[1:]) == 0, line
    exec(compile(script, "README.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out


def test_its_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert [link for link in links if not link.startswith("https://") and not (REPOSITORY / link).exists()] == []
