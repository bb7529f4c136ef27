"""The fault matrix: every row of the table, seen on the wire by clients that are not ours.

REST faults by the unmodified ``kiteconnect``, stream faults by a bare WebSocket; the judge is the exchange's
own book.
"""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import pytest
import requests
from kiteconnect import KiteConnect
from kiteconnect import exceptions as kite_errors

from btkite.exchange import BadSettings, Exchange, ExchangeSettings
from btkite.exchange.faults import PASSING, TABLE, as_markdown
from btkite.testing import Steering, SteeringError

from .scene import KEY, TOKEN, candles, settings

FLAT = (100.0, 100.0, 100.0, 100.0)
UP = (100.0, 104.0, 98.0, 102.0)
INFY = 408065
APP = "sandboxkey000000"
SHORT = 0.25  # seconds that a client waits
LONG = 0.6  # seconds that an answer is withheld
SOON = 5.0  # seconds within which a frame must come
ORDER = {
    "variety": "regular", "exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": 10,
    "product": "MIS", "order_type": "LIMIT", "price": 90.0,
}  # fmt: skip

covered: set[str] = set()


def covers(*kinds: str) -> Callable[[Any], Any]:
    """Says which rows of the table a test exercises."""
    covered.update(kinds)
    return lambda test: test


class Stage:
    """A market of INFY in its second minute, the official client before it, and the control surface."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.steer = Steering(exchange.url)
        self.kite = KiteConnect(api_key=APP, access_token=TOKEN, root=exchange.url, timeout=SHORT)
        self.patient = KiteConnect(api_key=APP, access_token=TOKEN, root=exchange.url, timeout=10)

    def place(self, **changes: Any) -> Any:
        return self.kite.place_order(**{**ORDER, **changes})

    def book(self) -> list[dict[str, Any]]:
        return self.steer.orders()

    def last_fault(self) -> Any:
        return self.steer.requests()[-1]["fault"]


@pytest.fixture
def load(running: Exchange) -> Iterator[Callable[..., Stage]]:
    def put(bars: Any = None, **more: Any) -> Stage:
        running.reset(settings(bars or [FLAT] * 30, **more))
        stage = Stage(running)
        stage.steer.play_until("2026-11-18T09:16:00+05:30")
        return stage

    yield put
    running.reset(settings([FLAT]))


@pytest.fixture
def stage(load: Callable[..., Stage]) -> Stage:
    return load()


def test_every_row_of_the_table_is_exercised_here() -> None:
    assert covered == set(TABLE)
    assert len(TABLE) >= 30


# ---- replies ----------------------------------------------------------------------------------------


@covers("reply_withheld_before", "reply_withheld_after")
@pytest.mark.parametrize(("kind", "booked"), [("reply_withheld_before", 0), ("reply_withheld_after", 1)])
def test_a_withheld_reply_runs_into_the_clients_time_out(stage: Stage, kind: str, booked: int) -> None:
    stage.steer.arm(kind, method="POST", seconds=LONG)
    with pytest.raises(requests.exceptions.ReadTimeout):
        stage.place()
    assert len(stage.book()) == booked
    row = stage.steer.requests()[-1]
    assert (row["status"], row["fault"]) == (None, kind)


def test_whoever_waits_longer_than_the_reply_is_withheld_is_cut_off(stage: Stage) -> None:
    stage.steer.arm("reply_withheld_after", method="POST", seconds=0.05)
    with pytest.raises(requests.exceptions.ConnectionError):
        stage.place()


@covers("connection_dropped_before", "connection_dropped_after")
@pytest.mark.parametrize(("kind", "booked"), [("connection_dropped_before", 0), ("connection_dropped_after", 1)])
def test_a_dropped_connection(stage: Stage, kind: str, booked: int) -> None:
    stage.steer.arm(kind, method="POST")
    with pytest.raises(requests.exceptions.ConnectionError):
        stage.place()
    assert len(stage.book()) == booked
    stage.place()  # the next call is served
    assert len(stage.book()) == booked + 1


@covers("timed_out_after_accept")
def test_an_order_that_timed_out_is_in_the_book(stage: Stage) -> None:
    stage.steer.arm("timed_out_after_accept")
    with pytest.raises(kite_errors.NetworkException, match="check the order book") as told:
        stage.place(tag="mine")
    assert told.value.code == 400
    assert [row["tag"] for row in stage.kite.orders()] == ["mine"]


@covers("too_many_requests", "server_error", "unavailable_503", "gateway_timeout")
@pytest.mark.parametrize(
    ("kind", "error", "code"),
    [
        ("too_many_requests", kite_errors.NetworkException, 429),
        ("server_error", kite_errors.GeneralException, 500),
        ("unavailable_503", kite_errors.NetworkException, 503),
        ("gateway_timeout", kite_errors.NetworkException, 504),
    ],
)
def test_a_failure_of_the_server_has_its_code_and_nothing_was_done(
    stage: Stage, kind: str, error: type[Exception], code: int
) -> None:
    stage.steer.arm(kind)
    with pytest.raises(error) as told:
        stage.place()
    assert told.value.code == code  # type: ignore[attr-defined]
    assert stage.book() == []
    assert stage.last_fault() == kind


@pytest.mark.parametrize("kind", ["server_error", "html_502", "unavailable_503", "gateway_timeout"])
def test_a_failure_on_the_way_back_comes_after_the_order(stage: Stage, kind: str) -> None:
    stage.steer.arm(kind, accepted=True)
    with pytest.raises(kite_errors.KiteException):
        stage.place()
    assert len(stage.book()) == 1


@covers("html_502")
def test_a_page_of_html_is_no_json(stage: Stage) -> None:
    stage.steer.arm("html_502")
    reply = requests.get(f"{stage.exchange.url}/orders", headers=header(), timeout=SOON)
    assert (reply.status_code, reply.headers["Content-Type"]) == (502, "text/html")
    assert "<h1>502 Bad Gateway</h1>" in reply.text
    stage.steer.arm("html_502")
    with pytest.raises(kite_errors.DataException):
        stage.place()


@covers("missing_content_type")
def test_without_a_content_type_the_official_client_trips(stage: Stage) -> None:
    stage.steer.arm("missing_content_type")
    with pytest.raises(KeyError, match="content-type"):
        stage.place()
    assert len(stage.book()) == 1


@covers("malformed_json")
def test_half_a_body_cannot_be_parsed(stage: Stage) -> None:
    stage.steer.arm("malformed_json")
    with pytest.raises(kite_errors.DataException, match="parse"):
        stage.place()
    assert len(stage.book()) == 1


@covers("missing_error_type")
def test_without_an_error_type_the_official_client_trips(stage: Stage) -> None:
    stage.steer.arm("missing_error_type", status=400)
    reply = requests.get(f"{stage.exchange.url}/orders", headers=header(), timeout=SOON)
    assert reply.status_code == 400
    assert reply.json() == {"status": "error", "message": "Something went wrong.", "data": None}
    stage.steer.arm("missing_error_type")
    with pytest.raises(TypeError, match="must be string"):
        stage.place()
    assert stage.book() == []


@covers("slow_reply")
def test_a_slow_reply_comes_after_all(stage: Stage) -> None:
    stage.steer.arm("slow_reply", seconds=SHORT * 2)
    assert stage.patient.place_order(**ORDER) == stage.book()[0]["order_id"]
    stage.steer.arm("slow_reply", seconds=SHORT * 2)
    with pytest.raises(requests.exceptions.ReadTimeout):
        stage.place()
    assert len(stage.book()) == 2


@covers("token_exception")
def test_a_token_exception_in_mid_session_fires_the_clients_hook(stage: Stage) -> None:
    fired = []
    stage.kite.set_session_expiry_hook(lambda: fired.append(True))
    stage.steer.arm("token_exception")
    with pytest.raises(kite_errors.TokenException):
        stage.kite.orders()
    assert fired == [True]
    assert stage.kite.orders() == []  # it was that call only
    stage.steer.arm("token_exception", kill=True)
    for _ in range(2):
        with pytest.raises(kite_errors.TokenException):
            stage.kite.orders()


@covers("ip_refused")
def test_an_unlisted_address_may_read_but_not_order(stage: Stage) -> None:
    stage.steer.arm("ip_refused", times=None, address="1.2.3.4")
    with pytest.raises(kite_errors.PermissionException, match=r"IP \(1.2.3.4\) is not allowed"):
        stage.place()
    with pytest.raises(kite_errors.PermissionException):
        stage.kite.cancel_order("regular", "1")
    assert stage.kite.orders() == []


@covers("no_permission")
def test_a_plan_without_market_data(stage: Stage) -> None:
    stage.steer.arm("no_permission")
    with pytest.raises(kite_errors.PermissionException, match="Insufficient permission"):
        stage.kite.ltp(KEY)
    stage.place()


@covers("needs_authorisation")
def test_holdings_that_must_be_authorised(stage: Stage) -> None:
    stage.steer.arm("needs_authorisation")
    with pytest.raises(kite_errors.InputException, match="10 quantity needs authorisation") as told:
        stage.place(transaction_type="SELL", product="CNC")
    assert told.value.code == 428


@covers("stale_orders")
def test_a_stale_order_book_shows_what_was_a_while_ago(stage: Stage) -> None:
    stage.place(tag="first")
    stage.steer.arm("stale_orders", times=None, seconds=20)
    order_id = stage.place(tag="second")
    assert [row["tag"] for row in stage.kite.orders()] == ["first"]
    assert stage.kite.order_history(order_id)[-1]["tag"] == "second"  # the order's own history is true
    stage.steer.advance(21)
    assert [row["tag"] for row in stage.kite.orders()] == ["first", "second"]
    stage.steer.disarm()
    stage.place(tag="third")
    assert len(stage.kite.orders()) == 3


@covers("stale_positions")
def test_stale_positions_show_what_was_a_while_ago(stage: Stage) -> None:
    stage.steer.arm("stale_positions", times=None, seconds=60)
    stage.place(order_type="MARKET", price=None)
    stage.steer.advance(20)
    assert stage.steer.positions()[0]["quantity"] == 10
    assert stage.kite.positions()["net"] == []
    stage.steer.advance(60)
    assert stage.kite.positions()["net"][0]["quantity"] == 10


@covers("freeze_rejection")
def test_a_quantity_above_the_freeze_quantity(stage: Stage) -> None:
    stage.steer.arm("freeze_rejection", freeze=6)
    with pytest.raises(kite_errors.InputException, match=r"quantity 10 \(10 lots\) is higher than .* 6 \(6 lots\)"):
        stage.place()


@covers("autoslice_child_failure")
def test_some_children_of_a_sliced_order_fail(load: Callable[..., Stage]) -> None:
    key = "NFO:NIFTY26NOVFUT"
    stage = load(candles={key: candles([FLAT] * 5)})
    order = {**ORDER, "exchange": "NFO", "tradingsymbol": "NIFTY26NOVFUT", "product": "NRML", "quantity": 65 * 100}
    stage.steer.arm("autoslice_child_failure", slices=[2, 4])
    answer = stage.kite.place_autoslice_order(**order)
    failed = ["error" in child for child in answer["children"]]
    assert failed == [False, True, False, True]
    assert answer["children"][1]["error"]["error_type"] == "MarginException"
    assert [row["quantity"] for row in stage.book()] == [1755, 1755]


@covers("rms_rejection")
def test_risk_management_rejects_after_the_reply(stage: Stage) -> None:
    stage.steer.arm("rms_rejection", seconds=2, message="no funds")
    order_id = stage.place()
    assert stage.kite.orders()[0]["status"] == "OPEN"
    stage.steer.advance(3)
    row = stage.kite.order_history(order_id)[-1]
    assert (row["status"], row["status_message"]) == ("REJECTED", "no funds")
    assert row["status_message_raw"].startswith("RMS:")


@covers("modification_cap")
def test_the_modification_cap(stage: Stage) -> None:
    order_id = stage.place()
    stage.steer.arm("modification_cap")
    with pytest.raises(kite_errors.NetworkException, match="Maximum allowed order modifications exceeded"):
        stage.kite.modify_order("regular", order_id, price=91.0)
    assert stage.book()[0]["price"] == 90.0


@covers("oms_maintenance")
def test_under_maintenance_orders_are_refused_and_reads_go_on(stage: Stage) -> None:
    stage.steer.arm("oms_maintenance", times=None)
    with pytest.raises(kite_errors.NetworkException, match="scheduled maintenance"):
        stage.place()
    assert stage.kite.orders() == []


@covers("instruments_of_yesterday")
def test_the_dump_of_yesterday_lacks_what_was_listed_today(load: Callable[..., Stage]) -> None:
    stage = load(symbols=("NSE:SBIN", "NSE:TCS"))
    names = {row["tradingsymbol"] for row in stage.kite.instruments("NSE")}
    stage.steer.arm("instruments_of_yesterday", missing=["NSE:SBIN"], changed={KEY: {"tick_size": 0.1, "lot_size": 2}})
    rows = {row["tradingsymbol"]: row for row in stage.kite.instruments("NSE")}
    assert names - set(rows) == {"SBIN"}
    assert (rows["INFY"]["tick_size"], rows["INFY"]["lot_size"]) == (0.1, 2)
    stage.steer.arm("instruments_of_yesterday")
    assert len(stage.kite.instruments("NSE")) == len(names) - 1


@covers("modify_races_trigger")
def test_a_modification_is_accepted_while_the_trigger_fires(stage: Stage) -> None:
    order_id = stage.place(order_type="SL-M", price=None, trigger_price=104.0, market_protection=-1)
    stage.steer.arm("modify_races_trigger")
    assert stage.kite.modify_order("regular", order_id, trigger_price=108.0) == order_id
    row = stage.book()[0]
    assert (row["status"], row["trigger_price"], row["average_price"]) == ("COMPLETE", 104.0, 104.0)


# ---- order updates ----------------------------------------------------------------------------------


def header() -> dict[str, str]:
    return {"Authorization": f"token {APP}:{TOKEN}"}


def play(stage: Stage, test: Callable[[Listener], Awaitable[None]], **query: str) -> None:
    """Run ``test`` with an open socket."""

    async def main() -> None:
        async with aiohttp.ClientSession() as session, await connect(session, stage) as socket:
            listener = Listener(stage, session, socket)
            await listener.next()  # the greeting
            await test(listener)

    asyncio.run(main())


async def connect(session: aiohttp.ClientSession, stage: Stage) -> aiohttp.ClientWebSocketResponse:
    return await session.ws_connect(stage.exchange.url, params={"api_key": APP, "access_token": TOKEN}, autoping=False)


class Listener:
    def __init__(self, stage: Stage, session: aiohttp.ClientSession, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.stage, self.session, self.socket = stage, session, socket

    async def do(self, action: Callable[..., Any], *args: Any, **more: Any) -> Any:
        return await asyncio.to_thread(action, *args, **more)

    async def next(self) -> aiohttp.WSMessage:
        return await self.socket.receive(timeout=SOON)

    async def subscribe(self, mode: str = "full") -> None:
        await self.socket.send_json({"a": "subscribe", "v": [INFY]})
        await self.socket.send_json({"a": "mode", "v": [mode, [INFY]]})
        for _ in range(2):
            await self.next()  # the cached packets

    async def updates(self, count: int) -> list[tuple[str, int]]:
        """Status and filled quantity of the next updates."""
        found = []
        while len(found) < count:
            message = await self.next()
            if message.type is aiohttp.WSMsgType.TEXT:
                body = json.loads(message.data)
                if body["type"] == "order":
                    found.append((body["data"]["status"], body["data"]["filled_quantity"]))
        return found

    async def frames(self, count: int) -> list[bytes]:
        found: list[bytes] = []
        while len(found) < count:
            message = await self.next()
            assert message.type is aiohttp.WSMsgType.BINARY, message
            if len(message.data) > 1:
                found.append(message.data)
        return found

    async def quiet(self) -> bool:
        """Nothing is on its way: what is asked of the socket comes next."""
        await self.socket.ping(b"?")
        return (await self.next()).type is aiohttp.WSMsgType.PONG


def prices(frames: list[bytes]) -> list[float]:
    """Last price of the one packet of each frame."""
    return [struct.unpack_from(">I", frame, 8)[0] / 100 for frame in frames]


def times(frames: list[bytes]) -> list[int]:
    """Exchange time of the one full packet of each frame."""
    return [struct.unpack_from(">I", frame, 4 + 60)[0] for frame in frames]


def buy_now(stage: Stage) -> None:
    """A market order that the next print fills: one update, COMPLETE."""
    stage.place(order_type="MARKET", price=None)
    stage.steer.advance(20)


@covers("order_update_lost")
def test_a_lost_update_is_in_the_book_only(stage: Stage) -> None:
    async def test(listener: Listener) -> None:
        stage.steer.arm("order_update_lost")
        await listener.do(buy_now, stage)
        assert await listener.quiet()
        assert stage.book()[0]["status"] == "COMPLETE"
        await listener.do(buy_now, stage)
        assert await listener.updates(1) == [("COMPLETE", 10)]

    play(stage, test)


@covers("order_update_duplicated")
def test_a_duplicated_update(stage: Stage) -> None:
    async def test(listener: Listener) -> None:
        stage.steer.arm("order_update_duplicated", copies=2)
        await listener.do(buy_now, stage)
        assert await listener.updates(3) == [("COMPLETE", 10)] * 3
        assert await listener.quiet()

    play(stage, test)


@covers("order_update_delayed")
def test_a_delayed_update_comes_late(stage: Stage) -> None:
    async def test(listener: Listener) -> None:
        stage.steer.arm("order_update_delayed", seconds=30)
        await listener.do(buy_now, stage)
        assert await listener.quiet()
        await listener.do(stage.steer.advance, 29)
        assert await listener.updates(1) == [("COMPLETE", 10)]

    play(stage, test)


def test_a_lock_step_pull_stops_at_a_late_update_even_after_the_data(load: Callable[..., Stage]) -> None:
    stage = load([FLAT, FLAT])
    stage.steer.arm("order_update_delayed", seconds=600)
    stage.place(order_type="MARKET", price=None)
    stops = []
    while not (answer := stage.steer.next_bar())["done"]:
        stops.append(answer["now"][11:19])
    assert "09:26:00" in stops


@covers("order_update_reordered")
def test_reordered_updates(stage: Stage) -> None:
    async def test(listener: Listener) -> None:
        order_id = await listener.do(stage.place)
        stage.steer.arm("order_update_reordered", fields={"status": "UPDATE"})
        await listener.do(stage.kite.modify_order, "regular", order_id, price=101.0)
        assert await listener.quiet()
        await listener.do(stage.steer.advance, 20)
        assert [status for status, _ in await listener.updates(2)] == ["COMPLETE", "UPDATE"]

    play(stage, test)


@covers("order_update_reordered")
def test_an_update_that_nothing_follows_comes_in_the_end(stage: Stage) -> None:
    async def test(listener: Listener) -> None:
        stage.steer.arm("order_update_reordered", seconds=30)
        await listener.do(buy_now, stage)
        assert await listener.quiet()
        await listener.do(stage.steer.advance, 30)
        assert await listener.updates(1) == [("COMPLETE", 10)]

    play(stage, test)


@covers("partial_after_complete")
def test_a_partial_fill_is_told_after_complete(stage: Stage) -> None:
    async def test(listener: Listener) -> None:
        stage.steer.arm("partial_after_complete", share=0.4)
        await listener.do(buy_now, stage)
        assert await listener.updates(2) == [("COMPLETE", 10), ("UPDATE", 4)]
        assert stage.book()[0]["filled_quantity"] == 10

    play(stage, test)


@covers("order_update_twice")
def test_an_update_comes_twice_by_stream_and_by_postback(running: Exchange) -> None:
    from aiohttp import web

    posts: list[str] = []

    async def heard(request: web.Request) -> web.Response:
        posts.append((await request.json())["status"])
        return web.Response()

    async def main() -> None:
        app = web.Application()
        app.router.add_post("/hook", heard)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        port = runner.addresses[0][1]
        more = {"postback_url": f"http://127.0.0.1:{port}/hook"}
        await asyncio.to_thread(running.reset, settings([FLAT] * 5, **more))
        stage = Stage(running)
        await asyncio.to_thread(stage.steer.play_until, "2026-11-18T09:16:00+05:30")
        await asyncio.to_thread(stage.steer.arm, "order_update_twice")
        async with aiohttp.ClientSession() as session, await connect(session, stage) as socket:
            listener = Listener(stage, session, socket)
            await asyncio.to_thread(buy_now, stage)
            assert await listener.updates(2) == [("COMPLETE", 10)] * 2
        async with asyncio.timeout(SOON):
            while len(posts) < 2:
                await asyncio.to_thread(stage.steer.clock)
        assert posts == ["COMPLETE"] * 2
        await runner.cleanup()

    asyncio.run(main())


# ---- sockets and ticks ------------------------------------------------------------------------------


@covers("upgrade_refused")
def test_an_upgrade_is_refused(stage: Stage) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            for status in (403, 429):
                stage.steer.arm("upgrade_refused", status=status)
                with pytest.raises(aiohttp.WSServerHandshakeError) as told:
                    await connect(session, stage)
                assert told.value.status == status
                assert stage.last_fault() == "upgrade_refused"
            await (await connect(session, stage)).close()

    asyncio.run(main())


@covers("socket_cut")
def test_a_cut_socket_ends_without_a_word(stage: Stage) -> None:
    async def test(listener: Listener) -> None:
        stage.steer.arm("socket_cut")
        assert (await listener.next()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert listener.socket.close_code == 1006

    play(stage, test)


def test_a_socket_is_cut_at_the_third_frame_of_ticks(stage: Stage) -> None:
    async def test(listener: Listener) -> None:
        await listener.subscribe()
        stage.steer.arm("socket_cut", method="TICKS", nth=3)
        await listener.do(stage.steer.advance, 60)
        await listener.frames(2)
        assert (await listener.next()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)

    play(stage, test)


@covers("socket_half_open")
def test_a_half_open_socket_is_up_but_deaf_and_dumb(stage: Stage) -> None:
    async def test(listener: Listener) -> None:
        await listener.subscribe()
        stage.steer.arm("socket_half_open", seconds=90)
        sent = stage.steer.sockets()[0]["sent"]
        await listener.do(stage.steer.advance, 60)
        await listener.socket.ping(b"anybody?")
        with pytest.raises(TimeoutError):
            await listener.socket.receive(timeout=0.2)
        assert stage.steer.sockets()[0]["sent"] == sent  # lock step does not wait for what never comes
        async with await connect(listener.session, stage) as second:
            assert (await second.receive(timeout=SOON)).type is aiohttp.WSMsgType.TEXT  # who comes anew is served
        await listener.do(stage.steer.advance, 31)
        assert (await listener.next()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)

    play(stage, test)


@covers("heartbeat_only")
def test_only_heartbeats_come(load: Callable[..., Stage]) -> None:
    stage = load([UP] * 30, heartbeat_seconds=0.05)

    async def test(listener: Listener) -> None:
        await listener.subscribe()
        stage.steer.speed(0)  # a clock that stands, but no lock step: then there are heartbeats
        stage.steer.arm("heartbeat_only", seconds=60)
        await listener.do(buy_now, stage)
        assert (await listener.next()).data == b"\x00"
        await listener.do(stage.steer.advance, 60)
        kinds = [(await listener.next()).data for _ in range(8)]
        assert any(len(one) > 1 for one in kinds if isinstance(one, bytes))  # the ticks are back
        assert stage.book()[0]["status"] == "COMPLETE"

    play(stage, test)


@covers("ticks_frozen")
def test_frozen_ticks_go_on_and_say_the_same(load: Callable[..., Stage]) -> None:
    stage = load([UP] * 30)

    async def test(listener: Listener) -> None:
        await listener.subscribe()
        stage.steer.arm("ticks_frozen", seconds=60)
        await listener.do(stage.steer.advance, 60)
        frozen = await listener.frames(4)
        assert len(set(frozen)) == 1
        await listener.do(stage.steer.advance, 60)
        assert len(set(prices(await listener.frames(4)))) > 1

    play(stage, test)


@covers("ticks_out_of_order")
def test_a_tick_comes_after_the_next_one(load: Callable[..., Stage]) -> None:
    stage = load([UP] * 30)

    async def test(listener: Listener) -> None:
        await listener.subscribe()
        stage.steer.arm("ticks_out_of_order", nth=2)
        await listener.do(stage.steer.advance, 100)
        seen = times(await listener.frames(5))
        assert seen[1] > seen[2] > seen[0]
        assert seen[3:] == sorted(seen[3:])
        assert seen[3] > seen[1]

    play(stage, test)


@covers("malformed_frame")
@pytest.mark.parametrize("how", ["count", "length", "half"])
def test_a_frame_that_cannot_be_read(stage: Stage, how: str) -> None:
    async def test(listener: Listener) -> None:
        await listener.subscribe()
        stage.steer.arm("malformed_frame", how=how)
        await listener.do(stage.steer.advance, 60)
        bad, good = await listener.frames(2)
        assert readable(good)
        assert not readable(bad)

    play(stage, test)


def readable(frame: bytes) -> bool:
    """The frame's packets fill it exactly."""
    at = 2
    for _ in range(struct.unpack_from(">H", frame)[0]):
        if at + 2 > len(frame):
            return False
        at += 2 + struct.unpack_from(">H", frame, at)[0]
    return at == len(frame)


