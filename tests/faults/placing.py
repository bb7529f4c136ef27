"""A random day over a wire on which order calls go wrong, many times a day.

One seed makes all of it: the candles, what the strategy does with them (market, limit, stop and stop-limit orders,
brackets, trailing stops, changes, cancels), and which fault hits which call. Towards the end nothing goes wrong any
more and the strategy goes flat, so that at the end nothing may be left, in the exchange's book or in ours.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import backtrader as bt
import numpy as np

from btkite.engine import Cerebro
from btkite.errors import OrderUncertain
from btkite.kite.desk import Desk, Place, Request
from btkite.series import Candles
from btkite.store import KiteStore
from btkite.testing import KiteExchange
from tests.faults.judging import CAPITAL, judge, left_behind, posts

Order = bt.Order
SYMBOLS = ("NSE:AAA", "NSE:BBB", "NSE:CCC")
OPEN = datetime(2026, 11, 18, 9, 15)
BARS = 33
FLAT = 20
"""From this bar on the strategy wants nothing but to be out; the wire is whole again two bars later."""
TIMEOUT = 0.15  # real seconds that the client waits for an answer
WITHHELD = {"seconds": 0.3}
DONE = {"accepted": True}
POST, PUT, ANY = "POST", "PUT", "POST|PUT|DELETE"

LOST: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("reply_withheld_before", WITHHELD, ANY),
    ("connection_dropped_before", {}, ANY),
    ("missing_error_type", {}, ANY),
    ("server_error", {}, ANY),
    ("html_502", {}, ANY),
    ("unavailable_503", {}, ANY),
    ("gateway_timeout", {}, ANY),
)
"""Nothing was done, and nobody said so."""
LEFT: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("reply_withheld_after", WITHHELD, ANY),
    ("slow_reply", WITHHELD, ANY),
    ("connection_dropped_after", {}, ANY),
    ("timed_out_after_accept", {}, POST),
    ("malformed_json", {}, ANY),
    ("server_error", DONE, ANY),
    ("html_502", DONE, ANY),
    ("unavailable_503", DONE, ANY),
    ("gateway_timeout", DONE, ANY),
)
"""It was done, and the answer is lost: an order is left behind."""
REFUSED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("too_many_requests", {}, ANY),
    ("oms_maintenance", {}, ANY),
    ("ip_refused", {}, ANY),
    ("rms_rejection", {}, POST),
    ("modification_cap", {}, PUT),
    ("modify_races_trigger", {}, PUT),
    ("missing_content_type", {}, ANY),
)
"""Said clearly, or a race; the last one is no answer that can be read, though all was done."""
HEARING: tuple[tuple[str, dict[str, Any]], ...] = (
    ("order_update_lost", {}),
    ("order_update_delayed", {"seconds": 20.0}),
    ("order_update_duplicated", {}),
    ("stale_orders", {"seconds": 30.0}),
)
"""What else may be wrong meanwhile: the stream, and the book that is asked."""
LEAVES_AN_ORDER = {kind for kind, _, _ in LEFT} | {"missing_content_type"}


def faults(seed: int) -> list[dict[str, Any]]:
    """About every third order call is hit; in half of the days the stream and the book are unreliable, too."""
    dice = random.Random(f"faults:{seed}")
    until = (OPEN + timedelta(minutes=FLAT + 2)).isoformat() + "+05:30"
    armed = []

    def arm(kind: str, args: dict[str, Any], chance: float, **match: Any) -> None:
        number = dice.randrange(1 << 30)
        match |= {"probability": chance, "until": until}
        armed.append({"kind": kind, "match": match, "times": None, "args": args, "seed": number})

    kinds = [*LOST, *LEFT, *REFUSED]
    dice.shuffle(kinds)  # the first one that hits a call is the one that is told of
    for kind, args, method in kinds:
        # A server that fails does so before the action or after it: each has its own row.
        arm(kind, args, dice.choice([0.0, 0.02, 0.04]), method=method, path="/orders/*")
    if dice.random() < 0.5:
        for kind, args in HEARING:
            arm(kind, args, dice.choice([0.0, 0.3, 0.6]))
    return armed


def candles(seed: int) -> dict[str, Candles]:
    """Minutes that wander, by about a fifth of a per cent each."""
    rng = np.random.default_rng(seed)
    starts = np.array([OPEN + timedelta(minutes=n) for n in range(BARS)], dtype="datetime64[s]")
    found = {}
    for symbol in SYMBOLS:
        steps = rng.normal(0, 0.2, size=(BARS, 4)).cumsum().reshape(BARS, 4)
        prints = np.round((rng.uniform(80, 160) * (1 + steps / 100)) / 0.05) * 0.05
        columns = {
            "open": prints[:, 0],
            "high": prints.max(axis=1),
            "low": prints.min(axis=1),
            "close": prints[:, 3],
        }
        rounded = {name: np.round(values, 2) for name, values in columns.items()}
        volume = rng.integers(100, 5000, size=BARS)
        found[symbol] = Candles.of(symbol, "minute", {"date": starts, **rounded, "volume": volume})
    return found


class Trader(bt.Strategy):
    """Does something at random with each symbol, by what it holds and what works; at the end it goes flat."""

    params = (("seed", 0),)

    def __init__(self) -> None:
        self.dice = random.Random(f"trader:{self.p.seed}")
        self.working: dict[int, Any] = {}
        self.told: dict[int, list[str]] = defaultdict(list)
        self.wanted: dict[int, float] = {}

    def notify_order(self, order: Any) -> None:
        self.told[order.ref].append(order.getstatusname())
        if order.alive():
            self.working[order.ref] = order
        else:
            self.working.pop(order.ref, None)

    def next(self) -> None:
        for data in self.datas:
            mine = [order for order in self.working.values() if order.data is data]
            if len(data) >= FLAT:
                self.go_flat(data, mine)
            elif mine:
                self.tend(data, self.dice.choice(mine))
            elif self.getposition(data).size:
                self.leave(data)
            else:
                self.enter(data)

    def go_flat(self, data: Any, mine: list[Any]) -> None:
        held = self.getposition(data).size
        for order in mine:
            self.cancel(order)
        if held and not mine:
            self.note(self.close(data=data))

    def note(self, *given: Any) -> None:
        for order in given:
            if order is not None:
                self.wanted[order.ref] = max(abs(order.size), self.wanted.get(order.ref, 0))

    def price(self, data: Any, percent: float) -> float:
        return float(round(round(data.close[0] * (1 + percent / 100) / 0.05) * 0.05, 2))

    def enter(self, data: Any) -> None:
        dice, size = self.dice, self.dice.randint(1, 30)
        buys = dice.random() < 0.6
        way, give = (1, self.buy) if buys else (-1, self.sell)
        off = dice.uniform(0.05, 0.5)
        what = dice.choice(["none", "market", "market", "limit", "stop", "stop limit", "bracket", "bracket at limit"])
        if what == "market":
            self.note(give(data=data, size=size))
        elif what == "limit":
            self.note(give(data=data, size=size, exectype=Order.Limit, price=self.price(data, -way * off)))
        elif what == "stop":
            self.note(give(data=data, size=size, exectype=Order.Stop, price=self.price(data, way * off)))
        elif what == "stop limit":
            stop, limit = self.price(data, way * off), self.price(data, way * (off + 0.2))
            self.note(give(data=data, size=size, exectype=Order.StopLimit, price=stop, plimit=limit))
        elif what.startswith("bracket"):
            entry = {"exectype": Order.Market}
            if what != "bracket":
                entry = {"exectype": Order.Limit, "price": self.price(data, -way * off / 2)}
            both = self.buy_bracket if buys else self.sell_bracket
            target, stop = self.price(data, way * dice.uniform(0.4, 1)), self.price(data, -way * dice.uniform(0.5, 1))
            self.note(*both(data=data, size=size, limitprice=target, stopprice=stop, **entry))

    def leave(self, data: Any) -> None:
        dice, held = self.dice, self.getposition(data).size
        way, give = (1, self.sell) if held > 0 else (-1, self.buy)
        size, off = dice.choice([abs(held), dice.randint(1, int(abs(held)))]), dice.uniform(0.1, 0.6)
        what = dice.choice(["none", "market", "limit", "stop", "stop limit", "trail", "both"])
        if what == "market":
            self.note(self.close(data=data))
        if what in ("limit", "both"):
            self.note(first := give(data=data, size=size, exectype=Order.Limit, price=self.price(data, way * off)))
        if what == "stop":
            self.note(give(data=data, size=size, exectype=Order.Stop, price=self.price(data, -way * off)))
        elif what == "both":
            stop = self.price(data, -way * off)
            self.note(give(data=data, size=size, exectype=Order.Stop, price=stop, oco=first))
        elif what == "stop limit":
            stop, limit = self.price(data, -way * off), self.price(data, -way * (off + 0.3))
            self.note(give(data=data, size=size, exectype=Order.StopLimit, price=stop, plimit=limit))
        elif what == "trail":
            self.note(give(data=data, size=size, exectype=Order.StopTrail, trailpercent=off / 100))

    def tend(self, data: Any, order: Any) -> None:
        what, dice = self.dice.choice(["wait", "wait", "change", "change", "cancel", "resize"]), self.dice
        if what == "cancel":
            self.cancel(order)
        elif what == "change" and order.exectype in (Order.Limit, Order.Stop):
            side = 1 if order.isbuy() else -1
            side = -side if order.exectype == Order.Limit else side
            self.broker.modify(order, price=self.price(data, side * dice.uniform(0.02, 0.5)))
        elif what == "resize" and order.parent is None and order.exectype != Order.Market:
            size = dice.randint(1, 40)
            if self.broker.modify(order, size=size):
                self.wanted[order.ref] = max(size, self.wanted.get(order.ref, 0))


class Resending(Desk):
    """The control: it sends an order that was not answered once more, as clients with a retry do."""

    def _send(self, request: Request) -> str:
        for _ in range(2):
            try:
                return super()._send(request)
            except OrderUncertain:
                if not isinstance(request, Place):
                    raise
        return super()._send(request)


class ResendingStore(KiteStore):
    def open_desk(self, before_send: Any) -> Any:
        self.desk = Resending(self.client, self.inbox, self.clock, before_send)
        return self.desk


@dataclass
class Verdict:
    """What came of one seed. ``hits``: faults on order calls, by ``METHOD kind``; ``left``: how many placements were
    accepted without an answer that could be read."""

    seed: int
    problems: list[str]
    hits: Counter[str] = field(default_factory=Counter)
    placed: int = 0
    left: int = 0
    anew: int = 0


def play(exchange: KiteExchange, seed: int, *, naive: bool = False) -> Verdict:
    """One day of this seed; ``naive``: with the control instead of btkite's own desk."""
    exchange.reset(candles(seed), faults=faults(seed), check_trigger_side=True)
    changes = {
        "broker.kite_connect.timeout": TIMEOUT,
        "broker.capital": CAPITAL,
        "groups.exits": ("one", "two")[seed % 2],
    }
    config = exchange.config(**changes)
    made: Any = ResendingStore if naive else KiteStore
    store = made(mode="live", config=config, confirm=exchange.user_id)
    engine = Cerebro(stdstats=False)
    for symbol in SYMBOLS:
        engine.adddata(store.getdata(symbol, interval="minute"), name=symbol)
    engine.setbroker(store.getbroker())
    engine.addstrategy(Trader, seed=seed)
    ran = engine.run()[0]
    asked = exchange.requests()
    verdict = Verdict(seed, [*judge(exchange, ran, asked)])
    for row in asked:
        if row["path"].startswith("/orders/") and row["method"] != "GET" and row.get("fault"):
            verdict.hits.update(f"{row['method']} {kind}" for kind in row["fault"].split("+"))
    verdict.placed = sum(row["method"] == "POST" and row["path"].startswith("/orders/") for row in asked)
    verdict.left = len(left_behind(exchange, asked, LEAVES_AN_ORDER))
    verdict.anew = sum(len(rows) > 1 for rows in posts(asked).values())
    return verdict


def play_many(folder: Path, seeds: Iterable[int], *, naive: bool = False, jobs: int = 2) -> list[Verdict]:
    """Many days, in ``jobs`` processes, each with an exchange of its own."""
    wanted = list(seeds)
    parts = [(folder / f"{naive}{number}", wanted[number::jobs], naive) for number in range(jobs)]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        return [verdict for verdicts in pool.map(_play_some, *zip(*parts, strict=True)) for verdict in verdicts]


def _play_some(folder: Path, seeds: list[int], naive: bool) -> list[Verdict]:
    with KiteExchange(folder) as exchange:
        return [play(exchange, seed, naive=naive) for seed in seeds]
