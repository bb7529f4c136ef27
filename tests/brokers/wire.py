"""A wire that fails: a proxy before the exchange's REST door, and the strategies of the Kite broker's tests.

What an order call meets is scripted by rules, one a call of its kind; everything else passes. The stream is
not touched: it goes to the exchange directly. The judge is the exchange's own book.
"""

from __future__ import annotations

import http.client
import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from btkite.engine import Cerebro
from btkite.testing import KiteExchange
from btkite.testing import bars as canned
from btkite.values import OrderUpdate
from tests.brokers.scene import Planned

JSON = "application/json"
TIMED_OUT = (400, JSON, {"status": "error", "error_type": "InputException", "message": "Your order request timed out."})
TOO_MANY = (429, JSON, {"status": "error", "error_type": "NetworkException", "message": "Too many requests"})
TOO_MANY_SAYS_A_PAGE = (429, "text/html", "<html><body><h1>429 Too Many Requests</h1></body></html>")
BAD_GATEWAY = (502, "text/html", "<html><body><h1>502 Bad Gateway</h1></body></html>")


@dataclass
class Asked:
    """One request as it came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body.decode()).items()}


Answer = tuple[int, str, Any]
Rule = Callable[["Middle", Asked], "Answer | None"]
"""Makes the answer; None cuts the connection."""


class Middle:
    """The proxy. ``rules`` by method: each order call of that method uses up one."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.rules: dict[str, deque[Rule]] = {"POST": deque(), "PUT": deque(), "DELETE": deque(), "GET": deque()}
        self.kept: list[Asked] = []
        self.came = threading.Condition()
        self.target = ""
        middle = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # or each answer waits for the client's late acknowledgement
            wbufsize = -1

            def do(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked = Asked(self.command, self.path, dict(self.headers), body)
                answer = middle._answer(asked)
                if answer is None:
                    self.close_connection = True
                    return
                status, kind, content = answer
                data = (
                    content
                    if isinstance(content, bytes)
                    else content.encode()
                    if isinstance(content, str)
                    else json.dumps(content).encode()
                )
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
                self.wfile.flush()

            do_GET = do_POST = do_PUT = do_DELETE = do

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args: Any) -> None:
                """The client went away."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def begin(self, target: str) -> None:
        """Another test, before the exchange at ``target``."""
        self.target = target
        self.asked.clear()
        self.kept.clear()
        for rules in self.rules.values():
            rules.clear()

    def on(self, method: str, *rules: Rule) -> None:
        self.rules[method].extend(rules)

    def calls(self, method: str | None = None) -> list[Asked]:
        """The order calls that came in."""
        return [
            asked
            for asked in self.asked
            if asked.path.startswith("/orders") and asked.method != "GET" and method in (None, asked.method)
        ]

    def wait_for(self, method: str, count: int) -> None:
        with self.came:
            assert self.came.wait_for(lambda: len(self.calls(method)) >= count, 10), f"{method} never came"

    def _answer(self, asked: Asked) -> Answer | None:
        with self.came:
            if not asked.path.startswith("/_exchange"):
                self.asked.append(asked)
            self.came.notify_all()
        rules = self.rules[asked.method]
        if asked.path.split("?")[0].startswith("/orders") and rules:
            return rules.popleft()(self, asked)
        return self.forward(asked)

    def forward(self, asked: Asked) -> Answer:
        """To the exchange, and what it says."""
        where = urlsplit(self.target)
        connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=30)
        try:
            headers = {
                name: value for name, value in asked.headers.items() if name.lower() not in ("host", "connection")
            }
            connection.request(asked.method, asked.path, asked.body or None, headers)
            reply = connection.getresponse()
            return reply.status, reply.headers.get("Content-Type", JSON), reply.read()
        finally:
            connection.close()

    def control(self, path: str, **body: Any) -> Any:
        """The exchange's control surface."""
        asked = Asked("POST", f"/_exchange/{path}", {"Content-Type": JSON}, json.dumps(body).encode())
        return json.loads(self.forward(asked)[2])


# -- rules ---------------------------------------------------------------------------------------------


def passes(middle: Middle, asked: Asked) -> Answer | None:
    return middle.forward(asked)


