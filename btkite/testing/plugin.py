"""The pytest plugin: fixtures for strategy tests. Costs nothing until one of them is used.

``bars`` and ``run_strategy`` make a strategy test three lines; ``kite_exchange`` is a simulated exchange that
speaks Kite's wire, for tests of paper and live. Nothing heavy is imported before a fixture is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .canned import Bars
    from .outcome import Outcome
    from .wire import KiteExchange


@pytest.fixture(scope="session")
def bars() -> Bars:
    """Canned bars: ``bars("uptrend")``, ``bars.from_closes([...])``, ``bars.from_csv(path)``."""
    from .canned import bars

    return bars


@pytest.fixture(scope="session")
def run_strategy() -> Callable[..., Outcome]:
    """``run_strategy(MyStrategy, bars("uptrend"), fast=3)`` runs a backtest and tells what came of it."""
    from .run import run_strategy

    return run_strategy


@pytest.fixture(scope="session")
def _kite_exchange_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KiteExchange]:
    """One server for all tests of this process; starting one takes a while, a reset does not."""
    from .wire import KiteExchange

    with KiteExchange(tmp_path_factory.mktemp("kite_exchange")) as started:
        yield started


@pytest.fixture
def kite_exchange(_kite_exchange_server: Any) -> KiteExchange:
    """A started simulated exchange on a free port, fresh for each test: ``.reset("uptrend")``, ``.config()``,
    ``.run_strategy(MyStrategy, mode="live")``, ``.steer.arm("html_502")``."""
    exchange: KiteExchange = _kite_exchange_server
    exchange.reset()
    return exchange
