"""Tests of strategies in three lines: canned bars, ``run_strategy``, a simulated exchange, a pytest plugin.

::

    def test_it_buys_the_breakout(bars, run_strategy):
        outcome = run_strategy(MyStrategy, bars("breakout"))
        assert [trade.side for trade in outcome.trades] == ["LONG"]

Everything is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

_HOME = {
    "Bars": "canned",
    "KiteExchange": "wire",
    "Outcome": "outcome",
    "Steering": "steering",
    "SteeringError": "steering",
    "bars": "canned",
    "run_strategy": "run",
    "plain_config": "run",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOME:
        raise AttributeError(f"module 'btkite.testing' has no attribute {name!r}")
    value = globals()[name] = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    return value


def __dir__() -> list[str]:
    return __all__


if TYPE_CHECKING:
    from .canned import Bars as Bars
    from .canned import bars as bars
    from .outcome import Outcome as Outcome
    from .run import plain_config as plain_config
    from .run import run_strategy as run_strategy
    from .steering import Steering as Steering
    from .steering import SteeringError as SteeringError
    from .wire import KiteExchange as KiteExchange
