"""``btkite sweep`` as it is typed: what it prints, what it leaves, and how it says no."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from btkite import simulator
from btkite.candles import CandleCache
from btkite.cli.sweeping import line_of, span
from btkite.sweeps import Progress

REPOSITORY = Path(__file__).resolve().parents[2]
SMA = f"{REPOSITORY / 'strategies' / 'sma_cross.py'}:SmaCross"
SYMBOL, INTERVAL = "NSE:RELIANCE", "60minute"
Btkite = Callable[..., tuple[int, str, str]]
ASKED = (SMA, "-s", "RELIANCE", "-i", INTERVAL, "--jobs", "1")


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith(("BTKITE_", "KITE_")) and name != "BTKITE_SHARED":
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("BTKITE_DATA__CACHE", str(tmp_path / "candles"))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)
    candles, _ = simulator.made_up([SYMBOL], INTERVAL, seed=3, sessions=40)
    CandleCache(tmp_path / "candles").write(candles[SYMBOL])
    return tmp_path


@pytest.fixture
def btkite(btkite: Btkite) -> Btkite:
    """Its verb ``sweep``."""
    return partial(btkite, "sweep")


def test_it_prints_the_best_ten_what_failed_the_warning_and_the_command(btkite: Btkite, own_folder: Path) -> None:
    code, out, err = btkite(*ASKED, "--set", "fast=2..8:2", "--set", "slow=4,6,12", "--out-of-sample", "25")
    assert code == 0
    assert out.startswith(f"12 sets of SmaCross on {SYMBOL}, {INTERVAL}, by Sharpe ratio: ")
    assert "failed: 5 x SmaCross does not start: SmaCross needs 0 < fast < slow" in out
    assert "out of sample: the best sets on the days that were held out" in out
    assert "Row 1 is the best of 7 sets, and the best of many is partly luck." in out
    assert f"row 1 again: btkite run {SMA} -s {SYMBOL} -i {INTERVAL} --to 20" in out
    assert "0 of 12" in err
    assert "12 of 12, 5 failed; best sharpe " in err
    (folder,) = (own_folder / "runs").glob("*-sweep-SmaCross-RELIANCE")
    assert f"kept in runs/{folder.name}" in out
    assert {path.name for path in folder.iterdir()} == {
        "rows.csv", "out_of_sample.csv", "heatmap.png", "sweep.html", "sweep.json",
    }  # fmt: skip
    assert (folder.parent / "plotly.min.js").is_file()
    page = (folder / "sweep.html").read_text(encoding="utf-8")
    assert 'src="../plotly.min.js"' in page
    assert '"type": "heatmap"' in page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert len((folder / "rows.csv").read_text().splitlines()) == 13
    code, out, err = btkite(*ASKED, "--set", "fast=2..8:2", "--set", "slow=4,6,12", "--no-save")
    assert "known from before" not in out, "other days"
    assert len(list((own_folder / "runs").iterdir())) == 2


def test_json_and_nothing_else(btkite: Btkite) -> None:
    code, out, err = btkite(*ASKED, "--set", "fast=2,3", "-p", "slow=9", "--json", "--no-save", "--walk-forward", "2")
    assert (code, err) == (0, "")
    said = json.loads(out)
    assert [row["params"]["slow"] for row in said["rows"]] == [9, 9]
    assert said["varied"] == ["fast"]
    assert len(said["folds"]) == 2
    assert said["command"].endswith(f"-p fast={said['rows'][0]['params']['fast']}")
    assert said["deflated_sharpe"] is None or 0 <= said["deflated_sharpe"] <= 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((), "nothing is varied: give --set fast=5..50:5 (sets={'fast': '5..50:5'} in Python)"),
        (("--set", "fats=1..2"), "SmaCross has no parameter 'fats'; did you mean fast?"),
        (
            ("--set", "fast=2..5", "-p", "fast=3"),
            "the parameter fast is varied and fixed: take it out of one of the two",
        ),
        (
            ("--set", "fast=2..5", "--metric", "profit"),
            "rows cannot be ranked by 'profit'; did you mean profit_factor?",
        ),
        (("--set", "percent=2..5"), "a grid needs a step: write percent=2..5:STEP, or use --search random"),
        (("--set", "fast=2..5", "--walk-forward", "30"), "40 days are too few for 30 folds: take 66 days at least"),
        (("--set", "fast=2..5", "--trials", "x"), "--trials takes a whole number"),
        (("--set", "fast=2..5", "--from", "2031-01-01"), "NSE:RELIANCE 60minute is stored from "),
    ],
)
def test_what_is_wrong_is_one_sentence(btkite: Btkite, words: tuple[str, ...], sentence: str) -> None:
    code, out, err = btkite(*ASKED, *words)
    assert code in (1, 2)
    assert out == ""
    assert err.startswith(f"error: {sentence}")
    assert err.count("\n") == 1


def test_how_long_it_will_take() -> None:
    progress = Progress("sharpe", done=14, total=64, new=10, seconds=20.0, failed=1)
    assert line_of(progress) == "14 of 64, 1 failed, about 2 min left"
    progress.stage = "fold 1 of 3"
    progress.done = progress.total
    assert line_of(progress) == "fold 1 of 3: 64 of 64, 1 failed"
    assert [span(seconds) for seconds in (0.2, 40, 600, 11_100)] == ["1 s", "40 s", "10 min", "3 h 5 min"]
