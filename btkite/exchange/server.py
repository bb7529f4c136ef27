"""The wire: one aiohttp server on one port, REST and WebSocket, in a thread of its own.

Every request of Kite's goes through one door (``door.py``); here are the thread, the motion of the market,
the sockets' upgrade and the control surface.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket as sockets
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError
from typing import TypeVar

import orjson
from aiohttp import WSMsgType, web

from . import control
from .clock import SECOND, iso
from .door import Door, json_reply, no_route, refused, write_down
from .errors import BadSettings, ExchangeError, MarketBroke, PortInUse, Refusal, bad_input
from .faults import without_type
from .page import page
from .reading import reader
from .refusals import too_many_calls
from .settings import ExchangeSettings
from .stream import Socket
from .venue import Venue

STOP_SECONDS = 5.0
BROKEN = "Something unexpected happened. Please try again."
_LOG = logging.getLogger(__name__)
T = TypeVar("T")
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


@web.middleware
async def _answer_always(request: web.Request, handler: Handler) -> web.StreamResponse:
    """What went wrong here is Kite's 500 outside, and a traceback in the log."""
    try:
        return await handler(request)
    except web.HTTPException:
        raise
    except ConnectionError:
        return web.Response()  # the client went away before its request was whole, and nobody reads this
    except Exception as error:  # noqa: BLE001 - logged whole, and told
        _LOG.exception("%s %s failed", request.method, request.path)
        text = _reason(error) if request.path.startswith("/_exchange/") else BROKEN
        return refused(Refusal(500, "GeneralException", text))


