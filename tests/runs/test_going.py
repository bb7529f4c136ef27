"""A run from start to end: limits, sessions, what it gives back and what it leaves."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

from btkite import runs
from btkite.config import Config
from btkite.risk.gate import KillSwitch
from tests.runs.scene import (
    INTERVAL,
    MODES,
    SYMBOL,
    TOKEN,
    USER,
    WARMUP,
    InAndOut,
    at,
    empty,
    go,
    served,
)


def test_denied_orders_are_the_first_thing_a_result_says(config: Config, begin: datetime) -> None:
    result = go(config.with_(**{"broker.mis_cutoff": "send"}), start=begin, params={"size": 50})
    assert result.denied.startswith(f"{len(result.orders)} of {len(result.orders)} orders denied: max position 10 %")
    assert "(risk.max_position_pct)" in result.denied
    assert result.exit_code == 0


@pytest.mark.parametrize("mode", ["backtest", "live"])
def test_a_passed_loss_limit_is_exit_code_3(config: Config, begin: datetime, mode: str) -> None:
    tight = config.with_(**{"risk.max_portfolio_loss_pct": 0.001})
    result = go(tight, mode=mode, start=begin)
    assert "of the capital are lost, the limit is ₹1.00" in result.halted
    assert result.exit_code == 3


def test_the_kill_switch_stops_entries_and_is_exit_code_3(config: Config, begin: datetime) -> None:
    plan = runs.prepare(InAndOut, SYMBOL, mode="live", interval=INTERVAL, start=begin, config=config, confirm=USER)
    KillSwitch(plan.folder / "kill").engage("test")
    result = plan.go()
    assert set(result.orders["status"]) == {"Rejected"}
    assert "the kill switch is engaged (test)" in result.halted
    assert result.exit_code == 3
    assert go(config, start=begin).exit_code == 0, "history knows no kill switch"


def test_a_run_ends_after_its_sessions(config: Config, begin: datetime) -> None:
    whole, one = go(config, mode="paper", start=begin), go(config, mode="paper", start=begin, sessions=1)
    assert len({moment.date() for moment in whole.equity["datetime"]}) == 2
    assert len({moment.date() for moment in one.equity["datetime"]}) == 1


@pytest.mark.parametrize("mode", ["backtest", "paper", "live"])
def test_a_product_that_the_segment_lacks_is_denied_in_every_mode(config: Config, begin: datetime, mode: str) -> None:
    class Wrong(bt.Strategy):
        given = False

        def next(self) -> None:
            if not self.given:
                self.given = True
                self.buy(size=1, product="NRML")

    result = go(config, Wrong, mode=mode, start=begin)
    assert "NRML is no product of NSE:RELIANCE: use CNC, MIS or MTF" in str(result.orders["denied"].iloc[0])


def test_a_saved_run_leaves_its_folder(config: Config, begin: datetime) -> None:
    result = go(config, mode="paper", start=begin, save=True, report=False)
    assert result.folder is not None
    assert result.folder.parent == Path(config.paths.runs)
    names = {path.name for path in result.folder.iterdir()}
    assert names >= {"config.yaml", "versions.json", "data.json", "orders.csv", "trades.csv", "stats.json", "run.log"}
    assert "report.html" not in names
    kept = json.loads((result.folder / "stats.json").read_text(encoding="utf-8"))
    assert kept["exit_code"] == 0
    assert '"event": "end"' in (result.folder / "run.log").read_text(encoding="utf-8")
    other = go(config, start=begin, save=True, report=False)
    assert other.folder is not None
    hashes = [(one / "data.json").read_text() for one in (result.folder, other.folder)]
    assert hashes[0] == hashes[1] != "{}\n", "the same candles in both modes"


def test_no_secret_is_in_the_folder(config: Config, made: Any) -> None:
    with served(made) as exchange:
        result = go(at(config, exchange), mode="live", save=True)
    assert result.folder is not None
    for path in result.folder.iterdir():
        assert TOKEN.encode() not in path.read_bytes(), path.name


def test_a_run_is_not_kept_unless_asked(config: Config, begin: datetime) -> None:
    assert go(config, start=begin).folder is None
    assert not Path(config.paths.runs).exists()


class OverNight(bt.Strategy):
    """Holds from the first bar of a day to the first of the next one, and then again."""

    params = (("product", None),)

    def next(self) -> None:
        kept = {} if self.p.product is None else {"product": self.p.product}
        first = len(self) == 1 or self.data.datetime.date(0) != self.data.datetime.date(-1)
        if first and not self.position:
            self.buy(size=2, **kept)
        elif len(self.equity) and self.equity[-1] != self.data.datetime.date(0):
            self.close()
        self.equity.append(self.data.datetime.date(0))

    def start(self) -> None:
        self.equity: list[Any] = []


@pytest.mark.parametrize("mode", MODES)
def test_an_intraday_position_held_overnight_does_not_go_unsaid(
    config: Config, begin: datetime, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    result = go(config, OverNight, mode=mode, start=begin)
    assert result.overnight == (
        f"MIS held overnight: 2 {SYMBOL} on {begin:%Y-%m-%d}; Kite squares MIS off before the close, shares at about "
        "15:20: close it earlier, or use product CNC (broker.default_product)"
    )
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert len([line for line in warnings if "held overnight" in line]) == 1
    assert go(config, OverNight, mode=mode, start=begin, params={"product": "CNC"}).overnight == ""
    assert go(config, InAndOut, mode=mode, start=begin, end=begin.date()).overnight == ""


def test_every_night_counts(tmp_path: Path) -> None:
    class Holds(bt.Strategy):
        def next(self) -> None:
            if not self.position:
                self.buy(size=2)

    result = go(empty(tmp_path), Holds, source="made-up")
    assert "(the first of 4 times)" in result.overnight


@pytest.mark.parametrize("mode", MODES)
def test_the_order_list_has_the_product_that_an_order_went_with(config: Config, begin: datetime, mode: str) -> None:
    class Two(bt.Strategy):
        def next(self) -> None:
            if len(self) == WARMUP + 1:
                self.buy(size=1)
            elif len(self) == WARMUP + 3:
                self.close()
            elif len(self) == WARMUP + 5:
                self.buy(size=1, product="CNC")
            elif len(self) == WARMUP + 7:
                self.close()  # takes the product of what it closes
            elif len(self) == WARMUP + 9:
                self.buy(size=10_000)

    result = go(config, Two, mode=mode, start=begin)
    assert list(result.orders["product"]) == ["MIS", "MIS", "CNC", "CNC", "MIS"]
    assert list(result.orders["status"])[-1] == "Rejected"


@pytest.mark.parametrize("symbol", [SYMBOL])
def test_a_day_decided_early_gives_the_same_orders_in_three_modes(tmp_path: Path, symbol: str) -> None:
    class EveryThird(bt.Strategy):
        def next(self) -> None:
            if not self.position:
                self.buy(size=2, product="CNC")
            elif len(self) % 3 == 0:
                self.close()

    early = empty(tmp_path).with_(**{"broker.decide_at": "15:20", "data.warmup": 0})
    given = {"source": "made-up", "interval": "day"}
    found = [go(early, EveryThird, symbol, mode=mode, **given) for mode in MODES]
    fills = list(zip(found[0].orders["created"], found[0].orders["updated"], strict=True))
    assert len(fills) == 3
    for given_at, filled_at in fills:
        assert (given_at.hour, given_at.minute) == (15, 20)
        assert filled_at.date() == given_at.date(), "today's price, not tomorrow's"
    assert len({one.orders_digest for one in found}) == len({one.trades_digest for one in found}) == 1
    late = go(early.with_(**{"broker.decide_at": None}), EveryThird, symbol, **given)
    assert late.orders_digest != found[0].orders_digest
