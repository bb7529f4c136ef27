"""What is said before a run."""

from __future__ import annotations

from datetime import datetime

import backtrader as bt

from btkite import runs
from btkite.config import Config
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
