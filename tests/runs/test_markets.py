"""Which exchange a run speaks to: one that serves, one of its own, or nobody."""

from __future__ import annotations

import http.client
import http.server
import threading
from datetime import datetime
from typing import Any

import pytest

from btkite import runs
from btkite import served as served_by
from btkite.config import Config
from btkite.errors import ConfigError
from tests.runs.scene import (
    INTERVAL,
    SYMBOL,
    TOKEN,
    USER,
    InAndOut,
    at,
    go,
    orders_sent,
    served,
)


def test_the_built_in_exchange_ends_with_the_run(config: Config, begin: datetime) -> None:
    before = set(threading.enumerate())
    found: list[str] = []

    class Looks(InAndOut):
        def start(self) -> None:
            found.append(self.data._store.endpoint.rest_root)

    go(config, Looks, mode="live", start=begin)
    assert served_by.find(found[0]) is None
    assert [thread for thread in threading.enumerate() if thread not in before and thread.is_alive()] == []


def test_the_built_in_exchange_is_there_while_it_runs(config: Config, begin: datetime) -> None:
    found: list[Any] = []

    class Looks(InAndOut):
        def stop(self) -> None:
            found.append(served_by.find(self.data._store.endpoint.rest_root))

    go(config, Looks, mode="paper", start=begin)
    assert found[0].lockstep
    assert found[0].now.date() > begin.date()


def test_a_market_that_is_served_goes_by_its_own_clock(config: Config, made: Any) -> None:
    with served(made) as exchange, pytest.raises(ConfigError, match="goes by its own clock"):
        go(at(config, exchange), mode="paper", start="2026-11-04")


def test_a_served_exchange_is_found_at_the_configured_port(config: Config, made: Any) -> None:
    with served(made) as exchange:
        here = config.with_(**{"exchange.port": exchange.port, "broker.kite_connect.access_token": TOKEN})
        plan = runs.prepare(InAndOut, SYMBOL, mode="live", interval=INTERVAL, config=here, confirm=USER)
        assert not plan.starts_exchange
        assert dict(plan.banner())["endpoint"] == exchange.url
        result = plan.go()
        assert len(orders_sent(exchange)) >= len(result.orders) > 0


def test_a_served_exchange_on_a_running_clock_is_followed(config: Config, made: Any) -> None:
    with served(made, speed=20_000.0) as exchange:
        plan = runs.prepare(InAndOut, SYMBOL, mode="paper", interval=INTERVAL, config=at(config, exchange))
        assert plan.config.exchange.speed == "realtime"
        assert plan.market is not None
        assert not plan.market.lockstep


def test_nobody_at_an_address_is_one_sentence(config: Config, made: Any) -> None:
    with served(made) as exchange:
        there = at(config, exchange)
    with pytest.raises(ConfigError, match=r"nobody serves an exchange on .* start it with `btkite exchange`"):
        go(there, mode="paper")


def test_a_port_in_use_by_something_else_is_one_sentence(config: Config) -> None:
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with pytest.raises(ConfigError, match=r"is in use by something that is no simulated exchange"):
            go(config.with_(**{"exchange.port": server.server_port}), mode="paper")
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
