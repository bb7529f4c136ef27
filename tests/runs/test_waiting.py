"""A market that was started for a run waits for it, however fast its clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from btkite.config import Config
from btkite.runs.waiting import set_off_when_live
from tests.runs.scene import go


def test_the_first_bar_of_a_fast_market_is_not_missed(config: Config, begin: datetime) -> None:
    fast = config.with_(**{"exchange.speed": 20_000.0})
    result = go(fast, mode="paper", start=begin, sessions=1)
    assert result.equity["datetime"].iloc[0] == begin + timedelta(hours=9, minutes=30)
    assert result.equity["datetime"].iloc[-1].date() == begin.date()


class Feed:
    LIVE, DELAYED = 8, 3

    class p:
        slot = False


class Slot(Feed):
    class p:
        slot = True


class Listens:
    def __init__(self, *datas: Any) -> None:
        self.datas, self.callbacks = datas, []
        self.adddatacb = self.callbacks.append

    def hears(self, data: Any, status: int) -> None:
        for callback in self.callbacks:
            callback(data, status)


def test_it_sets_off_once_when_the_last_feed_is_live() -> None:
    one, two, off = Feed(), Feed(), []
    cerebro = Listens(one, Slot(), two)
    set_off_when_live(cerebro, lambda: off.append(1))
    for data, status in ((one, Feed.DELAYED), (two, Feed.LIVE), (two, Feed.LIVE)):
        cerebro.hears(data, status)
    assert off == []
    cerebro.hears(one, Feed.LIVE)
    cerebro.hears(one, Feed.LIVE)
    assert off == [1]


def test_slots_are_not_waited_for() -> None:
    off: list[int] = []
    set_off_when_live(Listens(Slot()), lambda: off.append(1))
    assert off == [1]
