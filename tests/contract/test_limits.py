"""The contract of limits: each of them, on each kind of broker, on the same bars, to the same second.

At its limit an order passes, a tick, a unit or a second beyond it none does; a change is judged like the order that it
would make; what reduces passes; and a restart forgets nothing. Live, the exchange's own book is the judge.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import backtrader as bt
import pytest

from btkite.brokers.record import Record
from btkite.clock import ManualClock
from btkite.engine import Cerebro
from btkite.journal import Journal
from btkite.risk.rules import RULES
from btkite.testing import KiteExchange
from btkite.testing import bars as canned
from tests.contract.houses import House

Order = bt.Order
TEST, OTHER = "NSE:TEST", "NSE:OTHER"
CASH = 1_000_000.0
FLAT = [(100.0, 100.0, 100.0, 100.0)] * 12
FALLS = [(100.0, 100.0, 100.0, 100.0)] * 4 + [(100.0, 100.0, 99.0, 99.0), (99.0, 99.0, 98.95, 98.95)]
FALLS += [(98.95, 98.95, 98.95, 98.95)] * 6
"""1 ₹ in the fifth bar, a tick more in the sixth."""
SINKS = [(100.0 - n, 100.0 - n, 99.0 - n, 99.0 - n) for n in range(12)]
Act = Callable[["Scripted"], Any]


class Scripted(bt.Strategy):
    """``plan``: minutes since the open → acts; what each gave is kept in ``found``, whatever run it was in."""

    params = (("plan", {}), ("found", None), ("until", None))

    def next(self) -> None:
        now = self.datetime.datetime(0)
        minute = (now.hour - 9) * 60 + now.minute - 15
        for act in self.p.plan.get(minute, ()):
            self.p.found.append(act(self))
        if minute == self.p.until:
            self.env.runstop()

    def restored(self, orders: Any, position: Any) -> None:
        self.kept = orders


def buy(size: int = 1, price: float = 0.0, to: int = 0, **more: Any) -> Act:
    return _order("buy", size, price, to, more)


def sell(size: int = 1, price: float = 0.0, to: int = 0, **more: Any) -> Act:
    return _order("sell", size, price, to, more)


def _order(way: str, size: int, price: float, to: int, more: Mapping[str, Any]) -> Act:
    limit = {"exectype": Order.Limit, "price": price} if price else {}
    return lambda s: getattr(s, way)(data=s.datas[to], size=size, **limit, **more)


def change(number: int, **to: Any) -> Act:
    """Of the order that act ``number`` gave."""
    return lambda s: s.broker.modify(s.p.found[number], **to)


@dataclass(frozen=True)
class Case:
    """``plan``: what is given in which minute, and whether it passes. ``cut``: the minute after which a restart may
    come. ``cancelled``: acts whose orders the gate takes back."""

    limit: Any
    plan: Mapping[int, list[tuple[Act, bool]]]
    cut: int
    rows: Any = field(default_factory=lambda: FLAT)
    more: Mapping[str, Any] = field(default_factory=dict)
    cancelled: tuple[int, ...] = ()

    @property
    def expected(self) -> list[bool]:
        return [passes for minute in sorted(self.plan) for _, passes in self.plan[minute]]


CLOSES = [(sell(100), True)]
A_LOSS: Any = {
    2: [(buy(1000), True), (buy(1, 95.0, to=1), True)],
    5: [(buy(1, 94.0, to=1), True)],
    6: [(buy(1, 93.0, to=1), False)],
    7: [(change(1, size=2), False), (sell(1000), True)],
    9: [(buy(), False)],
}
ONE_PERCENT = {
    2: [(buy(50), True), (buy(50, 99.9), True), (buy(1, 95.0), False)],
    3: [(change(1, price=99.95), True), (change(1, size=51), False)],
    4: [(sell(50), True)],
}
CASES = {
    "risk.max_position_pct": Case(1, {2: [(buy(100), True)], 4: [(buy(1, 95.0), False), *CLOSES]}, 3),
    "risk.max_position_value": Case(10_000, {2: [(buy(100), True)], 4: [(buy(1, 95.0), False), *CLOSES]}, 3),
    "risk.max_position_quantity": Case(100, ONE_PERCENT, 2),
    "risk.max_order_value": Case(
        10_000,
        {
            2: [(buy(100), True), (buy(101), False), (buy(100, 95.0, to=1), True)],
            4: [(change(2, size=105), True), (change(2, size=106), False), (sell(100), True)],
        },
        3,
    ),
    "risk.max_gross_exposure": Case(
        10_000,
        {2: [(buy(50), True), (sell(50, to=1), True)], 4: [(buy(1, 95.0), False), (sell(50), True), (buy(1), False)]},
        3,
    ),
    "risk.max_gross_exposure_pct": Case(
        1, {2: [(buy(50), True), (sell(50, to=1), True)], 4: [(sell(1, 101.0, to=1), False), (sell(50), True)]}, 3
    ),
    "risk.max_net_exposure": Case(
        10_000,
        {2: [(buy(100), True), (buy(1, to=1), False)], 4: [(sell(100, to=1), True), (buy(1, 95.0), False), *CLOSES]},
        3,
    ),
    "risk.max_net_exposure_pct": Case(
        1,
        {2: [(sell(100), True), (sell(1, to=1), False)], 4: [(buy(100, to=1), True), (sell(1, 101.0), False)]},
        3,
    ),
    "risk.max_open_positions": Case(
        1, {2: [(buy(), True), (buy(to=1), False)], 4: [(buy(1, 95.0), True), (buy(to=1), False), (sell(), True)]}, 3
    ),
    "risk.max_margin_use_pct": Case(1, {2: [(buy(100), True)], 4: [(buy(1, 95.0, to=1), False), *CLOSES]}, 3),
    "risk.price_collar_pct": Case(
        5,
        {
            2: [(buy(1, 95.0), True), (buy(1, 94.95), False), (buy(1, to=1), True)],
            3: [(change(0, price=94.95), False), (change(0, price=95.05), True)],
            4: [(sell(1, 110.0, to=1), True), (sell(1, 110.0, to=1), False)],
        },
        3,
    ),
    "risk.duplicate_window": Case(
        61,
        {
            2: [(buy(1, 95.0), True), (buy(1, 95.0), False), (buy(2, 95.0), True)],
            3: [(buy(1, 95.0), False)],
            4: [(buy(1, 95.0), True)],
        },
        2,
    ),
    "risk.max_orders_per_minute": Case(
        2,
        {
            2: [(buy(1), True), (buy(1, 95.0), True), (buy(1, 94.0), False)],
            3: [(change(1, price=96.0), True), (sell(), True), (change(1, price=95.0), False)],
            4: [(buy(1), True)],
        },
        2,
    ),
    "risk.max_daily_trades": Case(
        2,
        {
            2: [(buy(), True), (buy(1, 95.0), True)],
            4: [(buy(to=1), False), (change(1, price=96.0), True), (sell(), True)],
        },
        3,
    ),
    "risk.max_daily_trades_per_symbol": Case(
        1, {2: [(buy(), True), (buy(1, 95.0, to=1), True)], 4: [(buy(), False), (sell(), True)], 6: [(buy(), False)]}, 3
    ),
    "risk.max_daily_loss": Case(1_000, A_LOSS, 5, FALLS, cancelled=(1, 2)),
    "risk.max_daily_loss_pct": Case(0.1, A_LOSS, 5, FALLS, cancelled=(1, 2)),
    "risk.max_drawdown_pct": Case(0.1, A_LOSS, 5, FALLS, cancelled=(1, 2)),
    "risk.max_portfolio_loss_pct": Case(0.1, A_LOSS, 5, FALLS, cancelled=(1, 2)),
    "risk.max_loss_streak": Case(
        2,
        {
            1: [(buy(), True)],
            2: [(sell(), True)],
            3: [(buy(), True)],
            4: [(sell(), True)],  # it trades when the fifth bar opens, at 09:19:00
            6: [(buy(), False)],
            7: [(buy(), True)],
        },
        5,
        SINKS,
        {"loss_streak_pause": 3},
    ),
    "risk.allowed_symbols": Case((TEST,), {2: [(buy(), True), (buy(to=1), False)], 4: [(sell(), True)]}, 3),
    "risk.allowed_products": Case(("MIS",), {2: [(buy(), True), (buy(product="CNC"), False)], 4: [(sell(), True)]}, 3),
    "risk.allowed_hours": Case(
        ("09:16-09:18",),
        {3: [(buy(), True), (buy(1, 95.0), True)], 4: [(buy(), False), (change(1, price=96.0), False), (sell(), True)]},
        3,
    ),
    "risk.no_entries_after": Case(
        "09:18",
        {3: [(buy(), True), (buy(1, 95.0), True)], 4: [(buy(), False), (change(1, price=96.0), False), (sell(), True)]},
        3,
    ),
}
every_limit = pytest.mark.parametrize("key", CASES)
one_of_each = pytest.mark.parametrize("house", ["path", "paper", "live"], indirect=True)


def limits(key: str) -> dict[str, Any]:
    """This one, and no other that could be in its way."""
    case = CASES[key]
    return {
        "max_position_pct": 100, "max_portfolio_loss_pct": 100, "max_daily_trades": None,
        **case.more, key.removeprefix("risk."): case.limit,
    }  # fmt: skip


def series(case: Case) -> dict[str, Any]:
    rows = {TEST: case.rows, OTHER: FLAT}
    return {name: canned.from_rows(one, symbol=name, interval="minute") for name, one in rows.items()}


def acts(case: Case) -> dict[int, list[Act]]:
    return {minute: [act for act, _ in those] for minute, those in case.plan.items()}


def holds(key: str, found: list[Any]) -> None:
    """What passed and what did not, as the case has it; and that it was this limit that said no."""
    case = CASES[key]
    passed = [one if isinstance(one, bool) else not one.info.get("denied") for one in found]
    assert passed == case.expected
    for one in found:
        if not isinstance(one, bool) and one.info.get("denied"):
            assert one.info.denied_by == key
    for number in case.cancelled:
        assert found[number].status == Order.Canceled


def test_every_limit_has_a_case() -> None:
    assert set(CASES) == set(RULES)


@one_of_each
@every_limit
def test_a_limit_holds_on_every_broker(house: House, key: str) -> None:
    found: list[Any] = []
    house.run(
        Scripted, series(CASES[key]), cash=CASH, risk=limits(key), params={"plan": acts(CASES[key]), "found": found}
    )
    holds(key, found)
    if house.live:
        placed = [one for one in found if not isinstance(one, bool) and not one.info.get("denied")]
        assert len(house.orders()) == len(placed)


@pytest.mark.parametrize("mode", ["paper", "live"])
@every_limit
def test_a_limit_holds_over_a_restart(kite_exchange: KiteExchange, tmp_path: Path, mode: Any, key: str) -> None:
    case = CASES[key]
    kite_exchange.reset(series(case), speed="lockstep")
    config = kite_exchange.config(risk=limits(key), **{"broker.capital": CASH})
    found: list[Any] = []
    for until in (case.cut, None):
        with Journal(tmp_path / "journal.sqlite", ManualClock(datetime(2026, 11, 18, 12))) as journal:
            store = kite_exchange.store(mode, config=config)
            engine = Cerebro(stdstats=False)
            for name in kite_exchange.candles:
                engine.adddata(store.getdata(name, interval="minute"), name=name)
            engine.setbroker(store.getbroker(record=Record(journal)))
            engine.addstrategy(Scripted, plan=acts(case), found=found, until=until)
            engine.run()
    passed = [one if isinstance(one, bool) else not one.info.get("denied") for one in found]
    assert passed == case.expected
