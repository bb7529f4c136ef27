"""What faults of the stream do to the unmodified KiteTicker."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from kiteconnect import KiteConnect

from btkite.exchange import Exchange
from btkite.testing import Steering

from .conftest import FLAT, UP
from .test_kiteticker import heard, listener, subscribed


@pytest.mark.parametrize("kind", ["malformed_frame", "half_frame", "socket_cut"])
def test_its_connection_is_lost(market: Callable[..., KiteConnect], running: Exchange, kind: str) -> None:
    market(UP, FLAT, FLAT)
    steer = Steering(running.url)
    with listener(running, "wire-token") as process:
        subscribed(running)
        steer.arm(kind)
        steer.play_until("2026-11-18T09:16:00")
        assert "dropped the TCP connection without previous WebSocket closing handshake" in heard(process, "error")
    assert steer.fired(kind) == 1


def test_a_refused_upgrade_is_told_and_it_gives_up(market: Callable[..., KiteConnect], running: Exchange) -> None:
    market(UP)
    Steering(running.url).arm("upgrade_refused", times=None)
    with listener(running, "wire-token") as process:
        assert "403" in heard(process, "error")
        heard(process, "gave up")


def test_it_hears_the_truth_after_ticks_stood_still(market: Callable[..., KiteConnect], running: Exchange) -> None:
    market(UP, UP)
    steer = Steering(running.url)
    with listener(running, "wire-token") as process:
        subscribed(running)
        steer.arm("ticks_frozen", seconds=20 * 60)  # the market begins at 09:00
        steer.play_until("2026-11-18T09:16:30")
        frozen = [heard(process, "ticks")[0]["last_price"] for _ in range(6)]
        steer.disarm()
        steer.advance(20)
        assert frozen == [100.0] * 6
        assert heard(process, "ticks")[0]["last_price"] == 104.0