@covers("half_frame")
def test_a_message_breaks_off_in_the_middle(stage: Stage) -> None:
    async def test(listener: Listener) -> None:
        await listener.subscribe()
        stage.steer.arm("half_frame", nth=2)
        await listener.do(stage.steer.advance, 60)
        assert readable((await listener.frames(1))[0])
        assert (await listener.next()).type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert listener.socket.close_code == 1006

    play(stage, test)


@covers("bad_tick")
def test_a_bad_tick_is_no_trade(stage: Stage) -> None:
    async def test(listener: Listener) -> None:
        await listener.subscribe()
        await listener.do(stage.place)  # a bid at 90
        stage.steer.arm("bad_tick", percent=-20)
        await listener.do(stage.steer.advance, 60)
        assert prices(await listener.frames(2)) == [80.0, 100.0]
        assert stage.book()[0]["status"] == "OPEN"

    play(stage, test)


@covers("price_spike")
def test_a_spike_is_a_trade_and_the_next_print_is_the_markets_own(stage: Stage) -> None:
    async def test(listener: Listener) -> None:
        await listener.subscribe()
        await listener.do(stage.place)  # a bid at 90
        stage.steer.arm("price_spike", percent=-20)
        assert await listener.updates(1) == [("COMPLETE", 10)]
        assert prices(await listener.frames(1)) == [80.0]
        await listener.do(stage.steer.advance, 60)

    play(stage, test)
    assert stage.kite.ltp(KEY)[KEY]["last_price"] == 100.0


