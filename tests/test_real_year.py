"""A year of minutes and five of days, every rule on: no bar is lost, and each session's first and last bar are where
the calendar says."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import backtrader as bt
import pandas as pd
import pytest

from btkite.market.calendar import shipped
from btkite.risk.rules import RULES
from btkite.series import Candles
from btkite.testing import run_strategy
from tests import shared

pytestmark = [pytest.mark.shared, pytest.mark.slow]

EVERY_RULE: dict[str, Any] = {  # wide, so that bars are traded and each is looked at again and again
    "max_position_pct": 50,
    "max_position_value": 60_000,
    "max_position_quantity": 10,
    "max_order_value": 60_000,
    "max_gross_exposure": 90_000,
    "max_gross_exposure_pct": 90,
    "max_net_exposure": 90_000,
    "max_net_exposure_pct": 90,
    "max_open_positions": 3,
    "max_margin_use_pct": 90,
    "price_collar_pct": 20,
    "duplicate_window": 30,
    "max_orders_per_minute": 5,
    "max_daily_trades": 40,
    "max_daily_trades_per_symbol": 40,
    "max_daily_loss": 20_000,
    "max_daily_loss_pct": 20,
    "max_loss_streak": 9,
    "max_drawdown_pct": 90,
    "max_portfolio_loss_pct": 90,
    "reduce_at_pct": 90,
    "allowed_symbols": ["NSE:*"],
    "allowed_products": ["MIS"],
    "allowed_hours": ["09:15-19:15"],
    "no_entries_after": "19:15",
}
GAPS = {date(2022, 1, 21): 13, date(2022, 3, 7): 40}  # minutes that the index's feed lacks


class SeesAll(bt.Strategy):
    """Notes every bar of every feed; trades now and then, so that the rules have something to judge."""

    def __init__(self) -> None:
        self.seen: dict[str, list[datetime]] = {data._name: [] for data in self.datas}

    def next(self) -> None:
        for data in self.datas:
            self.seen[data._name].append(data.datetime.datetime(0))
        traded = self.datas[len(self) % len(self.datas)]
        if len(self) % 50 == 0 and not self.getposition(traded):
            self.buy(traded, size=1)
        elif self.getposition(traded):
            self.close(traded)


def minutes_of_2022() -> Candles:
    frame = pd.read_parquet(shared.need("minute/NIFTY_50_minute_2022.parquet"))
    columns: dict[str, Any] = {name: frame[name].to_numpy() for name in ("open", "high", "low", "close", "volume")}
    return Candles.of(
        "NSE:NIFTY 50", "minute", {"date": frame["date"].dt.tz_localize(None).to_numpy(), **columns}, tidy=True
    )


def test_every_rule_is_on() -> None:
    assert set(RULES) == {f"risk.{name}" for name in EVERY_RULE} - {"risk.reduce_at_pct"}


def judged(outcome: Any) -> None:
    """The rules were asked, and let trades happen."""
    gate = outcome.strategy.broker.gate
    assert gate.judged > gate.denied
    assert {rule.key for rule in gate.rules} >= set(RULES)


def test_every_day_of_the_daily_series_is_seen_at_its_close() -> None:
    folder = shared.ROOT / "data" / "daily"
    symbols = sorted(path.name.removesuffix("_day.csv") for path in folder.glob("*_day.csv")) or ["RELIANCE"]
    series = {f"NSE:{symbol}": shared.days(symbol) for symbol in symbols}
    outcome = run_strategy(SeesAll, series, risk=EVERY_RULE)
    judged(outcome)
    first, last = date(2020, 7, 14), date(2026, 1, 9)
    closes = [session.close for session in shipped().sessions("NSE", first, last)]
    for key, candles in series.items():
        seen = next(times for name, times in outcome.strategy.seen.items() if name == key)
        assert len(seen) == len(candles), key
        assert seen == closes, key


def test_every_minute_of_a_year_is_seen_and_none_is_lost() -> None:
    candles = minutes_of_2022()
    outcome = run_strategy(SeesAll, {"NSE:NIFTY 50": candles}, risk=EVERY_RULE)
    judged(outcome)
    (seen,) = outcome.strategy.seen.values()
    assert len(seen) == len(candles)
    by_day: dict[date, list[datetime]] = {}
    for moment in seen:
        by_day.setdefault(moment.date(), []).append(moment)
    sessions = shipped().sessions("NSE", date(2022, 1, 1), date(2022, 12, 31))
    assert sorted(by_day) == [session.date for session in sessions]
    for session in sessions:
        bars = by_day[session.date]
        assert (bars[0] - session.open).total_seconds() == 60
        assert bars[-1] == session.close
        assert len(bars) == (session.close - session.open).total_seconds() / 60 - GAPS.get(session.date, 0)
