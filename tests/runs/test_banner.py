"""What is said before a run."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import backtrader as bt
import pytest

from btkite import runs
from btkite.config import Config
from btkite.modes import mode
from btkite.runs import banner
from tests.runs.scene import INTERVAL, SYMBOL, InAndOut


class Many(bt.Strategy):
    params = (("fast", 10), ("slow", 30), ("exit", None))


def strategy(config: Config, begin: datetime, kind: type[bt.Strategy], **params: object) -> str:
    plan = runs.prepare(kind, SYMBOL, interval=INTERVAL, start=begin, config=config, params=params)
    return dict(plan.banner())["strategy"]


def test_the_banner_has_all_parameters_those_that_were_given_first(config: Config, begin: datetime) -> None:
    assert strategy(config, begin, Many, slow=20) == "Many(slow=20; default fast=10, exit=None)"
    assert strategy(config, begin, Many) == "Many(default fast=10, slow=30, exit=None)"
    assert strategy(config, begin, InAndOut, size=3) == "InAndOut(size=3)"
    assert strategy(config, begin, bt.Strategy) == "Strategy()"


def test_a_symbol_named_twice_is_traded_once_and_the_banner_says_so(config: Config, begin: datetime) -> None:
    plan = runs.prepare(InAndOut, [SYMBOL, "reliance"], interval=INTERVAL, start=begin, config=config)
    assert dict(plan.banner())["symbols"] == f"{SYMBOL} ({SYMBOL} named more than once, traded once)"
    plan = runs.prepare(InAndOut, [SYMBOL], interval=INTERVAL, start=begin, config=config)
    assert dict(plan.banner())["symbols"] == SYMBOL


@pytest.mark.parametrize(
    ("endpoint", "sessions", "said"), [("kite", None, True), ("kite", 1, False), ("simulator", None, False)]
)
def test_a_run_on_kite_that_outlives_its_token_says_when_that_dies(
    config: Config, begin: datetime, endpoint: str, sessions: int | None, *, said: bool
) -> None:
    plan = runs.prepare(InAndOut, SYMBOL, interval=INTERVAL, start=begin, config=config)
    there = config.with_(**{"broker.kite_connect.endpoint": endpoint, "run.sessions": sessions})
    live = replace(plan, mode=mode("paper"), config=there)
    session = dict(banner.rows(live)).get("session", "")
    assert ("dies on" in session and "at 06:00 IST" in session) is said
