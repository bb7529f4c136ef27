"""What the server does when something in it breaks: it says so, and never stands still in silence."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from btkite.exchange import Exchange, ExchangeError
from btkite.exchange.errors import Refusal, TooLarge
from btkite.exchange.server import Server

from .scene import TOKEN, settings

FLAT = (100.0, 100.0, 100.0, 100.0)


def ask(port: int, method: str, path: str, body: str | None = None) -> tuple[int, dict[str, Any]]:
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    client.request(method, path, body, {"Authorization": f"token sandboxkey000000:{TOKEN}"})
    answer = client.getresponse()
    read_body = json.loads(answer.read())
    client.close()
    return answer.status, read_body


def test_what_fails_behind_a_route_is_kites_500_and_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def break_down(*_: object) -> None:
        raise RuntimeError("a screw is loose")

    with Exchange(settings([FLAT])) as exchange:
        venue = exchange._server.venue
        monkeypatch.setattr(venue.sessions, "profile", break_down)
        monkeypatch.setattr(type(venue), "clock_state", break_down)
        status, body = ask(exchange.port, "GET", "/user/profile")
        assert (status, body["status"], body["error_type"]) == (500, "error", "GeneralException")
        status, body = ask(exchange.port, "POST", "/_exchange/clock", "{}")
        assert (status, body["error_type"]) == (500, "GeneralException")
        assert "a screw is loose" in body["message"]
        assert venue.requests[-1]["status"] == 500
    assert caplog.text.count("RuntimeError: a screw is loose") == 2


def test_an_over_long_url_and_what_is_not_http_are_refused_in_json(caplog: pytest.LogCaptureFixture) -> None:
    with Exchange(settings([FLAT])) as exchange:
        status, body = ask(exchange.port, "GET", "/quote/ltp?i=" + "&i=".join(["NSE:INFY"] * 20_000))
        assert (status, body["error_type"]) == (414, "InputException")
        assert body["message"] == "The URL or a header is longer than 131072 bytes."
        with socket.create_connection(("127.0.0.1", exchange.port), timeout=5) as raw:
            raw.sendall(b"what is this\r\n\r\n")
            answer = http.client.HTTPResponse(raw)
            answer.begin()
            assert (answer.status, answer.headers["Content-Type"]) == (400, "application/json")
            assert json.loads(answer.read())["error_type"] == "InputException"
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("remote", "host", "origin", "said"),
    [
        ("127.0.0.1", "127.0.0.1:8000", None, None),
        ("::1", "[::1]:8000", None, None),
        ("127.0.0.1", "localhost:8000", "http://localhost:8000", None),
        ("192.168.1.7", "127.0.0.1:8000", None, "loopback only"),
        ("8.8.8.8", "localhost", None, "loopback only"),
        ("", "localhost", None, "loopback only"),
        ("127.0.0.1", "market.example:8000", None, "localhost or 127.0.0.1 only"),
        ("127.0.0.1", "localhost:8000", "http://market.example", "pages of other sites"),
    ],
)
def test_the_control_surface_is_for_this_machine_alone(
    remote: str, host: str, origin: str | None, said: str | None
) -> None:
    headers = {"Host": host, **({"Origin": origin} if origin else {})}
    request = make_mocked_request("POST", "/_exchange/clock", headers=headers).clone(remote=remote)
    if said is None:
        Server._own(request)
        return
    with pytest.raises(Refusal, match=said) as told:
        Server._own(request)
    assert told.value.code == 403


def test_a_market_that_breaks_says_so_to_whoever_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = Exchange(settings([FLAT], speed=1.0))

    def break_down() -> None:
        raise TooLarge("a packet cannot carry it")

    monkeypatch.setattr(exchange._server.venue, "after_call", break_down)

    def run() -> None:
        exchange.start()  # it may break before this returns
        exchange.wait(5)

    with pytest.raises(ExchangeError, match=r"the market stopped at .*TooLarge: a packet cannot carry it"):
        run()
    with pytest.raises(ExchangeError, match="the market stopped"):
        exchange.status()
    exchange.stop()


BROKEN = """
import sys
from btkite.exchange.venue import Venue
def break_down(venue):
    raise RuntimeError("a screw is loose")
Venue.skip_closed = break_down
from btkite.cli.app import main
sys.exit(main(["exchange", "--port", "0", "--speed", "60", "--date", "2026-11-18"]))
"""


def test_the_command_of_a_market_that_broke_ends_with_1_and_the_reason(tmp_path: Any) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BROKEN], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "the market stopped at 2026-11-18" in done.stderr
    assert "a screw is loose" in done.stderr
