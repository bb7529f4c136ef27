"""Whom a run tells what: alerts by the configuration alone, received by a real HTTP server on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import backtrader as bt
import pytest

from btkite.config import Config
from btkite.errors import BtkiteError
from tests.receiver import Receiver
from tests.runs.scene import MODES, SYMBOL, WARMUP, go


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


@pytest.fixture
def told(config: Config, receiver: Receiver) -> Config:
    return config.with_(**{"alerts.urls": [receiver.url]})


class AsksTooMuch(bt.Strategy):
    """One order that the gate denies and one that it lets through."""

    def next(self) -> None:
        if len(self) == WARMUP + 2:
            self.buy(size=1)
            self.buy(size=50)


class Fails(bt.Strategy):
    def next(self) -> None:
        if len(self) == WARMUP + 2:
            raise ZeroDivisionError("no volume")


def shape(got: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["title"], one["type"]) for one in got]


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_a_denied_order_is_told_with_the_order_and_the_limit(
    told: Config, receiver: Receiver, begin: datetime, mode: str
) -> None:
    result = go(told, AsksTooMuch, mode=mode, start=begin, sessions=1)
    assert list(result.orders["status"]) == ["Completed", "Rejected"]
    summary = (f"AsksTooMuch ({mode}): the day {begin:%d %b %Y}", "info")
    assert shape(receiver.got) == [(f"AsksTooMuch ({mode}): order denied", "warning"), summary]
    message = receiver.got[0]["message"]
    assert f"50 {SYMBOL}" in message
    assert str(result.orders["denied"].iloc[1]) in message
    assert "(risk.max_position_pct)" in message


@pytest.mark.parametrize("mode", ["paper", "live"])
def test_a_run_that_fails_is_told_with_its_error(told: Config, receiver: Receiver, begin: datetime, mode: str) -> None:
    with pytest.raises(BtkiteError, match="no volume") as failure:
        go(told, Fails, mode=mode, start=begin, sessions=1)
    assert shape(receiver.got) == [(f"Fails ({mode}): the run failed", "failure")]
    assert str(failure.value) in receiver.got[0]["message"]


@pytest.mark.parametrize("strategy", [AsksTooMuch, Fails])
def test_history_tells_nobody(told: Config, receiver: Receiver, begin: datetime, strategy: type[bt.Strategy]) -> None:
    try:
        go(told, strategy, mode=MODES[0], start=begin)
    except BtkiteError:
        assert strategy is Fails
    assert receiver.got == []
