"""The way to Kite: a proxy on loopback that notes every byte it is given."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from btkite.clock import ManualClock
from btkite.errors import KiteUnavailable
from btkite.kite.client import KiteClient
from btkite.kite.endpoints import KITE
from btkite.kite.inbox import Inbox, Link
from btkite.kite.network import proxy_for
from btkite.kite.stream import KiteStream
from tests.kite.fakes import KEY, TOKEN, FakeRest, data


class Proxy:
    """An HTTP proxy that says yes to CONNECT, keeps what comes after it, and hangs up."""

    def __init__(self) -> None:
        self.heads: list[str] = []
        self.tunnelled: list[bytes] = []
        self.changed = threading.Condition()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                head = b""
                while b"\r\n\r\n" not in head and (part := connection.recv(4096)):
                    head += part
                connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                inside = connection.recv(4096)
            with self.changed:
                self.heads.append(head.decode())
                self.tunnelled.append(inside)
                self.changed.notify_all()

    def until(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.heads) >= count, 10)

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    made = Proxy()
    yield made
    made.close()


SECURE = replace(KITE, rest_root="https://kite.invalid", ws_root="wss://stream.invalid")


def test_rest_asks_the_proxy_to_connect_and_shows_it_no_token(clock: ManualClock, proxy: Proxy) -> None:
    client = KiteClient(SECURE, KEY, TOKEN, clock=clock, proxy=proxy.url, attempts=1)
    with pytest.raises(KiteUnavailable):
        client.profile()
    client.close()
    proxy.until(1)
    assert proxy.heads[0].startswith("CONNECT kite.invalid:443 HTTP/1.")
    assert proxy.tunnelled[0][:1] == b"\x16"  # the hello of TLS
    assert TOKEN not in proxy.heads[0]
    assert TOKEN.encode() not in proxy.tunnelled[0]


def test_the_stream_goes_the_same_way(clock: ManualClock, proxy: Proxy) -> None:
    inbox = Inbox()
    stream = KiteStream(SECURE, KEY, lambda: TOKEN, inbox, clock, proxy=proxy.url, backoff=(60, 60))
    stream.start()
    try:
        proxy.until(1)
    finally:
        stream.stop()
    assert stream.link is Link.CLOSED
    assert proxy.heads[0].startswith("CONNECT stream.invalid:443 HTTP/1.")
    assert proxy.tunnelled[0][:1] == b"\x16"
    assert TOKEN not in proxy.heads[0]
    assert TOKEN.encode() not in proxy.tunnelled[0]


def test_a_market_without_tls_is_reached_directly(clock: ManualClock, proxy: Proxy, rest: FakeRest) -> None:
    rest.on("/user/profile", data({"user_id": "AB1234"}))
    client = KiteClient(rest.endpoint, KEY, TOKEN, clock=clock, proxy=proxy.url)
    assert client.profile() == {"user_id": "AB1234"}
    client.close()
    assert proxy.heads == []
    assert proxy_for("ws://127.0.0.1:9", proxy.url) is None


def test_the_environments_proxies_and_logins_are_not_looked_at(
    clock: ManualClock, proxy: Proxy, rest: FakeRest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.setenv("NO_PROXY", "")
    rest.on("/user/profile", data({"user_id": "AB1234"}))
    client = KiteClient(rest.endpoint, KEY, TOKEN, clock=clock)
    client.profile()
    client.close()
    assert proxy.heads == []
    assert rest.asked[0].headers["Authorization"] == f"token {KEY}:{TOKEN}"


@pytest.mark.parametrize("ipv4", [True, False])
def test_through_a_proxy_too_the_family_is_kept(clock: ManualClock, proxy: Proxy, *, ipv4: bool) -> None:
    client = KiteClient(SECURE, KEY, TOKEN, clock=clock, proxy=proxy.url, ipv4=ipv4, attempts=1)
    with pytest.raises(KiteUnavailable):
        client.profile()
    adapter = client._kite.reqsession.get_adapter(SECURE.rest_root)
    kept = adapter.proxy_manager[proxy.url].connection_pool_kw.get("source_address")
    client.close()
    assert kept == (("0.0.0.0", 0) if ipv4 else None)
