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
from btkite.journal import AccountLock, Journal
from btkite.resuming import shut
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


def test_btkite_resume_says_what_it_was_and_lets_the_next_run_trade(config, made) -> None:
    with served(made) as exchange:
        here = at(config, exchange)
        killed(here, exchange.url, 3, made[1])
        said = btkite.resume("live", reason="seen", confirm=USER, config=here)
        assert "ended without a word" in str(said)
        go(here, mode="live")
        assert len(orders_sent(exchange)) > 0


class Fails(InAndOut):
    def next(self) -> None:
        raise ZeroDivisionError("of its own")


def begun(path: Path) -> tuple[int, list[str]]:
    """How many unclean ends the last run found when it began, and why it ended; nothing if it has not said so."""
    with Journal(path, SystemClock(), read_only=True) as journal:
        began, ended = journal.last("began"), journal.last("ended")
        assert began is not None
        said = [str(ended.data["why"])] if ended is not None and ended.seq > began.seq else []
        return len(began.data["unclean"]), said


def test_an_end_as_planned_is_written_down(config, made) -> None:
    with served(made) as exchange:
        here = at(config, exchange)
        path = killed(here, exchange.url, 0, made[1])
        go(here, mode="live")
        assert begun(path) == (0, ["as planned"])


def test_errors_of_the_strategy_are_no_ends_without_a_word(config, made) -> None:
    """A mistake in next() that ends run after run does not pause entries once it is mended; a kill before it counts."""
    with served(made) as exchange:
        here = at(config, exchange)
        path = killed(here, exchange.url, 1, made[1])
        for _ in range(3):
            with pytest.raises(BtkiteError, match="of its own"):
                go(here, Fails, mode="live")
            count, why = begun(path)
            assert count == 1
            assert "of its own" in why[0]
        result = go(here, mode="live", symbols=SYMBOL)
        assert "UncleanEnds" not in result.denied


def test_while_a_run_goes_on_it_is_not_said_to_have_ended(config, made) -> None:
    with served(made) as exchange:
        here = at(config, exchange)
        path = killed(here, exchange.url, 3, made[1])
        with AccountLock(path.with_name("lock"), SystemClock()):
            assert not shut("live", config=here)
        assert "the last 3 runs" in shut("live", config=here).unclean
