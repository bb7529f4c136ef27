"""btkite: backtrader with a live Kite store. Public names, loaded when first used.

A strategy is a plain ``bt.Strategy``; :func:`run` takes it through history, paper or live.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._version import __version__

_HOME = {
    "Cerebro": "engine",
    "Continuous": "continuous",
    "ExchangeClock": "clock",
    "KiteBroker": "brokers.kite",
    "KiteData": "feed",
    "KiteStore": "store",
    "RunResult": "report.result",
    "SimBroker": "brokers.sim",
    "SweepResult": "sweeps.result",
    "SystemClock": "clock",
    "load_config": "config",
    "resume": "resuming",
    "run": "runs",
    "sweep": "sweeps",
}

__all__ = [*sorted(_HOME), "__version__"]


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOME:
        raise AttributeError(f"module 'btkite' has no attribute {name!r}")
    attribute = "load" if name == "load_config" else name
    value = getattr(importlib.import_module(f".{_HOME[name]}", __name__), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


if TYPE_CHECKING:
    from .brokers.kite import KiteBroker as KiteBroker
    from .brokers.sim import SimBroker as SimBroker
    from .clock import ExchangeClock as ExchangeClock
    from .clock import SystemClock as SystemClock
    from .config import load as load_config  # noqa: F401 - a public name; __all__ is computed
    from .continuous import Continuous as Continuous
    from .engine import Cerebro as Cerebro
    from .feed import KiteData as KiteData
    from .report.result import RunResult as RunResult
    from .resuming import resume as resume
    from .runs import run as run
    from .store import KiteStore as KiteStore
    from .sweeps import sweep as sweep
    from .sweeps.result import SweepResult as SweepResult