@covers("clock_skew")
def test_the_exchanges_clock_is_off(stage: Stage) -> None:
    async def test(listener: Listener) -> None:
        await listener.subscribe()
        await listener.do(stage.steer.advance, 60)
        before = times(await listener.frames(4))
        stage.steer.arm("clock_skew", by=-120.0, seconds=300)
        await listener.do(stage.steer.advance, 60)
        assert max(times(await listener.frames(4))) < min(before)

    play(stage, test)


def test_a_skewed_clock_counts_calls_in_other_seconds(load: Callable[..., Stage]) -> None:
    stage = load(rate_limits=True)
    stage.steer.play_until("2026-11-18T09:17:00.700000+05:30")
    stage.kite.ltp(KEY)
    with pytest.raises(kite_errors.NetworkException, match="Too many requests"):
        stage.kite.ltp(KEY)
    stage.steer.arm("clock_skew", by=0.4, seconds=300)
    stage.kite.ltp(KEY)  # another second of its clock


@covers("margin_shortfall")
def test_margin_is_short_in_mid_day(load: Callable[..., Stage]) -> None:
    stage = load(cash=10_000.0)
    stage.place()
    stage.steer.arm("margin_shortfall", method="POST", path="/orders/*", nth=2)
    stage.place()
    with pytest.raises(kite_errors.KiteException, match="Insufficient funds"):
        stage.place()
    assert stage.kite.margins("equity")["net"] < 1.0


