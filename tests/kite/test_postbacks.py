"""Postbacks: what is posted to the listener over HTTP, and what of it reaches the inbox."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Iterator
from typing import Any

import pytest

from btkite.errors import ConfigError
from btkite.kite.inbox import Inbox
from btkite.kite.postbacks import LARGEST, Postbacks
from btkite.values import OrderUpdate, Source

SECRET = "the-secret-of-the-app"
TIME = "2026-11-23 10:00:05"


def row(order_id: str = "151220000000000", secret: str = SECRET, **more: Any) -> dict[str, Any]:
    seal = hashlib.sha256(f"{order_id}{TIME}{secret}".encode()).hexdigest()
    return {
        "user_id": "AB1234", "order_id": order_id, "order_timestamp": TIME, "checksum": seal, "status": "COMPLETE",
        "quantity": 10, "filled_quantity": 10, "average_price": 100.5, "tag": "T1", **more,
    }  # fmt: skip


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def listener(inbox: Inbox) -> Iterator[Postbacks]:
    made = Postbacks("127.0.0.1", 0, SECRET, inbox, user_id="AB1234")
    yield made
    made.stop()


def post(listener: Postbacks, body: bytes | dict[str, Any], **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", listener.port, timeout=10)
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", "/kite", text, headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_what_kite_has_sealed_is_news_of_an_order(listener: Postbacks, inbox: Inbox) -> None:
    assert post(listener, row()) == 200
    (update,) = inbox.take()
    assert isinstance(update, OrderUpdate)
    assert (update.order_id, update.status, update.filled_quantity) == ("151220000000000", "COMPLETE", 10)
    assert (update.average_price, update.tag, update.source) == (100.5, "T1", Source.POSTBACK)
    assert (listener.heard, listener.forged, listener.unread) == (1, 0, 0)


def test_what_somebody_else_has_sealed_is_turned_away_and_counted(listener: Postbacks, inbox: Inbox) -> None:
    assert post(listener, row(secret="guessed")) == 403
    assert post(listener, {**row(), "order_id": "999"}) == 403
    assert post(listener, {**row(), "checksum": ""}) == 403
    assert post(listener, {**row(), "checksum": "\N{LATIN SMALL LETTER E WITH ACUTE}"}) == 403
    assert post(listener, row(user_id="ZZ9999")) == 403
    assert inbox.take() == []
    assert (listener.heard, listener.forged) == (0, 5)


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"order_id": "1"}', b'"\\ud800"', b"x" * (LARGEST + 1), b'{"order_id":"\\ud800"}'],
)
def test_what_cannot_be_read_is_turned_away_and_counted(listener: Postbacks, inbox: Inbox, body: bytes) -> None:
    assert post(listener, body) == 400
    assert listener.unread == 1
    assert post(listener, row()) == 200
    assert len(inbox) == 1


def test_nothing_can_be_asked_of_it(listener: Postbacks) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", listener.port, timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().status == 501
    connection.close()


def test_without_the_apps_secret_kite_cannot_be_known(inbox: Inbox) -> None:
    with pytest.raises(ConfigError, match="KITE_API_SECRET"):
        Postbacks("127.0.0.1", 0, "", inbox)


def test_a_port_in_use_is_one_clear_sentence(listener: Postbacks, inbox: Inbox) -> None:
    with pytest.raises(ConfigError, match=rf"port {listener.port} for postbacks is not free"):
        Postbacks("127.0.0.1", listener.port, SECRET, inbox)


def test_the_secret_is_in_no_line_of_the_log(listener: Postbacks, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    post(listener, row())
    post(listener, row(secret="guessed"))
    assert "not sealed by Kite" in caplog.text
    assert SECRET not in caplog.text
    assert row()["checksum"] not in caplog.text


def test_a_body_that_is_too_large_is_not_read_though_it_is_sealed(listener: Postbacks, inbox: Inbox) -> None:
    assert post(listener, json.dumps(row()).encode().ljust(LARGEST)) == 200
    assert post(listener, json.dumps(row()).encode().ljust(LARGEST + 1)) == 400
    assert (listener.heard, listener.unread, len(inbox)) == (1, 1, 1)


def test_a_seal_is_of_one_moment_of_one_order(listener: Postbacks, inbox: Inbox) -> None:
    assert post(listener, row(order_timestamp="2026-11-23 10:00:06")) == 403
    assert len(inbox) == 0


def test_of_whom_nothing_is_said_is_ours(inbox: Inbox) -> None:
    """Kite names the account in each; a listener that knows no account takes any."""
    anybodys = Postbacks("127.0.0.1", 0, SECRET, inbox)
    try:
        assert post(anybodys, row(user_id="ZZ9999")) == 200
    finally:
        anybodys.stop()
    assert len(inbox) == 1
