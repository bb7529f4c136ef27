"""A sweep: each row is a run of ``btkite run``, whoever did the work and however often it was interrupted."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

import btkite
from btkite.cli.app import main
from btkite.config import Config
from btkite.errors import ConfigError, DataError
from btkite.report.result import plain
from btkite.sweeps import work
from btkite.sweeps.pools import DIED
from tests.sweeps.scene import INTERVAL, MINE, OTHER, SETS, SYMBOL, rows_file, sets_of, swept

pytestmark = pytest.mark.usefixtures("config")


# ---- equality ------------------------------------------------------------------------------------


def figures(result: btkite.RunResult) -> dict[str, Any]:
    return {key: plain(value) for key, value in result.stats.items()}


@pytest.mark.parametrize("rule", ["path", "backtrader"])
def test_a_row_is_the_run_of_its_parameters_to_the_last_bit(config: Config, rule: str) -> None:
    asked = config.with_(**{"broker.rule": rule})
    result = swept({**SETS, "stop": "0,0.002"}, config=asked, symbols=[SYMBOL, OTHER])
    assert len(result.found) == 16
    assert len({row["trades_digest"] for row in result.found}) > 8
    for row in result.found:
        run = btkite.run(MINE, [SYMBOL, OTHER], interval=INTERVAL, params=row["params"], config=asked)
        assert row["stats"] == figures(run)
        assert (row["orders_digest"], row["trades_digest"]) == (run.orders_digest, run.trades_digest)
        assert row["remarks"] == list(run.remarks)
        assert "fast loop" in row["engine"]


def test_the_command_of_row_1_reproduces_it(capsys: pytest.CaptureFixture[str], market: Any) -> None:
    first = market[0][SYMBOL].start[40].item()
    result = swept(start=first.date(), warmup=9, capital=50_000, params={"stop": 0.005})
    assert result.command.startswith(f"btkite run {MINE} -s {SYMBOL} -i {INTERVAL} --capital 50000 --warmup 9 --from ")
    assert main([*shlex.split(result.command)[1:], "--json", "--no-save"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["stats"] == result.ranked[0]["stats"]
    assert result.run().orders_digest == result.ranked[0]["orders_digest"]


def test_settings_that_no_option_says_are_in_the_command_as_variables(
    config: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    result = swept(config=config.with_(**{"broker.rule": "backtrader", "risk.max_position_pct": 2.5}))
    variables, _, command = result.command.partition(" btkite ")
    assert set(shlex.split(variables)) == {"BTKITE_BROKER__RULE=backtrader", "BTKITE_RISK__MAX_POSITION_PCT=2.5"}
    for one in shlex.split(variables):
        monkeypatch.setenv(*one.split("=", 1))
    assert main([*shlex.split(command), "--json", "--no-save"]) == 0
    assert json.loads(capsys.readouterr().out)["stats"] == result.ranked[0]["stats"]


@pytest.mark.slow
def test_other_processes_find_the_same(config: Config) -> None:
    alone = swept(store="alone")
    beside = swept(store="beside", jobs=2)
    for one, other in zip(alone.found, beside.found, strict=True):
        assert {**one, "seconds": 0} == {**other, "seconds": 0}
    assert not list(Path("beside").glob("*/candles/*")), "the candles' copies are gone"


def test_rows_are_ranked_and_what_less_is_better_of_is(config: Config) -> None:
    sharpes = [row["stats"]["sharpe"] for row in swept().ranked]
    assert sharpes == sorted(sharpes, reverse=True)
    assert len(sharpes) == 8
    falls = [row["stats"]["max_drawdown_percent"] for row in swept(metric="max_drawdown_percent").ranked]
    assert falls == sorted(falls)


# ---- failures ------------------------------------------------------------------------------------


def test_a_failure_is_a_row_with_its_reason_and_the_others_go_on() -> None:
    result = swept({"fast": [2, 3], "mood": ["calm", "sad", "angry"]})
    assert len(result.ranked) == 2
    reasons = set(result.failures["failed"])
    assert "Mine does not start: it is sad" in reasons
    assert any(one.startswith("Mine failed at mine.py:") and "RuntimeError: angry on bar" in one for one in reasons)
    assert list(result.rows["failed"])[:2] == ["", ""]
    assert result.rows.loc[6, "trades"] is None or result.rows["trades"].isna().sum() == 4
    assert "failed: 2 x Mine" in result.show()
    assert result.exit_code == 0
    assert swept({"fast": [2, 3], "mood": ["calm", "sad", "angry"]}).known == 6, "a failure is known, too"


def test_where_nothing_has_the_figure_it_is_said() -> None:
    result = swept({"mood": ["sad", "angry"]})
    assert (result.best, result.command, result.exit_code, result.warning) == ({}, "", 1, "")
    short = swept(source="made-up", interval="60minute")
    assert "none of the sets has sharpe: it says nothing under 30 days; use --metric return_percent" in short.show()


@pytest.mark.slow
def test_a_set_that_kills_its_worker_has_failed_and_the_others_go_on(tmp_path: Path) -> None:
    asked = {"mood": ["dead", "calm", "sad"]}
    result = swept(asked, jobs=2)
    assert [row["params"]["mood"] for row in result.ranked] == ["calm"]
    assert set(result.failures["failed"]) == {DIED, "Mine does not start: it is sad"}
    assert (result.stopped, result.exit_code) == ("", 0)
    assert swept({"mood": ["calm", "sad"]}).known == 2
    assert not any(row["failed"] == DIED for row in kept_rows(tmp_path)), "it may have been the machine"


def kept_rows(folder: Path) -> list[dict[str, Any]]:
    lines = rows_file(folder).read_text(encoding="utf-8").splitlines()
    return [json.loads(line.partition(" ")[2])["row"] for line in lines]


# ---- what is kept --------------------------------------------------------------------------------


def test_rows_are_kept_and_a_wider_sweep_takes_them() -> None:
    first = swept({"fast": "2..4"})
    again = swept({"fast": "2..6"})
    assert (first.known, again.known) == (0, 3)
    assert len(again.found) == 5
    assert swept({"fast": "2..6"}, fresh=True).known == 0
    assert swept({"fast": "2..4"}, params={"slow": 9}).known == 0


def test_a_changed_strategy_takes_no_old_rows(tmp_path: Path) -> None:
    before = swept()
    source = (tmp_path / "mine.py").read_text()
    (tmp_path / "mine.py").write_text(source.replace("self.cross[0] > 0", "self.cross[0] >= 0"))
    after = swept()
    assert after.known == 0
    assert [row["trades_digest"] for row in after.found] != [row["trades_digest"] for row in before.found]
    (tmp_path / "mine.py").write_text(source)
    assert swept().known == 8


@pytest.mark.slow
def test_a_changed_helper_of_the_strategy_takes_no_old_rows(tmp_path: Path) -> None:
    before = swept(jobs=2)
    (tmp_path / "helper_of_mine.py").write_text("SIZE = 1\n")
    after = swept(jobs=2)
    assert after.known == 0
    assert {row["stats"]["trades"] for row in after.found} == {row["stats"]["trades"] for row in before.found}
    assert [row["orders_digest"] for row in after.found] != [row["orders_digest"] for row in before.found]


def test_other_candles_or_settings_take_no_old_rows(config: Config, market: Any) -> None:
    swept()
    assert swept(end=market[0][SYMBOL].start[-30].item()).known == 0
    assert swept(capital=70_000).known == 0
    assert swept(symbols=OTHER, sets={"fast": [2]}).known == 0
    assert swept(config=config.with_(**{"log.level": "debug"})).known == 8
    assert swept().known == 8


@pytest.mark.parametrize("cut", [2, 60])
def test_a_line_that_a_kill_tore_is_worked_out_again(tmp_path: Path, cut: int) -> None:
    whole = swept()
    path = rows_file(tmp_path)
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    again = swept()
    assert again.known == 7
    assert [{**row, "seconds": 0} for row in again.found] == [{**row, "seconds": 0} for row in whole.found]
    assert swept().known == 8
    middle = content.index(b"\n") + 40
    path.write_bytes(content[:middle] + b"#" + content[middle + 1 :])
    assert swept().known == 7, "nor is one that a disk has damaged"


SCRIPT = """
import sys, btkite
if __name__ == "__main__":
    def told(progress):
        if progress.done == 3:
            print("three", flush=True)
    btkite.sweep("mine.py:Mine", "NSE:RELIANCE", {"fast": range(2, 40), "slow": range(5, 45)}, interval="60minute",
                 jobs=int(sys.argv[1]), told=told)
