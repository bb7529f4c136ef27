"""How a run stands with Kite, seen through a store that is open: postbacks."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import time
from datetime import datetime, timedelta

import pytest

from btkite.errors import ConfigError
from btkite.store import KiteStore
from btkite.testing import bars
from btkite.testing.wire import USER
from btkite.values import OrderUpdate, Source

DAY = datetime(2024, 7, 1)
SECRET = "secret-of-the-app-of-the-exchange"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def opened(kite_exchange, port, secret=SECRET, mode="live"):
    kite_exchange.reset(
        bars("sideways", symbol="NSE:AAA", day=DAY, count=10),
        start=DAY + timedelta(hours=9, minutes=16),
        api_secret=SECRET,
        postback_url=f"http://127.0.0.1:{port}/",
    )
    config = kite_exchange.config(
        **{"broker.kite_connect.postback_port": port, "broker.kite_connect.api_secret": secret}
    )
    store = KiteStore(mode=mode, config=config, confirm=USER)
    store.start()
    return store


def news(store, count):
    """What postbacks have brought, once there are so many."""
    found, end = [], time.monotonic() + 20
    while len(found) < count:
        assert time.monotonic() < end, found
        store.inbox.bell.wait(0.1)
        found += [one for one in store.inbox.take() if isinstance(one, OrderUpdate) and one.source is Source.POSTBACK]
    return found


def test_what_the_exchange_posts_is_heard_and_what_others_post_is_not(kite_exchange):
    port = free_port()
    store = opened(kite_exchange, port)
    try:
        order_id = kite_exchange.steer.place("NSE:AAA", "BUY", 1)  # of the web: not the app's, so it has no seal
        kite = store.client._kite
        ours = kite.place_order("regular", "NSE", "AAA", "BUY", 1, "MIS", "MARKET", market_protection=-1, tag="OURS")
        kite_exchange.steer.advance(120)
        updates = news(store, 1)
        assert {update.order_id for update in updates} == {ours} != {order_id}
        assert updates[-1].status == "COMPLETE"
        assert (store.postbacks.heard, store.postbacks.forged) == (len(updates), 0)
        body = json.dumps({
            "order_id": ours, "order_timestamp": "2024-07-01 09:17:00", "status": "CANCELLED",
            "checksum": hashlib.sha256(f"{ours}2024-07-01 09:17:00guessed".encode()).hexdigest(),
        })  # fmt: skip
        stranger = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        stranger.request("POST", "/", body)
        assert stranger.getresponse().status == 403
        stranger.close()
        assert store.postbacks.forged == 1
        assert not [one for one in store.inbox.take() if isinstance(one, OrderUpdate) and one.status == "CANCELLED"]
    finally:
        store.stop()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1)


def test_without_a_secret_a_live_run_does_not_start_and_paper_does_not_listen(kite_exchange):
    port = free_port()
    with pytest.raises(ConfigError, match="KITE_API_SECRET"):
        opened(kite_exchange, port, secret="")
    store = opened(kite_exchange, port, mode="paper")
    assert store.postbacks is None
    store.stop()
