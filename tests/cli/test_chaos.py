"""`btkite chaos`: what it prints, the script that a failure leaves, and bad words in one sentence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from btkite.cli.app import main

BROKEN = """
import backtrader as bt


class Falls(bt.Strategy):
    def next(self):
        if len(self) == 9:
            raise ValueError("it fell over")
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "falls.py").write_text(BROKEN)


def test_what_was_armed_what_acted_and_each_promise_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chaos", "--seed", "3", "--minutes", "5"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Restless on ")
    assert "  fault  " in out
    assert "kept     no order twice" in out
    assert "broken" not in out
    assert not list(Path().glob("chaos-*.json"))


def test_a_failure_leaves_a_short_script_that_replays_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chaos", "falls.py:Falls", "--seed", "2", "--minutes", "6"]) == 1
    out = capsys.readouterr().out
    assert "broken   the run ends as it should" in out
    assert "it fell over" in out
    assert "`btkite chaos --script chaos-2.json` replays it" in out
    script = json.loads(Path("chaos-2.json").read_text())
    assert (script["faults"], script["acts"], script["deaths"], script["minutes"]) == ([], [], [], 1)
    assert main(["chaos", "--script", "chaos-2.json"]) == 1
    assert "it fell over" in capsys.readouterr().out


def test_many_seeds_are_added_up(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chaos", "--seeds", "1..3", "--minutes", "4"]) == 0
    out = capsys.readouterr().out
    assert "order calls" in out
    assert "3 seeds, " in out
    assert out.rstrip().endswith("all promises kept")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--minutes", "0"], "minutes are from 1 to 360"),
        (["--seeds", "9..1"], "--seeds takes a range such as 1..100, not '9..1'"),
        (["--seeds", "some"], "--seeds takes a range"),
        (["--seed", "-1"], "--seed"),
        (["nowhere.py:Nobody"], "nowhere.py"),
        (["falls.py:Falls", "-p", "speed=3"], "speed"),
        (["-s", ":"], "names no instrument"),
        (["--script", "nothing.json"], "cannot be read"),
        (["falls.py:Falls", "--script", "falls.py"], "a script says all by itself"),
        (["--script", "falls.py"], "cannot be read"),
    ],
)
def test_bad_words_are_told_in_one_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chaos", *words]) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert len(said.strip().splitlines()) == 1