# ---- when, how often, by what chance ----------------------------------------------------------------


def statuses(stage: Stage, calls: int) -> list[int]:
    found = []
    for _ in range(calls):
        reply = requests.get(f"{stage.exchange.url}/orders", headers=header(), timeout=SOON)
        found.append(reply.status_code)
    return found


def test_nth_every_and_times(stage: Stage) -> None:
    stage.steer.arm("too_many_requests", nth=2, every=3, times=2)
    assert statuses(stage, 9) == [200, 429, 200, 200, 429, 200, 200, 200, 200]
    row = stage.steer.faults()[0]
    assert (row["seen"], row["fired"], row["spent"]) == (5, 2, True)


def test_a_chance_is_drawn_from_the_seed(load: Callable[..., Stage]) -> None:
    runs = []
    for seed in (7, 7, 8):
        stage = load()
        stage.steer.arm("too_many_requests", probability=0.5, times=None, seed=seed)
        runs.append(statuses(stage, 20))
    assert runs[0] == runs[1] != runs[2]
    assert {200, 429} == set(runs[0])


def test_a_fault_between_two_moments(stage: Stage) -> None:
    stage.steer.arm("too_many_requests", times=None, at="2026-11-18T09:17:00+05:30", until="2026-11-18T09:18:00+05:30")
    found = []
    for _ in range(4):
        found += statuses(stage, 1)
        stage.steer.advance(40)
    assert found == [200, 200, 429, 200]  # 09:16:00, 09:16:40, 09:17:20, 09:18:00


