"""Scenario 14: a manual order, and an exit done outside, on a running clock. The exchange's book is the judge.

The policies in detail, in lock step: tests/brokers/test_outside.py."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.faults.scene import Order, held, run, wait_for
from tests.faults.seeds import seeds

OPEN = "2026-11-18 09:14:30"
MOST = timedelta(seconds=2)
"""Of the market, from the moment that an outside exit is known to the end of ours."""


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=None)


class Outside:
    """Buys 5 and rests an exit; then somebody sells them by hand; then the strategy tries an exit, and an entry."""

    def __init__(self, exchange: Any) -> None:
        self.exchange = exchange
        self.late: list[Any] = []
        self.position = 0

    def __call__(self, strategy: Any) -> None:
        exchange, pump = self.exchange, strategy.data._store.pump
        if strategy.bars == 1:
            strategy.buy(size=5)
            return
        if strategy.bars != 2:
            return
        stop = strategy.sell(size=5, exectype=Order.Stop, price=98.0)

        def rests() -> bool:
            pump()
            return [row["status"] for row in exchange.orders()[1:]] == ["TRIGGER PENDING"]

        wait_for(rests, "the exit at the exchange")
        exchange.steer.speed(0.2)
        exchange.steer.place("NSE:TEST", "SELL", 5)
        exchange.steer.put_price("NSE:TEST", 100.0)  # the print that fills it

        def gone() -> bool:
            pump()
            return not strategy.broker.orders[stop.ref].alive()

        wait_for(gone, "the end of our exit")
        self.position = strategy.position.size
        self.late = [strategy.sell(size=5, exectype=Order.Stop, price=98.0), strategy.buy(size=1)]
        exchange.steer.speed(60)
        strategy.env.runstop()


@pytest.mark.parametrize("policy", ["adopt", "ignore", "halt"])
def test_an_exit_done_outside_takes_ours_with_it_and_nothing_turns_the_account_round(kite_exchange, policy):
    kite_exchange.reset([100.0] * 6, start=OPEN, speed=60)
    step = Outside(kite_exchange)
    ran = run(kite_exchange, step, **{"broker.foreign": policy})
    bought, ours, foreign = kite_exchange.orders()[:3]
    assert (bought["status"], ours["status"], foreign["status"]) == ("COMPLETE", "CANCELLED", "COMPLETE")
    assert ours["filled_quantity"] == 0
    known = moment(foreign["exchange_update_timestamp"])
    assert moment(ours["exchange_update_timestamp"]) - known <= MOST
    assert step.position == (5 if policy == "ignore" else 0)
    exit_, entry = (ran.broker.orders[order.ref] for order in step.late)
    if policy == "ignore":
        assert exit_.info.denied_by == "broker.foreign"
    if policy == "halt":
        assert entry.info.denied_by == "broker.foreign"
    else:
        assert "denied" not in entry.info
    assert held(kite_exchange) in (0, 1)  # the entry may have reached the market


class ByHand:
    """Holds ``size`` of one side with a stop and, by chance, a limit order behind it; then somebody trades against it
    by hand, bit by bit."""

    def __init__(self, exchange: Any, rng: random.Random) -> None:
        self.exchange, self.rng = exchange, rng
        self.size = rng.randint(2, 12)
        self.long = rng.random() < 0.7
        self.bits: list[int] = []
        left = self.size
        while left and len(self.bits) < 3:
            self.bits.append(rng.randint(1, left))
            left -= self.bits[-1]
        self.took: list[Any] = []

    def __call__(self, strategy: Any) -> None:
        exchange, pump = self.exchange, strategy.data._store.pump
        enter, leave = (strategy.buy, strategy.sell) if self.long else (strategy.sell, strategy.buy)
        if strategy.bars == 1:
            enter(size=self.size)
            return
        if strategy.bars != 2:
            return
        stop = leave(size=self.size, exectype=Order.Stop, price=98.0 if self.long else 102.0)
        if self.rng.random() < 0.5:
            leave(size=self.size, exectype=Order.Limit, price=105.0 if self.long else 95.0, oco=stop)

        def rests() -> bool:
            pump()
            return self.offered() == self.size

        wait_for(rests, "the exit at the exchange")
        exchange.steer.speed(0.2)
        for bit in self.bits:
            exchange.steer.place("NSE:TEST", "SELL" if self.long else "BUY", bit)
            exchange.steer.put_price("NSE:TEST", 100.0)

            def fits() -> bool:
                pump()
                return self.offered() <= abs(held(exchange))

            known = exchange.steer.now()
            wait_for(fits, "our exit fits what is left")
            self.took += [exchange.steer.now() - known]
        exchange.steer.speed(60)
        strategy.env.runstop()

    def offered(self) -> int:
        """Units of our exits that work at the exchange."""
        ours = [row for row in self.exchange.orders() if row["tag"]]
        return sum(row["pending_quantity"] for row in ours if row["status"] in ("OPEN", "TRIGGER PENDING"))


@pytest.mark.parametrize("policy", ["adopt", "ignore", "halt"])
@pytest.mark.parametrize("seed", seeds(2, 40))
def test_our_exits_never_offer_more_than_the_account_still_holds(kite_exchange, policy, seed):
    kite_exchange.reset([100.0] * 6, start=OPEN, speed=60)
    step = ByHand(kite_exchange, random.Random(seed))
    run(kite_exchange, step, **{"broker.foreign": policy})
    left = step.size - sum(step.bits)
    assert abs(held(kite_exchange)) == left
    assert len(step.took) == len(step.bits)
    assert max(step.took) <= MOST
    assert not [row for row in kite_exchange.orders() if row["status"] == "REJECTED"]
    rests = step.offered()
    assert rests == left or (rests == 0 and not left)
