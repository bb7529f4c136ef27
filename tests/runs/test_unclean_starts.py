"""What a run does about the ones before it that ended without a word; on an exchange that serves already."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

import btkite
from btkite import unclean
from btkite.clock import ManualClock, SystemClock
from btkite.config import Config
from btkite.errors import BtkiteError
from btkite.journal import Journal
from tests.runs.scene import SYMBOL, USER, InAndOut, at, go, orders_sent, served


def killed(config: Config, url: str, count: int, market: datetime) -> Path:
    """The account's journal after so many runs that were killed, just now."""
    place = url.removeprefix("http://").replace(":", "-")
    path = Path(config.paths.state) / place / USER / "live" / "journal.sqlite"
    with Journal(path, ManualClock(market)) as journal:
        for _ in range(count):
            unclean.begin(journal, SystemClock().now() - timedelta(seconds=30))
    return path


def test_after_three_of_them_nothing_is_opened_and_the_result_says_why(config, made) -> None:
    with served(made) as exchange:
        here = at(config, exchange)
        killed(here, exchange.url, 3, made[1])
        result = go(here, mode="live", symbols=SYMBOL)
        assert orders_sent(exchange) == []
        assert "UncleanEnds" in result.denied


def test_after_two_of_them_it_trades(config, made) -> None:
    with served(made) as exchange:
        here = at(config, exchange)
        killed(here, exchange.url, 2, made[1])
        go(here, mode="live")
        assert len(orders_sent(exchange)) > 0


def test_btkite_arm_says_what_it_was_and_lets_the_next_run_trade(config, made) -> None:
    with served(made) as exchange:
        here = at(config, exchange)
        killed(here, exchange.url, 3, made[1])
        said = btkite.arm("live", confirm=USER, config=here)
        assert "ended without a word" in str(said)
        go(here, mode="live")
        assert len(orders_sent(exchange)) > 0


def test_an_end_as_planned_is_written_down_and_an_error_of_the_strategy_is_none(config, made) -> None:
    class Fails(InAndOut):
        def next(self) -> None:
            raise ZeroDivisionError("of its own")

    def last_words(path: Path) -> tuple[bool, bool]:
        with Journal(path, SystemClock(), read_only=True) as journal:
            return journal.last("began") is not None, journal.last("ended") is not None

    with served(made) as exchange:
        here = at(config, exchange)
        path = killed(here, exchange.url, 0, made[1])
        go(here, mode="live")
        assert last_words(path) == (True, True)
    with served(made) as exchange:
        here = at(config, exchange)
        path = killed(here, exchange.url, 0, made[1])
        with pytest.raises(BtkiteError, match="of its own"):
            go(here, Fails, mode="live")
        assert last_words(path) == (True, False)
