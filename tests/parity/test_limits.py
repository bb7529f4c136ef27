"""With limits on, made-up strategies are the same in all modes, and nothing that was let through breaks a limit."""

from __future__ import annotations

import os
from collections import defaultdict
from datetime import date, datetime
from typing import Any

import backtrader as bt
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from btkite.brokers.record import Record
from btkite.clock import ManualClock
from btkite.config import Config
from btkite.engine import Cerebro
from btkite.journal import Journal
from btkite.modes import MODES
from btkite.store import KiteStore
from tests.parity import three
from tests.parity.scripted import Scripted, answers, candles, scripts
from tests.parity.three import FREE, assert_same, run

SOAK = bool(os.environ.get("BTKITE_SOAK"))
EXAMPLES = int(os.environ.get("BTKITE_EXAMPLES", 300 if SOAK else 25))
FEW = {
    "phases": (Phase.explicit, Phase.generate),
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large],
    "deadline": None,
}
KEYS = ("NSE:AAA", "NSE:BBB")
DAY = datetime(2024, 7, 1)
OFF = {"max_position_pct": 100.0, "max_portfolio_loss_pct": 100.0, "max_daily_trades": None}
CHOICES = {
    "max_position_quantity": [4, 7],
    "max_position_value": [300.0, 650.0],
    "max_gross_exposure": [400.0, 900.0],
    "max_net_exposure": [300.0, 700.0],
    "max_open_positions": [1],
    "max_daily_trades": [2, 4],
    "max_daily_trades_per_symbol": [1, 2],
    "max_orders_per_minute": [1, 2],
    "duplicate_window": [60, 121],
    "price_collar_pct": [0.05, 0.3],
    "max_loss_streak": [1, 2],
    "loss_streak_pause": [3, 45],
    "max_daily_loss": [0.2, 1.0],
    "max_drawdown_pct": [0.0005, 0.002],
    "reduce_at_pct": [50],
    "on_daily_loss": ["keep", "flatten"],
    "on_halt": ["keep", "flatten"],
    "allowed_hours": [("09:15-09:25",), ("09:18-09:20", "09:22-15:30")],
    "no_entries_after": ["09:24"],
    "allowed_symbols": [("NSE:A*",)],
}
some_limits = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in CHOICES.items()})


class Limited(Scripted):
    """Looks, at every word, at what is held and at what has opened it."""

    params = (("limits", {}), ("opened", None), ("until", None))

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, float] = {}

    def notify_order(self, order: Any) -> None:
        self.look(order)
        super().notify_order(order)

    def next(self) -> None:
        self.look(None)
        super().next()
        if len(self) == self.p.until:
            self.env.runstop()

    def look(self, order: Any) -> None:
        limits, held = self.p.limits, {data._name: self.getposition(data).size for data in self.datas}
        if order is not None and order.executed.size:
            key = order.info.instrument
            if abs(held[key]) > abs(self.before.get(key, 0)):
                day = bt.num2date(order.executed.dt + 1e-9).date()
                head = order.parent.ref if order.parent is not None else order.ref
                self.p.opened[day].add((key, self.broker.groups.leader(head) or head))
        self.before = held
        assert max(map(abs, held.values())) <= limits.get("max_position_quantity", 1e9)
        assert sum(map(bool, held.values())) <= limits.get("max_open_positions", 1e9)


def entries_hold(limits: dict[str, Any], opened: dict[date, set[Any]]) -> None:
    """No day has more entries than it may; one that works over night counts on both."""
    for day in opened.values():
        assert len({head for _, head in day}) <= (limits.get("max_daily_trades") or 1e9)
        for key in KEYS:
            assert sum(one == key for one, _ in day) <= limits.get("max_daily_trades_per_symbol", 1e9)


def keys_of(limits: dict[str, Any]) -> dict[str, Any]:
    return {"risk.enabled": True} | {f"risk.{name}": value for name, value in {**OFF, **limits}.items()}


made_up = given(
    first=candles(KEYS[0]), second=candles(KEYS[1]), script=scripts(40), on_fill=answers(), limits=some_limits
)


def goes(mode: str, given: Any, exchange: Any, tmp_path: Any) -> Any:
    first, second, script, on_fill, limits = given
    opened: dict[date, set[Any]] = defaultdict(set)
    params = {"script": script, "on_fill": on_fill, "limits": limits, "opened": opened}
    series = dict(zip(KEYS, (first, second), strict=True))
    outcome = run(mode, Limited, series, DAY, exchange, tmp_path, config=keys_of(limits), params=params)
    entries_hold(limits, opened)
    return outcome


@settings(max_examples=6 * EXAMPLES, **FEW)
@made_up
def test_nothing_that_is_let_through_breaks_a_limit(first, second, script, on_fill, limits):
    goes("backtest", (first, second, script, on_fill, limits), None, "unused")


@pytest.mark.slow
def test_limits_say_the_same_in_all_modes(exchange, tmp_path):
    denied = 0

    @settings(max_examples=EXAMPLES, **FEW)
    @made_up
    def test(first, second, script, on_fill, limits):
        nonlocal denied
        flow = first, second, script, on_fill, limits
        outcomes = {mode: goes(mode, flow, exchange, tmp_path) for mode in MODES}
        assert_same(outcomes)
        states = [one.broker.ledger.state() for one in outcomes.values()]
        for name in ("peak", "day_start_value", "streak", "latched", "stopped", "realized"):
            assert states[0][name] == states[1][name] == states[2][name], name
        denied += outcomes["live"].broker.gate.denied

    test()
    assert denied > 0


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["paper", "live"])
def test_nothing_breaks_a_limit_over_restarts(exchange, tmp_path, mode):
    lives = 0

    @settings(max_examples=max(5, EXAMPLES // 3), **FEW)
    @given(
        first=candles(KEYS[0]),
        second=candles(KEYS[1]),
        parts=st.lists(scripts(12), min_size=2, max_size=3),
        limits=some_limits,
    )
    def test(first, second, parts, limits):
        nonlocal lives
        lives += 1
        series = dict(zip(KEYS, (first, second), strict=True))
        exchange.reset(three.settings(series, datetime(2024, 7, 1, 9)))
        config = Config().with_(
            **{**FREE, **keys_of(limits), "data.cache": str(tmp_path), "broker.kite_connect.endpoint": exchange.url}
        )
        opened: dict[date, set[Any]] = defaultdict(set)
        for number, script in enumerate(parts):
            last = number == len(parts) - 1
            with Journal(tmp_path / f"journal{lives}.sqlite", ManualClock(DAY)) as journal:
                store = KiteStore(mode=mode, config=config, confirm="SIM001", cache=str(tmp_path))
                engine = Cerebro(stdstats=False)
                for key in KEYS:
                    engine.adddata(store.getdata(key, interval="minute", name=key))
                engine.setbroker(store.getbroker(record=Record(journal)))
                engine.addstrategy(Limited, script=script, limits=limits, opened=opened, until=None if last else 13)
                engine.run()
        entries_hold(limits, opened)

    test()
