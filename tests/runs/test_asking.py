"""``btkite.run`` as it is called: the same arguments in three modes, and what is wrong with them."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

import backtrader as bt
import pytest

import btkite
from btkite import runs
from btkite.candles import CandleCache
from btkite.config import Config
from btkite.errors import BtkiteError, ConfigError
from tests.runs.scene import (
    INTERVAL,
    MODES,
    SYMBOL,
    WARMUP,
    InAndOut,
    empty,
    go,
)


def test_the_three_modes_of_one_flag_give_the_same_orders_and_trades(config: Config, begin: datetime) -> None:
    found = [go(config, mode=mode, start=begin) for mode in MODES]
    assert len(found[0].trades) > 5
    assert len({one.orders_digest for one in found}) == 1
    assert len({one.trades_digest for one in found}) == 1
    assert {one.stats["end_value"] for one in found} == {found[0].stats["end_value"]}
    assert [one.mode for one in found] == ["backtest", "paper", "live"]
    assert found[2].engine == "orders on simulator"


def test_without_a_start_the_first_bars_warm_up_in_every_mode(config: Config) -> None:
    found = [go(config, mode=mode) for mode in ("backtest", "paper")]
    first = {one.equity["datetime"].iloc[0] for one in found}
    assert len(first) == 1
    assert len({one.orders_digest for one in found}) == 1
    stored = CandleCache(Path(config.data.cache)).read(SYMBOL, INTERVAL)
    assert len(found[0].equity) == len(stored) - WARMUP


def test_two_symbols_run_together(config: Config, begin: datetime) -> None:
    class Both(InAndOut):
        def next(self) -> None:
            for data in self.datas:
                if not self.getposition(data):
                    self.buy(data, size=2)
                elif len(data) % 4 == 0:
                    self.close(data)

    found = [go(config, Both, [SYMBOL, "INFY", "reliance"], mode=mode, start=begin) for mode in ("backtest", "live")]
    assert found[0].symbols == (SYMBOL, "NSE:INFY")
    assert set(found[0].trades["symbol"]) == {SYMBOL, "NSE:INFY"}
    assert found[0].orders_digest == found[1].orders_digest


def test_a_strategy_named_by_its_file_takes_parameters(config: Config, begin: datetime, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "import backtrader as bt\n\nclass Mine(bt.Strategy):\n    params = (('size', 1),)\n\n"
        "    def next(self):\n        if not self.position:\n            self.buy(size=self.p.size)\n"
    )
    result = go(config, "mine.py:Mine", start=begin, params={"size": 4})
    assert result.strategy == "Mine"
    assert list(result.orders["size"]) == [4]
    with pytest.raises(ConfigError, match="did you mean size"):
        go(config, "mine.py:Mine", params={"siez": 4})


def test_a_backtest_opens_no_socket(config: Config, begin: datetime, socket_disabled: None) -> None:
    assert len(go(config, start=begin).trades) > 5


def shared_minutes(symbol: str) -> Path:
    """A real file of minute candles beside the repository; the test is skipped without it."""
    repository = Path(__file__).resolve().parents[2]
    folder = Path(os.environ.get("BTKITE_SHARED") or repository.parent / "shared") / "data" / "minute"
    found = sorted(folder.glob(f"{symbol}_minute_*.parquet"))
    if not found:
        pytest.skip(f"no minute candles of {symbol} in {folder}")
    return found[0]


@pytest.mark.shared
@pytest.mark.parametrize("symbol", ["RELIANCE", "INFY", "SBIN"])
def test_real_minutes_give_one_answer_in_three_modes(symbol: str, tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.read_parquet(shared_minutes(symbol))
    strategy = Path(__file__).resolve().parents[2] / "strategies" / "sma_cross.py"
    given = {"interval": "minute", "start": "2016-08-22", "end": "2016-08-22", "source": frame, "warmup": 60}
    found = [go(empty(tmp_path), f"{strategy}:SmaCross", symbol, mode=mode, **given) for mode in MODES]
    assert len(found[0].trades) > 3
    assert len({(one.orders_digest, one.trades_digest, one.stats["end_value"]) for one in found}) == 1


def test_a_strategy_that_refuses_its_parameters_is_a_usage_error(config: Config, begin: datetime) -> None:
    class Picky(bt.Strategy):
        def __init__(self) -> None:
            raise ValueError("fast must be below slow")

    class Buggy(bt.Strategy):
        def next(self) -> None:
            raise ValueError("a bug")

    with pytest.raises(ConfigError, match="Picky does not start: fast must be below slow"):
        go(config, Picky, start=begin)
    with pytest.raises(BtkiteError, match=r"Buggy failed at test_asking\.py:\d+ with ValueError: a bug$"):
        go(config, Buggy, start=begin)


def test_a_run_and_its_plan_take_the_same_arguments() -> None:
    import inspect

    ours, plans = inspect.signature(btkite.run), inspect.signature(runs.prepare)
    assert ours.parameters == plans.parameters
    assert ours.return_annotation == "RunResult"
    assert btkite.run.__name__ == "run"
    documented = btkite.run.__doc__ or ""
    assert [name for name in ours.parameters if f"``{name}``" not in documented] == []


@pytest.mark.parametrize(("start", "end"), [("2024-07-05", "2024-07-01"), ("2024-07-05", "2024-07-05 00:00")])
def test_a_range_that_is_empty_is_told_as_it_was_written(config: Config, start: str, end: str) -> None:
    with pytest.raises(ConfigError) as refused:
        go(config, start=start, end=end)
    assert str(refused.value) == f"the range from {start} to {end} is empty: the end must come after the start"
