"""Order updates that are posted to an app's address, heard by a plain HTTP server."""

from __future__ import annotations

import hashlib
import json
import os
import queue
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from btkite.exchange.apps import App

from .scene import Client

Load = Callable[..., Client]
FLAT = (100.0, 100.0, 100.0, 100.0)
SECRET = "sandboxsecret000000000000000000"
SECONDS = 5.0
SHARED = Path(os.environ.get("BTKITE_SHARED", Path(__file__).resolve().parents[3] / "shared"))


class Listener:
    """An app's address: what was posted to it, with the content type."""

    def __init__(self) -> None:
        self._posts: queue.Queue[tuple[str, bytes]] = queue.Queue()
        posts = self._posts

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                posts.put((self.headers["Content-Type"], body))
                self.send_response(500)  # nobody waits for the answer
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                """Silence."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/postback"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def next(self) -> dict[str, Any]:
        kind, body = self._posts.get(timeout=SECONDS)
        assert kind == "application/json"
        found: dict[str, Any] = json.loads(body)
        return found

    def idle(self) -> bool:
        return self._posts.empty()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def listener() -> Iterator[Listener]:
    one = Listener()
    yield one
    one.close()


def order(**more: Any) -> dict[str, Any]:
    return {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": 10, "product": "MIS",
            "order_type": "LIMIT", "price": "99.0", **more}  # fmt: skip


def test_change_fill_and_cancel_are_posted_in_order_with_a_seal(load: Load, listener: Listener) -> None:
    client = load([FLAT] * 3, postback_url=listener.url, app_id=4711)
    client.control("clock", next="bar")
    first = client.data("POST", "/orders/regular", **order(tag="mine"))["order_id"]
    client.data("PUT", f"/orders/regular/{first}", price="98.0")
    client.data("DELETE", f"/orders/regular/{first}")
    second = client.data("POST", "/orders/regular", **order(price="100.0"))["order_id"]
    client.control("clock", next="bar")
    posts = [listener.next() for _ in range(4)]
    assert [(post["order_id"], post["status"]) for post in posts] == [
        (first, "UPDATE"), (first, "CANCELLED"), (first, "CANCELLED"), (second, "COMPLETE"),
    ]  # fmt: skip
    for post in posts:
        seal = hashlib.sha256(f"{post['order_id']}{post['order_timestamp']}{SECRET}".encode()).hexdigest()
        assert (post["checksum"], post["app_id"], post["user_id"]) == (seal, 4711, "SIM001")
    assert (posts[0]["price"], posts[0]["tag"], posts[0]["unfilled_quantity"]) == (98.0, "mine", 10)
    assert posts[3]["filled_quantity"] == 10


def test_a_post_has_the_fields_of_kites_sample_in_its_order(load: Load, listener: Listener) -> None:
    folder = SHARED / "data" / "kite_mocks"
    if not folder.is_dir():
        pytest.skip("Kite's sample responses are not beside the repository (BTKITE_SHARED)")
    client = load([FLAT] * 2, postback_url=listener.url)
    client.control("clock", next="bar")
    client.data("POST", "/orders/regular", **order(price="100.0"))
    client.control("clock", next="bar")
    post, sample = listener.next(), json.loads((folder / "postback.json").read_text())
    assert list(post) == list(sample)
    for name, value in sample.items():
        if value is not None and post[name] is not None:
            number = isinstance(value, (int, float))
            assert isinstance(post[name], (int, float) if number else type(value)), name


def test_each_app_hears_of_its_own_orders_and_nobody_of_those_of_the_web(load: Load, listener: Listener) -> None:
    other = App(api_key="other", api_secret="its-secret", app_id=2, postback_url=listener.url, access_token="t2")
    client = load([FLAT] * 2, apps=(other,))
    client.control("clock", next="bar")
    mine = client.data("POST", "/orders/regular", **order())["order_id"]
    client.data("DELETE", f"/orders/regular/{mine}")
    web = client.control("orders", **order())["order_id"]
    client.control("orders", cancel=web)
    client.headers["Authorization"] = "token other:t2"
    theirs = client.data("POST", "/orders/regular", **order())["order_id"]
    client.data("DELETE", f"/orders/regular/{theirs}")
    post = listener.next()
    seal = hashlib.sha256(f"{theirs}{post['order_timestamp']}its-secret".encode()).hexdigest()
    assert (post["order_id"], post["app_id"], post["checksum"]) == (theirs, 2, seal)
    assert listener.next()["order_id"] == theirs
    assert listener.idle()


def test_an_address_that_does_not_answer_disturbs_nobody(load: Load, listener: Listener) -> None:
    listener.close()
    client = load([FLAT] * 2, postback_url=listener.url)
    client.control("clock", next="bar")
    for _ in range(3):
        order_id = client.data("POST", "/orders/regular", **order())["order_id"]
        client.data("DELETE", f"/orders/regular/{order_id}")
    assert [row["status"] for row in client.data("GET", "/orders")] == ["CANCELLED"] * 3