def lost(answer: Answer | None = None) -> Rule:
    """The exchange never hears of it."""
    return lambda middle, asked: answer


def done_but(answer: Answer | None = None) -> Rule:
    """The exchange does it; the client hears something else, or nothing."""

    def rule(middle: Middle, asked: Asked) -> Answer | None:
        middle.forward(asked)
        return answer

    return rule


def kept(middle: Middle, asked: Asked) -> Answer | None:
    """On its way for now; the client hears that it timed out. :func:`release` brings it to the exchange."""
    middle.kept.append(asked)
    return TIMED_OUT


def release(middle: Middle) -> list[Any]:
    """What was kept arrives after all."""
    answers = [json.loads(middle.forward(asked)[2]) for asked in middle.kept]
    middle.kept.clear()
    return answers


def held_until(event: threading.Event, then: Rule = passes) -> Rule:
    """The call arrives when the test says so."""

    def rule(middle: Middle, asked: Asked) -> Answer | None:
        assert event.wait(10)
        return then(middle, asked)

    return rule


def filled_before(told: Callable[[], bool], *, cut: bool = False) -> Rule:
    """Done, and filled at ₹100 at once; the answer (or its loss) comes only when the stream has ``told`` of it."""

    def rule(middle: Middle, asked: Asked) -> Answer | None:
        answer = middle.forward(asked)
        middle.control("market", exchange="NSE", tradingsymbol="TEST", last_price=100.0)
        for _ in range(1000):
            if told():
                return None if cut else answer
            threading.Event().wait(0.005)
        raise AssertionError("the stream did not tell of the fill")

    return rule


# -- a run ---------------------------------------------------------------------------------------------


class Told(Planned):
    """Notes what the store says too."""

    def __init__(self) -> None:
        super().__init__()
        self.news: list[str] = []

    def notify_store(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.news.append(" ".join(str(part) for part in (msg, *args)))


def says(strategy: Any, filled: int, status: str = "OPEN", *, order: Any = None, **more: Any) -> None:
    """Kite's word on an order of NSE:TEST (without one, on the first that was given), put where its stream puts it."""
    order = order or strategy.given[0]
    facts = {"order_id": order.info.order_id, "quantity": int(abs(order.size)), "average_price": 100.0, **more}
    update = OrderUpdate(
        status=status,
        exchange="NSE",
        tradingsymbol="TEST",
        transaction_type="BUY" if order.isbuy() else "SELL",
        filled_quantity=filled,
        **facts,
    )
    strategy.data._store.inbox.put(update)


@dataclass
class Live:
    """The exchange behind the failing wire, ready for a strategy."""

    exchange: KiteExchange
    middle: Middle

    def run(
        self,
        rows: Any,
        plan: Any,
        *,
        react: Any = None,
        interval: str = "minute",
        settings: Any = None,
        prepare: Any = None,
        record: Any = None,
        strategy: type[Told] = Told,
        **config: Any,
    ) -> Told:
        """The strategy after a live run on ``rows`` of NSE:TEST; without rows the market goes on where it is."""
        if rows is not None:
            candles = canned.from_rows(rows, interval=interval) if isinstance(rows, list) else rows
            self.exchange.reset(candles, **(settings or {}))
        keys = {"broker.kite_connect.timeout": 5.0, **config}
        store = self.exchange.store("live", config=self.exchange.config(**keys))
        store.endpoint = replace(store.endpoint, rest_root=self.middle.url)
        engine = Cerebro(stdstats=False)
        for key in self.exchange.candles:
            engine.adddata(store.getdata(key, interval=interval), name=key)
        engine.setbroker(store.getbroker(record=record))
        if prepare is not None:
            prepare(store)
        engine.addstrategy(strategy, plan=plan, react=react)
        found: Told = engine.run()[0]
        return found

    def book(self) -> list[dict[str, Any]]:
        """The exchange's own orders."""
        return self.exchange.orders()

    def held(self) -> int:
        """The exchange's own position."""
        return sum(int(row["quantity"]) for row in self.exchange.positions())


def on_its_way(s, live, method):
    """What was given so far leaves now, as on a market that does not wait for the strategy."""
    s.broker.store.desk.send_off()
    live.middle.wait_for(method, 1)
