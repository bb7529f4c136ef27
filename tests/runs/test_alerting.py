"""Which events of a run become alerts, that none of them is in the way of trading, and what is kept of them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest
from typer.testing import CliRunner

from btkite.alerts.history import kept
from btkite.cli.app import app
from btkite.config import Config
from btkite.errors import ConfigError
from btkite.runs.alerting import kind_of
from tests.receiver import BlackHole, Receiver
from tests.runs.scene import MODES, SYMBOL, USER, WARMUP, InAndOut, go


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


def history(config: Config) -> list[dict[str, Any]]:
    """Of the only account there is."""
    (path,) = Path(config.paths.state).glob("**/alerts.jsonl")
    return kept(path)


class Halts(InAndOut):
    """Its gate is halted at the tenth bar, and armed again at the fourteenth."""

    def next(self) -> None:
        if len(self) == WARMUP + 10:
            self.broker.gate.reduce_only("enough for now")
        if len(self) == WARMUP + 14:
            self.broker.gate.resume()
        super().next()


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_fills_closed_trades_the_gate_and_the_day_are_told(
    config: Config, receiver: Receiver, begin: datetime, mode: str
) -> None:
    told = config.with_(**{"alerts.urls": [receiver.url], "alerts.level": "info", "alerts.per_minute": 1000})
    result = go(told, Halts, mode=mode, start=begin, sessions=1)
    rows = history(told)
    assert [row["title"] for row in rows if row["became"] == "delivered"] == [got["title"] for got in receiver.got]
    assert {row["became"] for row in rows} <= {"delivered", "repeated"}
    fills = [row for row in rows if row["kind"] == "trade" and "filled" in row["title"]]
    closed = [row for row in rows if row["kind"] == "trade" and "closed" in row["title"]]
    assert len(fills) == int((result.orders["executed_size"] != 0).sum()) > 4
    assert len(closed) == len(result.trades) > 2
    gate = [row["title"].partition(": ")[2] for row in rows if row["kind"] == "risk"]
    assert gate == ["the gate is REDUCING", "the gate is ACTIVE"]
    (summary,) = [row for row in rows if row["kind"] == "summary"]
    assert f"{begin:%d %b %Y}" in summary["title"]
    assert f"{len(fills)} orders filled" in summary["body"]
    assert f"{len(closed)} trades closed" in summary["body"]
    assert result.portfolio is not None
    assert f"{result.portfolio.total_value:,.2f}"[-6:] in summary["body"]
    counted = {kind: sum(row["kind"] == kind for row in rows) for kind in ("trade", "risk", "summary")}
    assert {kind: result.alerts[kind] for kind in counted} == counted


def test_a_run_tells_nobody_of_what_is_below_the_level_and_keeps_it(config: Config, begin: datetime) -> None:
    go(config, mode="paper", start=begin, sessions=1)
    rows = history(config)
    assert {row["kind"] for row in rows} == {"trade", "summary"}
    assert {row["became"] for row in rows} == {"logged"}


@pytest.mark.parametrize("kind", ["dead", "black hole"])
def test_an_address_that_does_not_answer_changes_nothing_and_holds_up_nothing(
    config: Config, begin: datetime, kind: str
) -> None:
    quiet = go(config, mode="live", start=begin, sessions=1)
    hole, gone = BlackHole(), Receiver()
    gone.close()
    url = hole.url if kind == "black hole" else gone.url
    there = config.with_(**{"alerts.urls": [url], "alerts.level": "info", "alerts.dedupe": 0})
    began = time.monotonic()
    try:
        told = go(there, mode="live", start=begin, sessions=1)
    finally:
        hole.close()
    assert time.monotonic() - began < 60  # of which five seconds for what still waited; a queue each would be minutes
    for frame in ("orders", "trades", "equity"):
        mine, theirs = getattr(quiet, frame), getattr(told, frame)
        drop = [name for name in ("ref", "parent", "tag") if name in mine]
        assert mine.drop(columns=drop).equals(theirs.drop(columns=drop)), frame
    assert told.alerts == quiet.alerts
    if kind == "dead":
        became = [row["became"] for row in history(there)]
        assert set(became) <= {"logged", "failed", "dropped", "sent"}
        assert became.count("sent") <= 1  # what was on its way when the time was up
        assert "dropped" in became


def test_what_an_alert_trips_over_does_not_end_the_run(
    config: Config, begin: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any, **kwargs: Any) -> bool:
        raise RuntimeError("no words")

    monkeypatch.setattr("btkite.alerts.Alerts.send", broken)
    result = go(config, mode="live", start=begin, sessions=1)
    assert len(result.trades) > 2
    assert result.stopped == ""


class Cut(InAndOut):
    """The stream is cut under it."""

    def next(self) -> None:
        if len(self) == WARMUP + 5:
            self.datas[0]._store.stream.reconnect("of the test")
        super().next()


def test_a_cut_stream_is_told_and_that_it_is_there_again(config: Config, begin: datetime) -> None:
    go(config, Cut, mode="live", start=begin, sessions=1)
    titles = [row["title"].partition(": ")[2] for row in history(config) if row["kind"] == "disconnect"]
    assert titles[:2] == ["the stream is cut", "the stream is there again"]


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("session lost", "token"), ("feed silent", "disconnect"), ("FeedSilent NSE:INFY", "disconnect"),
        ("Calendar 2027-01-01", "calendar"), ("square-off", "square-off"), ("kill waits 3", "risk"),
        ("stuck the square-off NSE:INFY", "square-off"), ("stuck the kill switch A:B", "risk"),
        ("foreign NSE:INFY", "order"), ("unresolved 7", "order"), ("UncleanEnds", "run"),
    ],
)  # fmt: skip
def test_a_key_says_what_an_alert_is_about(key: str, kind: str) -> None:
    assert kind_of(key) == kind


def test_the_portfolio_of_a_result_is_the_same_in_all_modes(config: Config, begin: datetime) -> None:
    class Leaves(bt.Strategy):
        def next(self) -> None:
            if len(self) in (WARMUP + 2, WARMUP + 20):
                self.buy(size=3, product="CNC")
            if len(self) == WARMUP + 9:
                self.sell(size=1)

    found = {}
    for mode in MODES:
        result = go(config, Leaves, mode=mode, start=begin, **({} if mode == "backtest" else {"sessions": 2}))
        assert result.portfolio is not None
        found[mode] = asdict(replace(result.portfolio, margins=replace(result.portfolio.margins, kite=None)))
        assert json.loads(result.to_json())["portfolio"] == {
            **result.portfolio.as_dict(), "lines": list(result.portfolio.as_dict()["lines"]),
        }  # fmt: skip
    assert found["backtest"] == found["paper"] == found["live"]
    (line,) = found["backtest"]["lines"]
    assert (line["symbol"], line["product"], line["quantity"]) == (SYMBOL, "CNC", 5)


def test_btkite_alerts_shows_filters_and_counts(config: Config, begin: datetime, tmp_path: Path) -> None:
    go(config, mode="paper", start=begin, sessions=1)
    (tmp_path / "config.yaml").write_text(
        f"paths:\n  state: {config.paths.state}\nbroker:\n  kite_connect:\n    endpoint: simulator\n"
        f"    user_id: {USER}\n",
        encoding="utf-8",
    )

    def asked(*words: str) -> Any:
        return CliRunner().invoke(app, ["alerts", *words])

    shown = asked()
    assert shown.exit_code == 0, shown.output
    rows = history(config)
    assert f"{len(rows)} alerts: trade {len(rows) - 1}, summary 1" in shown.output
    one = asked("--kind", "summary", "--json")
    found = json.loads(one.output)
    assert [row["kind"] for row in found["alerts"]] == ["summary"]
    assert (found["alerts"][0]["mode"], found["alerts"][0]["account"]) == ("paper", USER)
    assert found["summary"]["total"] == 1
    assert json.loads(asked("--summary", "--json").output).keys() == {"summary"}
    assert len(json.loads(asked("-n", "3", "--json").output)["alerts"]) == 3
    assert "no alert is known" in asked("--level", "critical").output
    assert "no alert is known" in asked("--mode", "live").output
    assert asked("--since", f"{begin.year + 1}-01-01").output == asked("--level", "error").output
    for words in (["--kind", "nonsense"], ["--level", "loud"], ["--since", "soon"], ["--test"]):
        assert isinstance(asked(*words).exception, ConfigError), words


def test_btkite_alerts_test_tries_each_address_and_shows_none(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = Receiver()
    gone.close()
    token = "s3cr3tTok3nOfAChannel43"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BTKITE_ALERTS__URLS", f"{receiver.url}{token}/ {gone.url}{token}/")
    monkeypatch.setenv("BTKITE_PATHS__STATE", str(tmp_path / "state"))
    found = CliRunner().invoke(app, ["alerts", "--test"])
    assert found.exit_code == 1
    assert found.output.splitlines()[-2:] == [
        "alerts.urls[0] (json): delivered",
        "alerts.urls[1] (json): not delivered",
    ]
    assert token not in found.output
    assert [got["title"] for got in receiver.got] == ["btkite: a test"]