def test_method_path_and_fields_are_globs(stage: Stage) -> None:
    stage.steer.arm("server_error", method="POST|PUT", path="/orders/*", fields={"tradingsymbol": "IN*"}, times=None)
    assert statuses(stage, 1) == [200]
    with pytest.raises(kite_errors.GeneralException):
        stage.place()
    stage.steer.disarm()
    stage.steer.arm("server_error", fields={"tradingsymbol": "TCS"}, times=None)
    stage.place()


def test_faults_are_composed(stage: Stage) -> None:
    stage.steer.arm("slow_reply", seconds=SHORT * 2, accepted=True)
    stage.steer.arm("html_502", accepted=True)
    with pytest.raises(kite_errors.DataException):
        stage.patient.place_order(**ORDER)
    assert stage.last_fault() == "slow_reply+html_502"
    assert len(stage.book()) == 1


def test_a_fault_that_acts_at_a_moment(stage: Stage) -> None:
    stage.steer.arm("price_spike", percent=10, at="2026-11-18T09:17:30+05:30")
    stage.steer.play_until("2026-11-18T09:17:29+05:30")
    assert stage.kite.ltp(KEY)[KEY]["last_price"] == 100.0
    stage.steer.play_until("2026-11-18T09:17:31+05:30")
    assert stage.kite.ltp(KEY)[KEY]["last_price"] == 110.0


