"""Why a run cannot take the fast loop: the first thing that is not proven equal to backtrader's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import backtrader as bt
from backtrader.feed import AbstractDataBase, DataClone

from ..borrowed import numbers
from ..brokers.sim import SimBroker
from ..feed import KiteData
from . import barrule, pathrule
from .swap import class_of
from .timeline import in_order, is_plain

_STEPS = (
    "_oncepost", "_once", "_oncepost_open", "_getminperstatus", "_next_analyzers", "_next_observers", "clear",
    "forward", "advance", "home", "reset", "_addnotification",
)  # fmt: skip
_MOVES = {
    "advance": (AbstractDataBase.advance, DataClone.advance),
    "advance_peek": (AbstractDataBase.advance_peek, KiteData.advance_peek),
    "_tick_fill": (AbstractDataBase._tick_fill, KiteData._tick_fill),
    "_tick_nullify": (AbstractDataBase._tick_nullify,),
    "home": (bt.feed.DataBase.home,),
}


def why_not(cerebro: Any, strategies: Sequence[Any]) -> str:
    """One sentence, or empty if the fast loop serves."""
    if not strategies:
        return "no strategy was made"
    for strategy in strategies:
        own = [name for name in _STEPS if getattr(type(strategy), name) is not getattr(bt.Strategy, name)]
        if own:
            return f"{type(strategy).__name__} has its own {own[0]}()"
        if strategy._oldsync:
            return "oldsync is on"
    for data in cerebro.datas:
        cls = class_of(data)
        moves = [name for name, known in _MOVES.items() if getattr(cls, name) not in known or name in data.__dict__]
        if moves:
            return f"{cls.__name__} has its own {moves[0]}()"
        names = data.lines._getlines()
        if len(set(names)) < len(names):  # backtrader's, of a class with several bases
            return f"{cls.__name__} has two lines of one name"
        if not len(numbers(data.lines.datetime)) or not data.buflen():
            return f"{data._name or cls.__name__} has no bars"
        if not in_order(data):
            return f"{data._name or cls.__name__} has bars that are not later than the one before"
        if not is_plain(data):
            return f"{data._name or cls.__name__} has prices that are no numbers"
    broker = cerebro._broker
    if type(broker) in barrule.KINDS:
        return barrule.refuses(broker)
    if type(broker) is SimBroker:
        return pathrule.refuses(broker, cerebro.datas)
    return f"{type(broker).__name__} is not one of the brokers whose turns are known"
