"""Fakes of Kite's wire on loopback: a REST server and a WebSocket server that do as they are told.

They know nothing of btkite. A test says what the next answers are and looks at what arrived.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import WSMsgType, web

from btkite.kite.endpoints import Endpoint, resolve

KEY, TOKEN = "kitefakekey", "Tok3nOfTheDay"
NOON = datetime(2026, 11, 23, 12, 0)


@dataclass
class Asked:
    """One request as it arrived."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: str

    @property
    def form(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(self.body, keep_blank_values=True).items()}


@dataclass
class Reply:
    """What to answer. ``body`` None and ``status`` 0: cut the connection instead, with ``reset`` abruptly."""

    body: Any = None
    status: int = 200
    content_type: str | None = "application/json"
    raw: bytes | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hold: threading.Event | None = None  # answer only when set
    cut_after: int | None = None  # bytes of the body that get through
    reset: bool = False

    def bytes(self) -> bytes:
        return self.raw if self.raw is not None else json.dumps(self.body).encode()


def data(value: Any) -> Reply:
    return Reply({"status": "success", "data": value})


def error(status: int, error_type: str, message: str, more: Any = None) -> Reply:
    return Reply({"status": "error", "error_type": error_type, "message": message, "data": more}, status)


class FakeRest:
    """Answers scripted replies, first those for the path, then those for any; else ``{}`` as data."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.arrived = threading.Condition()
        self._script: deque[Reply] = deque()
        self._paths: dict[str, Reply | Callable[[Asked], Reply]] = {}
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self) -> None:
                url = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                asked = Asked(self.command, url.path, parse_qs(url.query), dict(self.headers), body)
                with fake.arrived:
                    fake.asked.append(asked)
                    fake.arrived.notify_all()
                reply = fake._answer(asked)
                if reply.hold is not None:
                    reply.hold.wait(20)
                if reply.status == 0:
                    if reply.reset:  # an end without lingering is a reset
                        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                        self.connection.close()
                    self.close_connection = True
                    return
                content = reply.bytes()
                self.send_response(reply.status)
                if reply.content_type is not None:
                    self.send_header("Content-Type", reply.content_type)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if reply.cut_after is not None:
                    self.wfile.write(content[: reply.cut_after])
                    self.close_connection = True
                    return
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = do

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *args: Any) -> None:
                """The client went away: what some of the tests are about."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.root = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def then(self, *replies: Reply) -> None:
        self._script.extend(replies)

    def on(self, path: str, reply: Reply | Callable[[Asked], Reply]) -> None:
        self._paths[path] = reply

    def _answer(self, asked: Asked) -> Reply:
        if asked.path in self._paths:
            reply = self._paths[asked.path]
            return reply(asked) if callable(reply) else reply
        return self._script.popleft() if self._script else data({})

    def wait_for(self, count: int, seconds: float = 10.0) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.asked) >= count, seconds), f"{len(self.asked)} requests came"

    @property
    def endpoint(self) -> Endpoint:
        return resolve(self.root)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class FakeSocket:
    """One connection that a client holds with the fake stream."""

    def __init__(self, fake: FakeStream, websocket: web.WebSocketResponse, request: web.Request) -> None:
        self._fake = fake
        self._websocket = websocket
        self.transport = request.transport
        self.query = dict(request.query)
        self.headers = dict(request.headers)
        peer = request.transport.get_extra_info("peername") if request.transport else ("", 0)
        self.peer = f"{peer[0]}:{peer[1]}"
        self.heard: list[dict[str, Any]] = []
        self.modes: dict[int, str] = {}
        self.open = True

    def hear(self, message: dict[str, Any]) -> None:
        self.heard.append(message)
        value = message["v"]
        if message["a"] == "subscribe":
            self.modes.update({token: self.modes.get(token, "quote") for token in value})
        elif message["a"] == "unsubscribe":
            for token in value:
                self.modes.pop(token, None)
        elif message["a"] == "mode":
            self.modes.update(dict.fromkeys(value[1], value[0]))

    def send(self, payload: bytes | str) -> None:
        send = self._websocket.send_bytes if isinstance(payload, bytes) else self._websocket.send_str
        self._fake.do(send(payload))  # type: ignore[arg-type]

    def cut(self) -> None:
        """As a network does it: no closing handshake."""

        async def abort() -> None:
            if self.transport is not None:
                self.transport.abort()

        self._fake.do(abort())

    def close(self) -> None:
        self._fake.do(self._websocket.close())


class FakeStream:
    """A WebSocket server in a thread: notes who connects and what is said, sends what it is told."""

    def __init__(self) -> None:
        self.sockets: list[FakeSocket] = []
        self.refusals: deque[int] = deque()  # HTTP statuses for the next upgrades
        self.refuse_all = 0
        self.deaf = False  # answer no ping, read nothing
        self.attempts = 0
        self.changed = threading.Condition()
        self.loop = asyncio.new_event_loop()
        self.port = 0
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started,), daemon=True)
        self._thread.start()
        assert started.wait(10)

    def _run(self, started: threading.Event) -> None:
        asyncio.set_event_loop(self.loop)

        async def start() -> None:
            app = web.Application()
            app.router.add_get("/", self._serve)
            self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
            await self._runner.setup()
            site = web.TCPSite(self._runner, "127.0.0.1", 0)
            await site.start()
            self.port = self._runner.addresses[0][1]

        self.loop.run_until_complete(start())
        started.set()
        self.loop.run_forever()
        self.loop.run_until_complete(self._runner.cleanup())
        self.loop.close()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        self.attempts += 1
        self._notify()
        status = self.refusals.popleft() if self.refusals else self.refuse_all
        if status:
            body = {"status": "error", "message": "Authentication failed."}
            return web.json_response(body, status=status)
        websocket = web.WebSocketResponse(autoping=not self.deaf)
        await websocket.prepare(request)
        socket = FakeSocket(self, websocket, request)
        with self.changed:
            self.sockets.append(socket)
            self.changed.notify_all()
        async for message in websocket:
            if message.type is WSMsgType.TEXT:
                socket.hear(json.loads(message.data))
                self._notify()
        socket.open = False
        self._notify()
        return websocket

    def _notify(self) -> None:
        with self.changed:
            self.changed.notify_all()

    def do(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(10)

    def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, seconds), "the fake stream waited in vain"

    def socket(self, number: int) -> FakeSocket:
        """The ``number``-th connection, once it is there."""
        self.until(lambda: len(self.sockets) > number)
        return self.sockets[number]

    @property
    def endpoint(self) -> Endpoint:
        return resolve(f"http://127.0.0.1:{self.port}")

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
