from __future__ import annotations

import pytest

from btkite.errors import ConfigError
from btkite.kite.endpoints import EVERYTHING, KITE, SANDBOX, resolve, simulator


def test_the_shipped_names_resolve() -> None:
    assert resolve("kite") is KITE
    assert resolve("sandbox") is SANDBOX
    assert resolve("simulator") == simulator(8765)
    assert resolve("simulator:9001").rest_root == "http://127.0.0.1:9001"


def test_production_has_kites_documented_roots() -> None:
    assert (KITE.rest_root, KITE.ws_root) == ("https://api.kite.trade", "wss://ws.kite.trade")
    assert KITE.login_root == "https://kite.zerodha.com/connect/login"
    assert KITE.capabilities == EVERYTHING


@pytest.mark.parametrize(
    ("url", "rest", "stream"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000", "ws://127.0.0.1:8000"),
        ("https://broker.example", "https://broker.example", "wss://broker.example"),
        ("http://localhost:8000/", "http://localhost:8000", "ws://localhost:8000"),
    ],
)
def test_a_root_url_sets_rest_and_stream(url: str, rest: str, stream: str) -> None:
    endpoint = resolve(url)
    assert (endpoint.rest_root, endpoint.ws_root, endpoint.route_prefix) == (rest, stream, "")
    assert endpoint.login_root == f"{rest}/connect/login"


def test_the_path_of_a_url_becomes_the_route_prefix() -> None:
    assert resolve("http://127.0.0.1:8000/oms").path("/orders") == "/oms/orders"


@pytest.mark.parametrize(
    ("route", "path"),
    [
        ("/orders", "/oms/orders"),
        ("/session/token", "/oms/session/token"),
        ("/instruments", "/instruments"),
        ("/instruments/{exchange}", "/instruments/{exchange}"),
        (
            "/instruments/historical/{instrument_token}/{interval}",
            "/oms/instruments/historical/{instrument_token}/{interval}",
        ),
    ],
)
def test_the_sandbox_prefixes_all_but_the_instruments(route: str, path: str) -> None:
    assert SANDBOX.path(route) == path


def test_the_sandbox_asks_for_the_user_id_and_takes_no_market_orders() -> None:
    assert SANDBOX.ws_extra == ("user_id",)
    assert not SANDBOX.capabilities


@pytest.mark.parametrize(
    "text",
    ["", "zerodha", "kite:80", "simulator:", "simulator:99999", "ftp://h", "http://", "http://h:port", "http://h?x=1"],
)
def test_what_is_no_endpoint_is_refused_with_the_choices(text: str) -> None:
    with pytest.raises(ConfigError, match="write kite, sandbox, simulator or a URL"):
        resolve(text)
