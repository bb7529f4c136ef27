"""Any flow of orders: the gate lets through exactly what a second, naive reading of the limits lets through.

The other reading keeps its own few figures and finds the worst case by trying every way in which working orders may
trade. Orders are given, changed, filled in parts, cancelled and refused, prices move, days end, and the book goes
through its JSON in between.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from btkite.risk.gate import RiskGate
from btkite.risk.ledger import Ledger
from btkite.risk.rules import RULES, build_rules
from btkite.values import Instrument, OrderType, Proposal, Side

SYMBOLS = tuple(Instrument("NSE", name) for name in ("A", "B", "C"))
START = datetime(2026, 11, 20, 9, 15)
CAPITAL = 1_000_000.0
LIMITS = {
    "max_position_quantity": 30,
    "max_position_value": 2_000.0,
    "max_position_pct": 0.21,
    "max_order_value": 1_500.0,
    "max_gross_exposure": 4_000.0,
    "max_net_exposure": 3_000.0,
    "max_open_positions": 2,
    "max_daily_trades": 9,
    "max_daily_trades_per_symbol": 5,
    "max_orders_per_minute": 4,
    "duplicate_window": 10,
    "price_collar_pct": 10,
    "max_loss_streak": 2,
    "loss_streak_pause": 2,
    "max_daily_loss": 200.0,
    "max_daily_loss_pct": 0.015,
    "max_drawdown_pct": 0.02,
    "max_portfolio_loss_pct": 0.025,
    "max_gross_exposure_pct": 0.38,
    "max_net_exposure_pct": 0.27,
    "allowed_symbols": ("NSE:A", "NSE:[BX]"),
    "allowed_products": ("MIS", "NRML"),
    "allowed_hours": ("09:15-09:17", "09:20-09:25"),
    "no_entries_after": "09:21",
}
HAIR = 0.005


@dataclass
class Rests:
    """An order as the naive reading knows it."""

    proposal: Proposal
    entry: bool
    left: int
    filled: int = 0


@dataclass
class Naive:
    """What the limits are about, counted by hand."""

    on: dict[str, Any]
    held: dict[str, int] = field(default_factory=dict)
    average: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    realized: float = 0.0
    day_began: float = 0.0
    stopped: bool = False
    best: float = 0.0
    latched: bool = False
    orders: dict[int, Rests] = field(default_factory=dict)
    entries: dict[str, dict[int, str]] = field(default_factory=dict)  # by name: each order's symbol
    given: list[tuple[datetime, int]] = field(default_factory=list)
    looks: list[tuple[datetime, int, tuple[Any, ...]]] = field(default_factory=list)
    results: list[tuple[float, datetime]] = field(default_factory=list)
    running: dict[str, float] = field(default_factory=dict)

    def gained(self) -> float:
        return self.realized + sum(size * (self.last[key] - self.average[key]) for key, size in self.held.items())

    def ways(self, key: str, sign: int, orders: dict[int, Rests]) -> list[list[Rests]]:
        """Every set of orders on one side of a symbol that may trade together: of a group no two."""
        groups: dict[int, list[Rests | None]] = {}
        for ref, one in orders.items():
            asked = one.proposal
            if asked.instrument.key == key and asked.side.sign == sign and one.left:
                groups.setdefault(asked.group or ref, [None]).append(one)
        return [[one for one in way if one is not None] for way in product(*groups.values())]

    def worst(self, key: str, sign: int, orders: dict[int, Rests]) -> tuple[int, float, float]:
        """Units, ₹, and ₹ with sign, that the symbol may come to on one side."""
        have, units, worth, signed = self.held.get(key, 0) * sign, 0, 0.0, float("-inf")
        for way in self.ways(key, sign, orders):
            total = have + sum(one.left for one in way)
            units = max(units, total)
            fresh = sorted((one.proposal.worst_price for one in way for _ in range(one.left)), reverse=True)
            opened = fresh[: max(0, min(len(fresh), total))] if have < 0 else fresh
            money = sum(opened) + (have * self.last[key] if have > 0 else 0.0)
            worth = max(worth, money)
            signed = max(signed, money if total >= 0 else total * self.last[key])
        return units, worth, signed

    def reduces(self, order: Proposal, orders: dict[int, Rests]) -> bool:
        have, sign = self.held.get(order.instrument.key, 0), order.side.sign
        if have * sign >= 0:
            return False
        most = max(sum(one.left for one in way) for way in self.ways(order.instrument.key, sign, orders))
        return most <= abs(have)

    def allows(self, order: Proposal, *, change: bool) -> tuple[bool, bool]:
        """Whether the limits let it pass, and whether it only reduces."""
        old = self.orders.get(order.ref)
        filled = old.filled if old is not None else 0
        orders = {**self.orders, order.ref: Rests(order, True, max(0, order.quantity - filled), filled)}
        reduces = self.reduces(order, orders)
        if reduces:
            return True, True
        key, sign, on, now = order.instrument.key, order.side.sign, self.on, order.given
        assert now is not None
        units, worth, _ = self.worst(key, sign, orders)
        keys = sorted({*self.held, *(one.proposal.instrument.key for one in orders.values())})
        gross = sum(max(self.worst(one, 1, orders)[1], self.worst(one, -1, orders)[1]) for one in keys)
        net = sum(self.worst(one, sign, orders)[2] for one in keys)
        held_open = {*self.held, *(one.proposal.instrument.key for one in orders.values() if one.entry and one.left)}
        name = str(order.group or order.ref)
        others = {one: those for one, those in self.entries.items() if one != name}
        value = CAPITAL + self.gained()
        named = [order.price] if order.price else []
        look = self.look(order)
        losing = 0
        for result, _ in reversed(self.results):
            if result >= 0:
                break
            losing += 1
        checks = {
            "max_position_quantity": units <= on.get("max_position_quantity", 0),
            "max_position_value": worth <= on.get("max_position_value", 0) + HAIR,
            "max_position_pct": worth <= value * on.get("max_position_pct", 0) / 100 + HAIR,
            "max_order_value": order.quantity * order.worst_price <= on.get("max_order_value", 0) + HAIR,
            "max_gross_exposure": gross <= on.get("max_gross_exposure", 0) + HAIR,
            "max_net_exposure": net <= on.get("max_net_exposure", 0) + HAIR,
            "max_open_positions": len(held_open | {key}) <= on.get("max_open_positions", 0),
            "max_daily_trades": len(others) < on.get("max_daily_trades", 0),
            "max_daily_trades_per_symbol": sum(key in those.values() for those in others.values())
            < on.get("max_daily_trades_per_symbol", 0),
            "max_orders_per_minute": sum(now - at < timedelta(seconds=60) for at, _ in self.given)
            < on.get("max_orders_per_minute", 0),
            "duplicate_window": change
            or not any(
                look == other and now - at < timedelta(seconds=on.get("duplicate_window", 0))
                for at, ref, other in self.looks
                if ref != order.ref
            ),
            "price_collar_pct": all(
                abs(price - order.reference_price) <= order.reference_price * on.get("price_collar_pct", 0) / 100 + HAIR
                for price in named
            ),
            "max_loss_streak": losing < on.get("max_loss_streak", 0)
            or not self.results
            or now >= self.results[-1][1] + timedelta(minutes=on.get("loss_streak_pause", 30)),
            "max_daily_loss": not self.stopped,
            "max_daily_loss_pct": not self.stopped,
            "max_drawdown_pct": not self.latched,
            "max_portfolio_loss_pct": not self.latched,
            "max_gross_exposure_pct": gross <= value * on.get("max_gross_exposure_pct", 0) / 100 + HAIR,
            "max_net_exposure_pct": net <= value * on.get("max_net_exposure_pct", 0) / 100 + HAIR,
            "allowed_symbols": key in ("NSE:A", "NSE:B"),
            "allowed_products": order.product in ("MIS", "NRML"),
            "allowed_hours": not START.replace(minute=17).time() < now.time() < START.replace(minute=20).time()
            and now.time() <= START.replace(minute=25).time(),
            "no_entries_after": now.time() <= START.replace(minute=21).time(),
        }
        return all(passes for limit, passes in checks.items() if limit in on), False

    @staticmethod
    def look(order: Proposal) -> tuple[Any, ...]:
        return order.instrument.key, order.side, order.quantity, order.order_type, order.product, order.price

    def looked(self) -> None:
        """What is lost, after a mark or a fill: a limit that is passed stays so, for the day or for good."""
        now, on, never = self.gained(), self.on, float("inf")
        self.best = max(self.best, now)
        lost = self.day_began - now
        most = (CAPITAL + self.day_began) * (on.get("max_daily_loss_pct") or never) / 100
        self.stopped = self.stopped or lost > min(on.get("max_daily_loss", never), most) + HAIR
        fallen = self.best - now > (CAPITAL + self.best) * on.get("max_drawdown_pct", never) / 100 + HAIR
        self.latched = self.latched or fallen or -now > CAPITAL * on.get("max_portfolio_loss_pct", never) / 100 + HAIR

    def took(self, order: Proposal, *, change: bool, reduces: bool) -> None:
        old = self.orders.get(order.ref)
        filled = old.filled if old is not None else 0
        assert order.given is not None
        self.given.append((order.given, order.ref))
        if not change:
            self.looks.append((order.given, order.ref, self.look(order)))
        self.orders[order.ref] = Rests(order, not reduces, max(0, order.quantity - filled), filled)
        if not reduces:
            self.entries.setdefault(str(order.group or order.ref), {})[order.ref] = order.instrument.key

    def traded(self, ref: int, units: int, price: float, at: datetime) -> None:
        one = self.orders[ref]
        one.left -= units
        one.filled += units
        key, size = one.proposal.instrument.key, units * one.proposal.side.sign
        have, average = self.held.get(key, 0), self.average.get(key, 0.0)
        closes = min(abs(size), abs(have)) if have * size < 0 else 0
        gain = closes * (price - average) * (1 if have > 0 else -1)
        self.realized += gain
        if closes:
            self.running[key] = self.running.get(key, 0.0) + gain
        now = have + size
        if closes and (now == 0 or (now > 0) != (have > 0)):
            self.results.append((self.running.pop(key), at))
        if now == 0:
            self.held.pop(key), self.average.pop(key)
            return
        if not have or (have > 0) != (now > 0):
            self.average[key] = price
            if not have:  # else its last price is known
                self.last[key] = price
        elif not closes:
            self.average[key] = (average * have + price * size) / now
        self.held[key] = now

    def ended(self, ref: int, *, refused: bool) -> None:
        one = self.orders.pop(ref)
        if not one.filled:
            self.looks = [row for row in self.looks if row[1] != ref]
        name = str(one.proposal.group or ref)
        if refused and not one.filled and one.entry and name in self.entries:
            self.entries[name].pop(ref, None)
            if not self.entries[name]:
                del self.entries[name]

    def rolled(self) -> None:
        self.day_began, self.stopped = self.gained(), False
        carried = {
            name: {ref: key for ref, key in those.items() if ref in self.orders} for name, those in self.entries.items()
        }
        self.entries = {name: those for name, those in carried.items() if those}


prices = st.integers(320, 480).map(lambda quarter: quarter / 4)
new = st.tuples(
    st.just("new"), st.sampled_from(SYMBOLS), st.sampled_from(list(Side)), st.integers(1, 14),
    st.sampled_from([0.0, 85.0, 90.0, 95.0, 100.0, 105.0, 110.25]), st.one_of(st.none(), st.none(), st.integers(0, 9)),
    st.sampled_from(["MIS", "MIS", "NRML", "CNC"]),
)  # fmt: skip
steps = st.lists(
    st.one_of(
        new, new, new,
        st.tuples(st.just("change"), st.integers(0, 9), st.integers(1, 16), st.sampled_from([0.0, 92.5, 104.0])),
        st.tuples(st.just("trade"), st.integers(0, 9), st.integers(1, 14)),
        st.tuples(st.just("trade"), st.integers(0, 9), st.just(99)),
        st.tuples(st.just("end"), st.integers(0, 9), st.booleans()),
        st.tuples(st.just("mark"), st.sampled_from(SYMBOLS), prices),
        st.tuples(st.just("wait"), st.sampled_from([1, 9, 10, 30, 60, 120])),
        st.tuples(st.just("day")),
        st.tuples(st.just("restart")),
    ),
    min_size=5,
    max_size=40,
)  # fmt: skip
chosen = st.lists(st.sampled_from(sorted(set(LIMITS) - {"loss_streak_pause"})), min_size=1, max_size=23, unique=True)


class Both:
    """The gate and the naive reading, side by side."""

    def __init__(self, limits: dict[str, Any]) -> None:
        self.rules = build_rules(limits)
        self.book = Ledger(CAPITAL)
        self.book.roll(START.date())
        self.gate = RiskGate(self.rules, self.book)
        self.naive = Naive({key: value for key, value in limits.items() if value is not None})
        self.now, self.ref = START, 0
        self.market = {symbol.key: 100.0 for symbol in SYMBOLS}
        self.naive.last = dict(self.market)

    def do(self, step: tuple[Any, ...]) -> None:
        getattr(self, step[0])(*step[1:])
        self.watch()

    def watch(self) -> None:
        """As a broker does after every bar and fill."""
        self.book.observe()
        self.gate.watch()
        self.naive.looked()
        assert (self.book.stopped is not None, self.book.latched is not None) == (
            self.naive.stopped,
            self.naive.latched,
        )

    def living(self, number: int) -> int | None:
        refs = sorted(self.naive.orders)
        return refs[number % len(refs)] if refs else None

    def new(self, symbol: Instrument, side: Side, quantity: int, price: float, mate: int | None, product: str) -> None:
        """``mate``: one that works, with which it is to cancel one another."""
        self.ref += 1
        other = None if mate is None else self.living(mate)
        group = 0 if other is None else self.naive.orders[other].proposal.group or other
        self.judge(
            Proposal(
                ref=self.ref, instrument=symbol, side=side, quantity=quantity,
                order_type=OrderType.LIMIT if price else OrderType.MARKET, product=product, variety="regular",
                price=price, reference_price=self.market[symbol.key], given=self.now, group=group,
            )
        )  # fmt: skip

    def change(self, number: int, quantity: int, price: float) -> None:
        ref = self.living(number)
        if ref is None or quantity <= self.naive.orders[ref].filled:
            return
        old = self.naive.orders[ref].proposal
        price = price if old.price and price else old.price
        last = self.market[old.instrument.key]
        self.judge(replace(old, quantity=quantity, price=price, reference_price=last, given=self.now, reduces=False))

    def judge(self, order: Proposal) -> None:
        change = order.ref in self.naive.orders
        allowed, reduces = self.naive.allows(order, change=change)
        denial = self.gate.judge([order])
        assert (denial is None) == allowed, (order, denial)
        if denial is None:
            assert self.book.is_exit(order.ref) == reduces
            self.naive.took(order, change=change, reduces=reduces)

    def trade(self, number: int, units: int) -> None:
        ref = self.living(number)
        if ref is None:
            return
        one = self.naive.orders[ref]
        units, asked = min(units, one.left), one.proposal
        price = asked.price or self.market[asked.instrument.key]
        self.naive.traded(ref, units, price, self.now)
        self.book.fill(asked.instrument, asked.side, units, price, time=self.now, ref=ref)
        self.book.working(ref, one.left)
        if not one.left:
            self.book.done(ref)
            self.naive.ended(ref, refused=False)

    def end(self, number: int, refused: bool) -> None:
        ref = self.living(number)
        if ref is not None:
            self.book.done(ref, refused=refused)
            self.naive.ended(ref, refused=refused)

    def mark(self, symbol: Instrument, price: float) -> None:
        self.market[symbol.key] = price
        self.book.mark(symbol.key, price)
        if symbol.key in self.naive.held:
            self.naive.last[symbol.key] = price

    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    def day(self) -> None:
        self.now = datetime.combine(self.now.date() + timedelta(days=1), START.time())
        self.book.roll(self.now.date())
        self.naive.rolled()

    def restart(self) -> None:
        self.book = Ledger.from_state(json.loads(json.dumps(self.book.state())))
        self.gate = RiskGate(self.rules, self.book)


def test_every_limit_but_that_of_margins_is_read_twice() -> None:
    assert {f"risk.{name}" for name in LIMITS} - {"risk.loss_streak_pause"} == set(RULES) - {"risk.max_margin_use_pct"}


@settings(max_examples=int(os.environ.get("BTKITE_EXAMPLES", "400")), deadline=None)
@given(steps, chosen)
def test_the_gate_lets_through_what_a_naive_reading_of_the_limits_does(flow: Any, names: list[str]) -> None:
    limits: dict[str, Any] = {"max_portfolio_loss_pct": None, "max_daily_trades": None}
    limits |= {name: LIMITS[name] for name in names}
    if "max_loss_streak" in names:
        limits["loss_streak_pause"] = LIMITS["loss_streak_pause"]
    both = Both(limits)
    for step in flow:
        both.do(step)