"""


def started(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]),
        },
        start_new_session=True,
    )


@pytest.mark.slow
def test_a_sweep_that_was_killed_goes_on_from_there(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    process = started("script.py", "1")
    assert process.stdout is not None
    assert process.stdout.readline() == "three\n"
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert swept({"fast": [2], "slow": range(5, 9)}).known >= 3


@pytest.mark.slow
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_keeps_what_is_done_and_says_it(tmp_path: Path, jobs: str) -> None:
    process = started(
        "-m", "btkite", "sweep", MINE, "-s", SYMBOL, "-i", INTERVAL, "--set", "fast=2..40", "--set", "slow=5..44",
        "--jobs", jobs,
    )  # fmt: skip
    assert process.stderr is not None
    assert process.stderr.readline().startswith("0 of 1,560")
    while not rows_file_there(tmp_path):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does it: to the workers, too
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "ended early: Ctrl-C" in err
    assert "Traceback" not in err
    assert f"sets of Mine on {SYMBOL}" in out
    assert "row 1 again: btkite run mine.py:Mine" in out


def rows_file_there(folder: Path) -> bool:
    return any(path.stat().st_size > 4_000 for path in folder.glob("state/sweeps/*/rows.jsonl"))


def test_two_processes_do_not_write_into_one_store(tmp_path: Path) -> None:
    swept()
    from btkite.sweeps.store import Store

    with Store(rows_file(tmp_path).parent), pytest.raises(ConfigError, match="another process is at this very sweep"):
        swept()


# ---- searches and splits -------------------------------------------------------------------------


def test_a_random_search_tries_so_many_different_sets() -> None:
    result = swept({"fast": "2..9", "slow": "6..12"}, search="random", trials=6)
    assert len(result.found) == 6
    other = swept({"fast": "2..9", "slow": "6..12"}, search="random", trials=6, search_seed=1)
    assert sets_of(other) != sets_of(result)
    free = swept({"stop": "0.001..0.02"}, search="random", trials=4)
    assert len({row["params"]["stop"] for row in free.found}) == 4
    for row in free.found[:1]:
        assert btkite.run(MINE, SYMBOL, interval=INTERVAL, params=row["params"]).trades_digest == row["trades_digest"]


def test_optuna_learns_and_tries_the_same_sets_again_from_the_store() -> None:
    pytest.importorskip("optuna", reason="optuna is not installed: pip install btkite[optuna]")
    asked = {"fast": "2..30", "slow": [6, 9, 20], "stop": "0.001..0.02"}
    first = swept(asked, search="optuna", trials=20)
    assert len(first.found) == 20
    again = swept(asked, search="optuna", trials=20)
    assert again.known == 20
    assert sets_of(again) == sets_of(first)


def test_the_days_that_are_held_out_have_no_say_in_the_ranking() -> None:
    result = swept({"fast": "2..7", "slow": [6, 9]}, out_of_sample=30, metric="return_percent")
    (fold,) = result.sweep.folds
    assert fold.train.end is not None
    before = btkite.run(MINE, SYMBOL, interval=INTERVAL, params=result.best, end=fold.train.end)
    after = btkite.run(MINE, SYMBOL, interval=INTERVAL, params=result.best, start=fold.test.begin)
    assert result.ranked[0]["trades_digest"] == before.trades_digest
    assert result.test_rows[0]["trades_digest"] == after.trades_digest
    assert len(result.out_of_sample) == 10
    assert list(result.out_of_sample["fast"]) == [row["params"]["fast"] for row in result.ranked[:10]]
    assert "On the days that were held out it came to" in result.warning
    assert f"--to {fold.train.end.date() - timedelta(days=1)} " in result.command


def test_a_walk_tests_what_was_best_before() -> None:
    result = swept({"fast": "2..4"}, walk_forward=3, metric="return_percent")
    assert len(result.folds) == 3
    for one in result.fold_rows:
        assert one.learned is not None
        assert one.tested is not None
        returns = {}
        for fast in (2, 3, 4):
            run = btkite.run(
                MINE,
                SYMBOL,
                interval=INTERVAL,
                params={"fast": fast},
                start=one.fold.train.begin,
                end=one.fold.train.end,
            )
            returns[fast] = run.stats["return_percent"]
        assert one.learned["params"]["fast"] == max(returns, key=returns.__getitem__)
        test = btkite.run(
            MINE,
            SYMBOL,
            interval=INTERVAL,
            params=one.learned["params"],
            start=one.fold.test.begin,
            end=one.fold.test.end,
        )
        assert one.tested["trades_digest"] == test.trades_digest
    assert "Chosen anew in each of 3 folds" in result.warning
    whole = btkite.run(MINE, SYMBOL, interval=INTERVAL, params=result.best)
    assert result.ranked[0]["trades_digest"] == whole.trades_digest


def test_it_warns_of_its_own_luck() -> None:
    result = swept({"fast": "2..5", "slow": "10..13"})
    assert result.luckiest is not None
    assert result.deflated_sharpe is not None
    assert 0 <= result.deflated_sharpe <= 1
    assert result.warning.startswith("Row 1 is the best of 16 sets, and the best of many is partly luck.")
    assert "(deflated Sharpe ratio)" in result.warning
    assert "--out-of-sample or --walk-forward" in result.warning
    assert swept({"fast": [2]}).warning == ""


# ---- what cannot be ------------------------------------------------------------------------------


class Here(bt.Strategy):
    params = (("fast", 3),)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"metric": "sharp"}, "rows cannot be ranked by 'sharp'; did you mean sharpe?"),
        ({"metric": "days"}, "rows cannot be ranked by 'days': use one of sharpe, return_percent, "),
        ({"search": "best"}, "there is no search 'best'; choose one of grid, random, optuna"),
        ({"trials": 5}, "a grid tries all its sets: leave --trials out, or use --search random"),
        ({"search": "random", "trials": 0}, "--trials must be 1 or more, not 0"),
        ({"jobs": 0}, "--jobs must be 1 or more, not 0"),
        (
            {"jobs": 2, "dask": "tcp://localhost:1"},
            "a cluster has the workers that it has: leave --jobs out with --dask",
        ),
        (
            {"out_of_sample": 20, "walk_forward": 3},
            "days are held out or walked through, not both: leave --out-of-sample or --walk-forward out",
        ),
        ({"anchored": True}, "--anchored says how --walk-forward learns: give --walk-forward FOLDS too"),
        (
            {"source": "made-up", "walk_forward": 3},
            "made-up candles are a few days, too few to split: leave the split out, or --made-up",
        ),
        ({"interval": "7minute"}, "interval '7minute' is unknown"),
    ],
)
def test_what_cannot_be_is_one_sentence(asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as refused:
        swept(**asked)
    assert str(refused.value).startswith(sentence)


def test_a_strategy_that_no_other_process_finds_runs_in_this_one_only() -> None:
    class Local(bt.Strategy):
        params = (("fast", 3),)

        def next(self) -> None:
            if len(self) % self.p.fast == 0:
                self.close() if self.position else self.buy(size=1)

    with pytest.raises(ConfigError, match="Local is defined inside a function, where no other process finds it"):
        swept({"fast": "2..4"}, strategy=Local, jobs=2)
    result = swept({"fast": "2..4"}, strategy=Local)
    assert len(result.ranked) == 3
    assert result.command == ""
    assert swept({"fast": "2..4"}, strategy=Local).known == 0, "its source is not known whole"


def test_candles_of_ones_own_can_be_swept_but_not_typed(market: Any) -> None:
    result = swept(source={SYMBOL: market[0][SYMBOL].frame()})
    assert len(result.ranked) == 8
    assert result.command == ""
    assert result.run().trades_digest == result.ranked[0]["trades_digest"]
    with pytest.raises(DataError):
        swept(symbols="NSE:TCS")


def test_a_script_that_is_imported_for_its_strategy_starts_no_second_sweep(tmp_path: Path) -> None:
    script = (tmp_path / "mine.py").read_text()
    script += (
        f'\nimport btkite\nprint(btkite.sweep(Mine, "{SYMBOL}", {{"fast": [2, 3]}}, interval="{INTERVAL}", jobs=2))\n'
    )
    (tmp_path / "script.py").write_text(script)
    process = started("script.py")
    out, err = process.communicate(timeout=100)
    assert "Traceback" not in err
    assert "failed: 2 x " in out
    assert 'a sweep was about to start a sweep: put the call below `if __name__ == "__main__":`' in out
    with pytest.raises(ConfigError, match="a sweep was about to start a sweep"):
        swept(strategy="script.py:Mine")


def test_a_worker_with_another_source_does_not_pretend(tmp_path: Path) -> None:
    plan = btkite.sweeps.prepare(MINE, SYMBOL, SETS, interval=INTERVAL, jobs=2)
    from btkite.sweeps import going
    from btkite.sweeps.material import lay_out

    context = going._context(plan, None)  # type: ignore[arg-type]
    (tmp_path / "mine.py").write_text((tmp_path / "mine.py").read_text() + "\n")
    lay_out(plan.run.candles, tmp_path / "candles")
    key, row = work.work(context, work.Task("k", {"fast": 2}, plan.whole))
    assert key == "k"
    assert "this worker has another" in row["failed"]
    assert row["again"], "another worker may do it"
