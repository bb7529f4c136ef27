"""Feeds' lines that lie where the candles do: nobody sees it, and nobody writes into the candles."""

from __future__ import annotations

import array
import copy
import pickle

import backtrader as bt
import pytest

from btkite.borrowed import Borrowed, is_borrowed
from btkite.engine import Cerebro
from btkite.feed import KiteData
from btkite.series import Candles
from tests.parity.test_equality import ONE

(KEY,) = ONE
PRICES = ONE[KEY].close.tolist()


class Watching(bt.Strategy):
    """Keeps what it has read, and does something at bar 31."""

    def __init__(self) -> None:
        self.average = bt.ind.SMA(self.data.close, period=5)
        self.seen: list[object] = []

    def next(self) -> None:
        if len(self) == 31:
            self.deed()
        data = self.data
        last = data.close.get(ago=-1, size=3)
        assert type(last) is array.array
        self.seen.append((data.close[0], data[0], data.close[-1], list(last), data.close > 0, data.volume[0]))
        assert {type(data.close[0]), type(data.open[0])} == {float}

    def deed(self) -> None:
        """Nothing."""


class Writes(Watching):
    def deed(self) -> None:
        self.data.close[0] = self.data.close[0] + 100.0


class TakesTheBuffer(Watching):
    def deed(self) -> None:
        self.seen.append(self.data.close.array.tolist())
        self.data.close.array[40] = 7.0


def played(strategy, engine):
    cerebro = Cerebro(engine=engine)
    cerebro.adddata(KiteData(dataname=ONE[KEY]))
    cerebro.addstrategy(strategy)
    (ran,) = cerebro.run()
    assert cerebro.engine == engine
    return ran


@pytest.mark.parametrize("strategy", [Watching, Writes, TakesTheBuffer])
def test_a_strategy_sees_the_same_in_both_loops_and_the_candles_stay_as_they_are(strategy):
    fast, stock = played(strategy, "fast"), played(strategy, "stock")
    assert fast.seen == stock.seen
    assert fast.data.close.array == stock.data.close.array
    assert ONE[KEY].close.tolist() == PRICES


def test_a_fast_run_copies_no_line_that_nobody_asks_for():
    data = played(Watching, "fast").data
    assert all(is_borrowed(line) for line in data.lines.lines)
    assert data.close[0] == PRICES[-1]
    assert len(data) == len(PRICES)


def test_backtraders_loop_has_buffers_of_its_own():
    data = played(Watching, "stock").data
    assert {type(line) for line in data.lines.lines} == {bt.linebuffer.LineBuffer}


def test_a_line_becomes_backtraders_when_its_buffer_is_asked_for():
    close = played(Watching, "fast").data.lines.close
    assert type(close) is Borrowed
    assert type(close.array) is array.array
    assert close.array.tolist() == PRICES
    assert type(close) is bt.linebuffer.LineBuffer


@pytest.mark.parametrize("again", [copy.deepcopy, lambda line: pickle.loads(pickle.dumps(line))])
def test_a_copy_of_a_line_has_a_buffer_of_its_own(again):
    close = played(Watching, "fast").data.lines.close
    close._owner = None
    found = again(close)
    found.array[0] = 1.0
    assert type(found) is bt.linebuffer.LineBuffer
    assert close.array.tolist() == ONE[KEY].close.tolist() == PRICES


def test_feeds_with_the_same_stamps_share_them():
    cerebro = Cerebro(engine="fast")
    for key in ("NSE:A", "NSE:B"):
        one = ONE[KEY]
        columns = (one.start.copy(), one.open, one.high, one.low, one.close, one.volume, one.oi)
        cerebro.adddata(KiteData(dataname=Candles(key, one.interval, *columns)))
    cerebro.addstrategy(Watching)
    cerebro.run()
    first, second = (vars(data.lines.datetime)["_column"] for data in cerebro.datas)
    assert first is second
