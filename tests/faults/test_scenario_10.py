"""Scenario 10, silent stream: the connection stands, nothing comes on it, and an order fills meanwhile."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import pytest

from tests.faults.process import SYMBOLS, live, until
from tests.faults.seeds import seeds

LIMIT = 12.0
"""Seconds of ``data.silence``; at twice the market's pace the heartbeat bounds nothing yet."""


@pytest.mark.parametrize("seed", seeds(2, 20))
def test_a_half_open_stream_is_told_entries_stop_a_fill_is_learnt_and_all_is_subscribed_again(
    tmp_path: Path, seed: int
) -> None:
    """Another morning, another depth of the order that rests, another bar of it each time."""
    rng = random.Random(seed)
    with live(tmp_path, speed=60, seed=rng.randint(1, 10_000)) as running:
        running.start(f"resting={rng.choice([0.03, 0.05, 0.08])}", BTKITE_DATA__SILENCE=LIMIT)
        running.hears("order", "Accepted", "BUY", "Limit")
        running.hears("bar", count=rng.randint(2, 12))
        resting = next(row for row in running.steer.orders() if row["status"] == "OPEN")
        modes = running.steer.sockets()[0]["subscriptions"]
        assert set(modes.values()) == {"full"}
        running.steer.speed(2)
        armed = running.steer.now()
        running.steer.arm("socket_half_open", seconds=rng.randint(45, 90))
        running.passes(rng.randint(0, 8))
        running.steer.put_price(SYMBOLS[0], round(resting["price"] * 0.99, 1), volume=1000)
        filled = running.steer.now()
        running.hears("order", "Completed", "BUY", "Limit")
        learnt = running.moments("order", "Completed", "BUY", "Limit")[0]
        assert learnt - filled <= timedelta(seconds=10)  # by REST: the stream was dumb
        running.hears("store", "feed silent")
        told = running.moments("store", "feed silent")[0]
        assert told - armed <= timedelta(seconds=LIMIT + 2)
        running.hears("store", "feed flows")
        until(
            lambda: any(socket["subscriptions"] == modes for socket in running.steer.sockets()),
            "all is subscribed again, each in its mode",
        )
        running.steer.speed(60)
        sent = len(running.steer.orders())
        running.hears("bar", count=len(running.lines("bar")) + 1)
        until(lambda: len(running.steer.orders()) > sent, "entries go on")
        assert running.terminate()[0] == 0, running.words()
        assert len(running.lines("order", "Completed", "BUY", "Limit")) == 1
        assert len(running.lines("store", "feed silent")) == 1


def test_while_the_stream_is_silent_no_entry_reaches_the_exchange(tmp_path: Path) -> None:
    with live(tmp_path, speed=60) as running:
        running.start(BTKITE_DATA__SILENCE=LIMIT)
        running.hears("order", "Completed", "BUY")
        running.steer.speed(10)
        running.steer.arm("heartbeat_only", seconds=150, updates=True)
        running.hears("store", "feed silent")
        sent = len(running.steer.orders())
        running.passes(30)
        assert len(running.steer.orders()) == sent
        running.hears("store", "feed flows")


def test_a_halt_is_no_silence(tmp_path: Path) -> None:
    with live(tmp_path, speed=60) as running:
        running.start(BTKITE_DATA__SILENCE=LIMIT)
        running.hears("order", "Completed", "BUY")
        asked = len(running.asked("GET", "/quote"))
        running.steer.halt("", minutes=15)
        until(lambda: len(running.asked("GET", "/quote")) >= asked + 2, "Kite was asked for newer prices")
        running.passes(60)
        assert running.lines("store", "feed silent") == []
