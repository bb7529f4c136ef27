"""Analyzers that sleep through a run: what backtrader would have told them bar by bar is worked out at its end.

Whoever touches one before (a strategy that reads ``self.analyzers.drawdown`` in ``next()``) wakes it: it is
brought up to that moment and from then on called bar by bar, as its own class.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .swap import swap, unswap

_TOLD = frozenset({"_notify_cashvalue", "_notify_fund", "_notify_order", "_notify_trade"})


def _deaf(*args: Any) -> None:
    """What a sleeper makes of news: they are told of later."""


class _Asleep:
    """In front of an analyzer's own class."""

    def __getattribute__(self, name: str) -> Any:
        if name in _TOLD:
            return _deaf
        object.__getattribute__(self, "__dict__")["_alarm"]()
        return getattr(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__getattribute__(self, "__dict__")["_alarm"]()
        setattr(self, name, value)


def fall_asleep(analyzer: Any, alarm: Callable[[], None]) -> None:
    """Until :func:`wake_up`, any touch calls ``alarm``, which must wake it up."""
    analyzer.__dict__["_alarm"] = alarm
    swap(analyzer, _Asleep)


def wake_up(analyzer: Any) -> None:
    """Its own class again."""
    own = object.__getattribute__(analyzer, "__dict__")
    if own.pop("_alarm", None) is not None:
        unswap(analyzer)
