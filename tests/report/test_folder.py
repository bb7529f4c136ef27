from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pandas as pd
import pytest

from btkite.errors import ConfigError
from btkite.report.folder import RunFolder, folder_name, versions

NOW = datetime(2026, 11, 18, 9, 15, 30)
WHAT = {"now": NOW, "mode": "backtest", "strategy": "SmaCross", "symbols": ["NSE:INFY"]}


def test_the_name_says_when_how_what_and_on_which():
    assert folder_name(NOW, "paper", "Pair", ["NSE:INFY", "NSE:TCS"]) == "20261118-091530-paper-Pair-INFY+1"
    assert folder_name(NOW, "live", "X", ["NFO:NIFTY26NOV25000CE"]).endswith("-live-X-NIFTY26NOV25000CE")
    assert folder_name(NOW, "backtest", "X", ["NSE:M&M"]).endswith("-M_M")
    assert folder_name(NOW, "backtest", "X", []).endswith("-none")


@pytest.mark.parametrize("name", ["../../etc", "a/b", "..", "C:\\x", "x\n"])
def test_no_name_leads_out_of_the_root(tmp_path, name):
    folder = RunFolder.create(tmp_path / "runs", now=NOW, mode="backtest", strategy=name, symbols=[name])
    assert folder.path.parent == tmp_path / "runs"


def test_runs_of_one_second_get_folders_of_their_own(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        folders = list(pool.map(lambda _: RunFolder.create(tmp_path, **WHAT), range(24)))
    assert len({folder.path for folder in folders}) == 24
    assert (tmp_path / "20261118-091530-backtest-SmaCross-INFY").is_dir()
    assert (tmp_path / "20261118-091530-backtest-SmaCross-INFY-24").is_dir()


def test_a_root_that_cannot_be_written_is_said_in_one_sentence(tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(ConfigError, match="cannot be made"):
        RunFolder.create(tmp_path / "runs", **WHAT)


def test_a_finished_folder_has_every_file(made, tmp_path):
    folder = RunFolder.create(tmp_path, **WHAT)
    folder.snapshot(config="mode: backtest\n", data={"NSE:INFY": "ab12"})
    folder.log.write_text("{}\n")
    result = folder.write(made([100_500.0, 100_400.0], [500.0, -100.0], [10.0, 10.0]))
    assert sorted(path.name for path in folder.path.iterdir()) == [
        "config.yaml",
        "data.json",
        "equity.csv",
        "equity.png",
        "orders.csv",
        "report.html",
        "run.log",
        "stats.json",
        "trades.csv",
        "versions.json",
    ]
    assert result.folder == folder.path
    assert json.loads((folder.path / "data.json").read_text()) == {"NSE:INFY": "ab12"}
    page = (folder.path / "report.html").read_text(encoding="utf-8")
    assert "mode: backtest" in page
    assert 'href="run.log"' in page


def test_the_tables_are_whole_and_exact(made, tmp_path):
    folder = RunFolder.create(tmp_path, **WHAT)
    result = folder.write(made([100_000.1 + 0.2, 99_999.9], [1 / 3], [0.1]))
    equity = pd.read_csv(folder.path / "equity.csv", parse_dates=["datetime"])
    assert list(equity["value"]) == list(result.equity["value"])
    assert list(equity["datetime"]) == list(result.equity["datetime"])
    assert list(pd.read_csv(folder.path / "trades.csv")) == list(result.trades)
    orders = pd.read_csv(folder.path / "orders.csv")
    assert orders["price"].isna().all()


def test_stats_json_is_the_result_without_its_tables(made, tmp_path):
    folder = RunFolder.create(tmp_path, **WHAT)
    result = folder.write(made([100_500.0], [500.0]))
    found = json.loads((folder.path / "stats.json").read_text(encoding="utf-8"))
    expected = result.as_dict()
    assert found == {key: expected[key] for key in expected if key not in ("trades", "orders")}
    assert found["folder"] == str(folder.path)


def test_an_empty_run_leaves_a_folder_too(made, tmp_path):
    folder = RunFolder.create(tmp_path, **WHAT)
    folder.write(made())
    assert (folder.path / "stats.json").exists()
    assert not (folder.path / "equity.png").exists()
    assert (folder.path / "trades.csv").read_text().startswith("ref,symbol,")


def test_no_half_written_file_is_left(made, tmp_path):
    folder = RunFolder.create(tmp_path, **WHAT)
    folder.write(made([1.0, 2.0], [1.0]))
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".new")]


def test_versions_are_those_that_decide_an_outcome():
    found = versions()
    assert list(found) == ["python", "backtrader", "kiteconnect", "btkite", "numpy", "pandas"]
    assert found["backtrader"] == "1.9.78.123"
    assert found["btkite"]
