"""Scenario 5: order updates that are doubled, reordered, lost and late, with postback copies; orders fill in parts.

The exchange's book is the judge."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from tests.faults.scene import Order, held, run, wait_for

SEEDS = range(60) if os.environ.get("BTKITE_SOAK") else range(2)
ORDERS = 100
FAULTS = [
    ("order_update_lost", {}, 0.2),
    ("order_update_delayed", {"seconds": 30.0}, 0.2),
    ("order_update_duplicated", {}, 0.2),
    ("order_update_twice", {}, 0.2),
    ("order_update_reordered", {"seconds": 30.0}, 0.2),
    ("partial_after_complete", {}, 0.5),
]


def faults(seed: int) -> list[dict[str, Any]]:
    return [
        {"kind": kind, "match": {"probability": chance}, "times": None, "args": args, "seed": seed + number}
        for number, (kind, args, chance) in enumerate(FAULTS)
    ]


class Day:
    """Five orders a bar, bought and sold, each filled in random parts at random prices by hand-made books; some are
    cancelled in the middle."""

    def __init__(self, exchange: Any, seed: int) -> None:
        self.exchange = exchange
        self.dice = random.Random(seed)
        self.given: list[Any] = []

    def __call__(self, strategy: Any) -> None:
        living = [order for order in self.given if order.alive()]
        if living and self.dice.random() < 0.5:
            strategy.cancel(self.dice.choice(living))
        if len(self.given) < ORDERS:
            for _ in range(5):
                size = self.dice.randint(1, 20)
                buys = self.dice.random() < 0.5
                give, price = (strategy.buy, 90.0) if buys else (strategy.sell, 110.0)
                self.given.append(give(size=size, exectype=Order.Limit, price=price))
        steer, dice = self.exchange.steer, self.dice
        for side in ("sell", "buy"):
            step = -0.05 if side == "sell" else 0.05
            best = 90.0 if side == "sell" else 110.0
            levels = [(round(best + step * dice.randint(0, 20), 2), dice.randint(1, 9)) for _ in range(3)]
            levels.sort(reverse=side == "buy")
            steer.put_depth("NSE:TEST", **{side: levels})


@pytest.mark.parametrize("seed", SEEDS)
def test_every_order_ends_in_its_true_state_and_counts_each_unit_once(kite_exchange, seed):
    kite_exchange.reset([100.0] * 60, faults=faults(seed))
    day = Day(kite_exchange, seed)
    ran = run(kite_exchange, day)
    book = {row["tag"]: row for row in kite_exchange.orders()}
    assert len(day.given) == ORDERS
    assert all(kite_exchange.steer.fired(kind) for kind, _, _ in FAULTS)
    parts = 0
    for order in day.given:
        row = book[order.info.tag]
        sizes, bits = ran.sizes[order.ref], [(size, price) for ref, size, price in ran.bits if ref == order.ref]
        assert sizes == sorted(sizes)
        assert sizes[-1] == row["filled_quantity"] <= row["quantity"]
        assert sum(abs(size) for size, _ in bits) == row["filled_quantity"]
        paid = sum(abs(size) * price for size, price in bits)
        assert paid == pytest.approx(row["average_price"] * row["filled_quantity"], abs=0.01)
        ended = {"COMPLETE": "Completed", "CANCELLED": "Canceled"}.get(row["status"])
        assert ended is None or ran.broker.orders[order.ref].getstatusname() == ended
        parts += len(bits) > 1
    assert parts > 10
    assert ran.position.size == held(kite_exchange)


def test_on_a_running_clock_a_silent_stream_costs_a_few_seconds(kite_exchange):
    """No update comes at all: the fill is learnt by looking, every ``broker.poll`` seconds of the market."""
    lost = {"kind": "order_update_lost", "times": None}
    kite_exchange.reset([100.0] * 5, speed=60, faults=[lost])
    known: list[Any] = []
    filled: list[Any] = []

    def step(strategy: Any) -> None:
        store = strategy.data._store
        if strategy.bars == 2:
            strategy.order = strategy.buy(size=3, exectype=Order.Limit, price=99.0)
        elif strategy.bars == 3:
            wait_for(lambda: kite_exchange.orders()[0]["status"] == "OPEN", "the order at the exchange")
            kite_exchange.steer.speed(2)
            kite_exchange.steer.put_price("NSE:TEST", 99.0)
            filled.append(store.clock.settle(store.inbox.bell))
            order = strategy.broker.orders[strategy.order.ref]

            def learnt() -> bool:
                store.pump()
                return bool(order.status == Order.Completed)

            wait_for(learnt, "the fill")
            known.append(store.clock.now())
            strategy.env.runstop()

    ran = run(kite_exchange, step, **{"broker.poll": 5})
    seconds = (known[0] - filled[0]).total_seconds()
    assert seconds <= 10, f"{seconds} s of the market"
    assert ran.position.size == held(kite_exchange) == 3
