"""``house`` runs a strategy on one kind of broker.

Live and paper trade on the simulated exchange, over the wire, in lock step; there the exchange's own book is the
judge.
"""

from __future__ import annotations

from typing import Any

import backtrader as bt
import pytest

from btkite.engine import Cerebro
from btkite.testing import KiteExchange, Outcome, run_strategy
from tests.contract.houses import HOUSES, House


@pytest.fixture(params=HOUSES)
def house(request: pytest.FixtureRequest) -> House:
    kind, _, engine = request.param.partition(" on ")
    if kind in ("paper", "live"):
        exchange: KiteExchange = request.getfixturevalue("kite_exchange")

        def trade(*args: Any, cerebro: Any = None, **kwargs: Any) -> Outcome:
            made = cerebro if cerebro is not None else (bt.Cerebro if engine else Cerebro)(stdstats=False)
            return exchange.run_strategy(*args, mode=kind, cerebro=made, **kwargs)

        return House(request.param, trade, exchange)

    def run(*args: Any, cerebro: Any = None, **kwargs: Any) -> Outcome:
        made = cerebro if cerebro is not None else (bt.Cerebro if engine else Cerebro)(stdstats=False)
        return run_strategy(*args, rule=kind, cerebro=made, **kwargs)

    return House(request.param, run)