class Server:
    """Serves a venue; the venue can be exchanged for another while it runs."""

    def __init__(self, settings: ExchangeSettings) -> None:
        self.host, self._port = settings.host, settings.port
        self.venue = Venue(settings)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping: asyncio.Event | None = None
        self._changed: asyncio.Event | None = None
        self._failure: Exception | None = None
        self._ended = threading.Event()
        self.port = 0

    # its thread

    def start(self) -> None:
        """Listen; returns when the port answers. Raises PortInUse."""
        listener = self._bind()
        self.port = listener.getsockname()[1]
        ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._main(listener, ready)), name="exchange", daemon=True
        )
        self._thread.start()
        ready.wait()
        if self._failure is not None:
            raise self._failure

    def _bind(self) -> sockets.socket:
        listener = sockets.socket(sockets.AF_INET, sockets.SOCK_STREAM)
        listener.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        try:
            listener.bind((self.host, self._port))
            listener.listen(128)
        except OSError as error:
            listener.close()
            raise PortInUse(
                f"the exchange cannot listen on {self.host}:{self._port} ({error.strerror}): "
                "stop the other program or choose another port"
            ) from None
        return listener

    async def _main(self, listener: sockets.socket, ready: threading.Event) -> None:
        try:
            self._loop = asyncio.get_running_loop()
            self._stopping, self._changed = asyncio.Event(), asyncio.Event()
            runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=0.2)
            await runner.setup()
            server, loop = runner.server, self._loop
            assert server is not None
            site = await loop.create_server(lambda: reader(server, loop), sock=listener)
        except Exception as error:  # noqa: BLE001 - told to the thread that waits in start()
            self._failure = error
            ready.set()
            return
        ready.set()
        motion, stopping = asyncio.create_task(self._motion()), asyncio.create_task(self._stopping.wait())
        await asyncio.wait({motion, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for socket in list(self.venue.hub.sockets):
            socket.abort()
        site.close()
        await runner.cleanup()
        if not motion.done():
            motion.cancel()
        elif (broke := motion.exception()) is not None:  # that is said: a market never stands still in silence
            _LOG.error("the market stopped", exc_info=broke)
            self._failure = MarketBroke(f"the market stopped at {iso(self.venue.now)}: {_reason(broke)}")
        self._ended.set()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end of the market, at most ``seconds``; True if it has ended.

        Raises MarketBroke if it broke.
        """
        ended = self._ended.wait(seconds)
        if self._failure is not None:
            raise self._failure
        return ended

    def stop(self) -> None:
        """Close the port and end the thread."""
        if self._loop is None or self._stopping is None or self._thread is None:
            return
        if not self._loop.is_closed():  # it is, if the market broke
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(STOP_SECONDS)
        self._loop = None

    def call(self, action: Callable[[], T]) -> T:
        """Do something in the server's thread and wait for it."""
        if self._failure is not None:
            raise self._failure
        if self._loop is None:
            raise ExchangeError("the exchange is not running: call start() first")

        async def act() -> T:
            return action()

        try:
            return asyncio.run_coroutine_threadsafe(act(), self._loop).result()
        except CancelledError:  # the market ended before it was done
            self._ended.wait(5)
            raise self._failure or ExchangeError("the exchange has ended") from None

    def exchange_venue(self, venue: Venue) -> None:
        """Another market on the same port; sockets of the former one are cut."""

        def put() -> None:
            former, self.venue = self.venue, venue
            for socket in list(former.hub.sockets):
                socket.abort()
            self._wake()

        self.call(put)

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()

    async def _motion(self) -> None:
        """While the clock runs: play what is due. Always: heartbeats, by this machine's time, in lock step too."""
        assert self._changed is not None
        while True:
            venue = self.venue
            beat = venue.settings.heartbeat_seconds
            pause = beat / 2
            if venue.clock.speed:
                venue.catch_up()
                venue.skip_closed()
                following = venue.next_stop()
                if following is not None:
                    pause = min(pause, max(following - venue.clock.now(), 0) / SECOND / venue.clock.speed)
            venue.hub.heartbeat(beat)
            venue.after_call()
            self._changed.clear()
            try:
                # No wait_for: where both come in one turn it forgets that it was cancelled.
                async with asyncio.timeout(max(pause, 0.001)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    # its routes

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=4 * 1024 * 1024, middlewares=[_answer_always])
        for name, action in control.POSTS.items():
            app.router.add_post(f"/_exchange/{name}", self._control(action))
        for name, action in control.GETS.items():
            app.router.add_get(f"/_exchange/{name}", self._control(action))
        for name, action in control.DELETES.items():
            app.router.add_delete(f"/_exchange/{name}", self._control(action))
        app.router.add_route("*", "/_exchange/{rest:.*}", self._no_control)
        app.router.add_get("/", self._root)
        app.router.add_get("/ws", self._root)
        app.router.add_route("*", "/{rest:.*}", Door(lambda: self.venue).answer)
        app.on_response_prepare.append(without_type)
        return app

    # the stream

    async def _root(self, request: web.Request) -> web.StreamResponse:
        venue = self.venue
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return self._page(request)
        venue.catch_up()
        record = write_down(venue, request, request.query)
        app = venue.sessions.find(request.query.get("api_key", ""))
        token = request.query.get("access_token", "")
        if app is None or not app.market_data or not venue.sessions.valid(app.api_key, token, venue.now):
            record["status"] = 403
            return json_reply({"status": "error", "message": "Authentication failed."}, 403)
        if venue.hub.count(app.api_key) >= venue.settings.max_sockets:
            record["status"] = 429
            return refused(too_many_calls())
        refusal = venue.faults.at_upgrade(record)
        if refusal is not None:
            record["status"] = refusal.code
            return refused(refusal)
        record["status"] = 101
        return await self._stream(venue, request, app.api_key, token)

    async def _stream(self, venue: Venue, request: web.Request, api_key: str, token: str) -> web.StreamResponse:
        response = web.WebSocketResponse(compress=False, timeout=1.0)
        await response.prepare(request)
        peer = request.transport.get_extra_info("peername") if request.transport else ("", 0)
        socket = Socket(response, f"{peer[0]}:{peer[1]}", api_key, request.transport, token)
        if venue.settings.profile == "sandbox" and request.query.get("user_id") != venue.settings.user_id:
            socket.deaf = True
        venue.hub.greet(socket, len(venue.rows), venue.etag)
        try:
            await socket.flush()
            async for message in response:
                if message.type is WSMsgType.TEXT:
                    venue.hub.hear(socket, message.data)
                    socket.start_flush()
        except Exception:  # noqa: BLE001 - logged whole; the others go on
            _LOG.exception("a socket of %s failed", socket.peer)
            socket.abort()
        finally:
            venue.hub.sockets.remove(socket)
            venue.faults.forget(socket)
        return response

    def _page(self, request: web.Request) -> web.StreamResponse:
        try:
            self._own(request)
        except Refusal as refusal:
            return refused(refusal)
        if request.path != "/":
            return refused(no_route())
        return web.Response(body=page(), content_type="text/html", charset="utf-8")

    # the control surface

    @staticmethod
    def _own(request: web.Request) -> None:
        """Only this machine may steer the market."""
        if not ipaddress.ip_address(request.remote or "0.0.0.0").is_loopback:  # noqa: S104 - not an address to bind
            raise Refusal(403, "PermissionException", "The control surface answers on loopback only.")
        if not control.names_this_machine(request.headers.get("Host", "")):
            raise Refusal(403, "PermissionException", "The control surface answers as localhost or 127.0.0.1 only.")
        origin = request.headers.get("Origin")
        if origin is not None and origin != f"{request.scheme}://{request.host}":
            raise Refusal(403, "PermissionException", "The control surface is not for pages of other sites.")

    def _control(self, action: control.Action) -> Handler:
        async def steer(request: web.Request) -> web.StreamResponse:
            venue = self.venue
            try:
                self._own(request)
                body = await self._body(request) if request.method == "POST" else request.query
                venue.catch_up()
                data = action(venue, body)
            except Refusal as refusal:
                return refused(refusal)
            except BadSettings as error:
                return refused(bad_input(str(error)))
            self._wake()
            await venue.hub.flush()
            return json_reply({"status": "success", "data": data})

        return steer

    @staticmethod
    async def _body(request: web.Request) -> control.Body:
        text = await request.read()
        try:
            body = orjson.loads(text) if text else {}
        except ValueError:
            raise BadSettings("the body must be a JSON object") from None
        if not isinstance(body, dict):
            raise BadSettings("the body must be a JSON object")
        return body

    async def _no_control(self, request: web.Request) -> web.StreamResponse:
        return refused(Refusal(404, "GeneralException", f"{request.path}: no such control call"))
