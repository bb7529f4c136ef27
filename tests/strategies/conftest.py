"""Bars drawn by hand, a stock Cerebro, and strategies loaded as a user does: by file and class."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import backtrader as bt
import pandas as pd
import pytest

from btkite.analyzers import Equity, Orders, Trades

STRATEGIES = Path(__file__).resolve().parents[2] / "strategies"


@pytest.fixture(scope="session")
def load() -> Callable[[str], type[bt.Strategy]]:
    """``load("sma_cross:SmaCross")``."""

    def load(spec: str) -> type[bt.Strategy]:
        file, _, name = spec.partition(":")
        module_name = f"_strategy_{file}"
        if module_name not in sys.modules:
            found = importlib.util.spec_from_file_location(module_name, STRATEGIES / f"{file}.py")
            module = importlib.util.module_from_spec(found)
            sys.modules[module_name] = module
            found.loader.exec_module(module)
        return getattr(sys.modules[module_name], name)

    return load


def frame(rows: list[tuple], start: datetime, step: timedelta) -> pd.DataFrame:
    """Rows of (open, high, low, close) or a close; stamped ``start``, ``start + step`` …"""
    bars = [row if isinstance(row, tuple) else (row, row, row, row) for row in rows]
    table = pd.DataFrame(bars, columns=["open", "high", "low", "close"], dtype="float64")
    table["volume"] = 1000.0
    table["openinterest"] = 0.0
    table.index = pd.DatetimeIndex([start + step * n for n in range(len(bars))])
    return table


@pytest.fixture(scope="session")
def minutes() -> Callable[..., pd.DataFrame]:
    """Minute bars of one day, stamped at their end: the first is 09:16 unless told."""

    def minutes(rows: list, day: str = "2026-11-18", first: str = "09:16") -> pd.DataFrame:
        return frame(rows, datetime.fromisoformat(f"{day} {first}"), timedelta(minutes=1))

    return minutes


@pytest.fixture(scope="session")
def days() -> Callable[..., pd.DataFrame]:
    """Day bars, stamped 15:30, every weekday."""

    def days(rows: list, first: str = "2026-01-01") -> pd.DataFrame:
        table = frame(rows, datetime.fromisoformat(f"{first} 15:30"), timedelta(days=1))
        table.index = pd.bdate_range(first, periods=len(rows)) + pd.Timedelta(hours=15, minutes=30)
        return table

    return days


class Refusing(bt.brokers.BackBroker):
    """backtrader's broker in an account where some orders are refused, as an exchange refuses them."""

    def __init__(self, refuse: Callable[[bt.Order], bool]) -> None:
        super().__init__()
        self.refuse = refuse

    def transmit(self, order: Any, check: bool = True) -> Any:
        orphan = order.parent is not None and order.parent.status == order.Rejected
        if not orphan and not self.refuse(order):
            return super().transmit(order, check=check)
        order.submit(self)
        order.addcomminfo(self.getcommissioninfo(order.data))
        self.orders.append(order)
        order.cancel() if orphan else order.reject(self)
        self.notify(order)
        return order


@dataclass
class Ran:
    """What a run did."""

    strategy: bt.Strategy
    orders: list[dict[str, Any]]
    trades: list[dict[str, Any]]
    equity: list[float]
    positions: list[dict[str, Any]]

    def done(self) -> list[tuple]:
        """(time, side, size, price) of every filled order."""
        return [
            (row["updated"].strftime("%H:%M"), row["side"], row["executed_size"], row["executed_price"])
            for row in self.orders
            if row["status"] == "Completed"
        ]


@pytest.fixture(scope="session")
def play() -> Callable[..., Ran]:
    """Run a strategy over frames on a stock Cerebro."""

    def play(
        strategy: type[bt.Strategy],
        *frames: pd.DataFrame,
        cash: float = 100_000.0,
        refuse: Callable[[bt.Order], bool] | None = None,
        timeframe: int = bt.TimeFrame.Minutes,
        quicknotify: bool = False,
        runonce: bool = True,
        sizer: tuple[type[bt.Sizer], dict] | None = None,
        **params: Any,
    ) -> Ran:
        cerebro = bt.Cerebro(stdstats=False, quicknotify=quicknotify, runonce=runonce)
        if refuse is not None:
            cerebro.broker = Refusing(refuse)
        cerebro.broker.setcash(cash)
        for number, table in enumerate(frames):
            cerebro.adddata(bt.feeds.PandasData(dataname=table, timeframe=timeframe, compression=1), name=f"D{number}")
        if sizer is not None:
            cerebro.addsizer(sizer[0], **sizer[1])
        cerebro.addstrategy(strategy, **params)
        for analyzer in (Orders, Trades, Equity):
            cerebro.addanalyzer(analyzer, _name=analyzer.__name__)
        (ran,) = cerebro.run()
        found = ran.analyzers
        return Ran(
            ran,
            found.Orders.get_analysis(),
            found.Trades.get_analysis(),
            found.Equity.get_analysis()["value"],
            [{"size": ran.getposition(data).size} for data in ran.datas],
        )

    return play


@pytest.fixture(scope="session")
def sees_no_future(play: Callable[..., Ran]) -> Callable[..., None]:
    """Bars after a cut are replaced by wild ones: what was decided up to the cut must not change."""

    def check(strategy: type[bt.Strategy], frames: list[pd.DataFrame], **settings: Any) -> None:
        whole = play(strategy, *frames, **settings)
        assert whole.orders, "a test that watches nothing proves nothing"
        stamps = frames[0].index
        for share in (0.4, 0.6, 0.8):
            cut = stamps[int(len(stamps) * share)]
            altered = []
            for table in frames:
                other = table.copy()
                later = other.index > cut
                other.loc[later, ["open", "high", "low", "close"]] *= 1.7
                altered.append(other)
            again = play(strategy, *altered, **settings)
            assert _decisions(again, cut) == _decisions(whole, cut)

    return check


def _decisions(ran: Ran, until: datetime) -> list[tuple]:
    return [
        (row["created"], row["symbol"], row["side"], row["exectype"], row["size"], row["price"], row["valid"])
        for row in ran.orders
        if row["created"] <= until
    ]