def test_a_storm_is_the_same_for_the_same_seed(load: Callable[..., Stage]) -> None:
    runs = []
    for seed in (3, 3, 4):
        stage = load()
        stage.steer.storm(seed, every=60)
        stage.steer.advance(601)
        runs.append([row["kind"] for row in stage.steer.faults() if "kind" in row])
    assert runs[0] == runs[1] != runs[2]
    assert len(runs[0]) == 10
    assert set(runs[0]) <= set(PASSING)


def test_clearing_ends_what_lasts(stage: Stage) -> None:
    async def test(listener: Listener) -> None:
        await listener.subscribe()
        stage.steer.arm("heartbeat_only", seconds=600)
        armed = stage.steer.arm("too_many_requests", times=None)
        await listener.do(stage.steer.advance, 60)
        assert await listener.quiet()
        assert stage.steer.disarm(armed["id"]) == 1
        assert [row["kind"] for row in stage.steer.faults()] == ["heartbeat_only"]
        assert stage.steer.disarm() == 1
        await listener.do(stage.steer.advance, 60)
        await listener.frames(1)
        assert stage.steer.faults() == []

    play(stage, test)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"kind": "nothing"}, "is no kind of fault; there are: reply_withheld_before"),
        ({"kind": "html_502", "when": 3}, "a fault knows"),
        ({"kind": "html_502", "match": {"nth": 0}}, "nth of html_502 must be a whole number from 1 on"),
        ({"kind": "html_502", "match": {"minute": 3}}, "match of html_502 knows"),
        ({"kind": "html_502", "match": {"probability": 2}}, "from 0 to 1"),
        ({"kind": "html_502", "match": {"at": "noon"}}, "is not a time"),
        ({"kind": "html_502", "args": {"seconds": 3}}, "has no argument seconds; its arguments are: accepted"),
        ({"kind": "slow_reply", "args": {"seconds": "3"}}, "write something like 2.0"),
        ({"kind": "html_502", "times": -1}, "times of html_502"),
        ({"kind": "price_spike", "times": 3}, "give it a match"),
        ({"kind": "price_spike", "args": {"symbol": "NSE:NONE"}}, "NSE:NONE is not listed here"),
        ({"storm": {"every": 0}}, "every of a storm"),
        ({"storm": {"kinds": ["rain"]}}, "'rain' is no kind"),
    ],
)
def test_a_wrong_fault_is_one_clear_sentence(stage: Stage, body: dict[str, Any], sentence: str) -> None:
    reply = requests.post(f"{stage.exchange.url}/_exchange/faults", json=body, timeout=SOON)
    assert reply.status_code == 400
    assert sentence in reply.json()["message"]
    assert stage.steer.faults() == []


def test_clearing_what_is_not_there_is_refused(stage: Stage) -> None:
    with pytest.raises(SteeringError, match="there is no fault 7"):
        stage.steer.disarm(7)


def test_a_script_of_faults_is_armed_from_the_start(load: Callable[..., Stage]) -> None:
    stage = load(faults=[{"kind": "html_502", "match": {"path": "/orders"}}])
    assert statuses(stage, 2) == [502, 200]
    with pytest.raises(BadSettings, match="fault 1 of the script: 'rain'"):
        Exchange(ExchangeSettings(start=None, candles={KEY: candles([FLAT])}, faults=[{"kind": "rain"}]))


def test_the_table_of_the_docs_names_every_row_with_its_arguments() -> None:
    for kind in TABLE.values():
        line = next(line for line in as_markdown().splitlines() if line.startswith(f"| `{kind.name}` |"))
        assert kind.what in line
        assert all(f"`{name}`" in line for name in kind.args)
