"""The WebSocket, heard by a client that is not ours."""

from __future__ import annotations

import asyncio
import hashlib
import json
import struct
from collections.abc import Callable
from dataclasses import fields
from typing import Any

import aiohttp
import pytest

from btkite.exchange import Exchange, ExchangeSettings

from .scene import KEY, TOKEN, Client, candles

Load = Callable[..., Client]
FLAT = (100.0, 100.0, 100.0, 100.0)
UP = (100.0, 104.0, 98.0, 102.0)
INFY, SBIN = 408065, 779521
SECONDS = 5


def address(client: Client, token: str = TOKEN, path: str = "/") -> str:
    return f"http://127.0.0.1:{client.port}{path}?api_key=sandboxkey000000&access_token={token}&uid=1"


async def connect(session: aiohttp.ClientSession, client: Client, path: str = "/") -> aiohttp.ClientWebSocketResponse:
    socket = await session.ws_connect(address(client, path=path))
    first = await socket.receive_json(timeout=SECONDS)
    assert first["type"] == "instruments_meta"
    assert set(first["data"]) == {"count", "etag"}
    return socket


async def subscribe(socket: aiohttp.ClientWebSocketResponse, mode: str, *tokens: int) -> None:
    await socket.send_json({"a": "subscribe", "v": list(tokens)})
    await socket.send_json({"a": "mode", "v": [mode, list(tokens)]})


async def heard(client: Client, socket: aiohttp.ClientWebSocketResponse, count: int) -> None:
    """Until the exchange knows ``count`` subscriptions: messages and control calls travel apart."""
    while True:
        state = json.loads((await asyncio.to_thread(client.raw, "GET", "/_exchange/state"))[2])["data"]
        modes = [mode for known in state["sockets"] for mode in known["subscriptions"].values()]
        if len(modes) == count and "quote" not in modes:
            return


def packets(frame: bytes) -> list[bytes]:
    count, at, found = struct.unpack(">H", frame[:2])[0], 2, []
    for _ in range(count):
        size = struct.unpack(">H", frame[at : at + 2])[0]
        found.append(frame[at + 2 : at + 2 + size])
        at += 2 + size
    assert at == len(frame)
    return found


def run(test: Callable[[aiohttp.ClientSession], Any]) -> None:
    async def main() -> None:
        async with aiohttp.ClientSession() as session:
            await test(session)

    asyncio.run(main())


def test_every_print_of_an_instant_comes_in_one_frame(load: Load) -> None:
    client = load(candles={"NSE:SBIN": candles([UP]), KEY: candles([UP])})

    async def test(session: aiohttp.ClientSession) -> None:
        socket = await connect(session, client)
        await subscribe(socket, "ltp", INFY, SBIN)
        await heard(client, socket, 2)
        client.control("clock", next="bar")
        answer = client.control("clock", next="bar")
        frames = [await socket.receive_bytes(timeout=SECONDS) for _ in range(4)]
        assert [[struct.unpack(">II", one) for one in packets(frame)] for frame in frames] == [
            [(INFY, price), (SBIN, price)] for price in (10000, 9800, 10400, 10200)
        ]
        own = socket.get_extra_info("sockname")
        assert answer["sent"] == {f"127.0.0.1:{own[1]}": 5}  # the greeting too

    run(test)


def test_volume_is_cumulative_and_the_four_prints_of_a_candle_sum_to_its_own(load: Load) -> None:
    client = load(candles={KEY: candles([UP, UP], volume=10)})

    async def test(session: aiohttp.ClientSession) -> None:
        socket = await connect(session, client)
        await subscribe(socket, "full", INFY)
        await heard(client, socket, 1)
        for _ in range(3):
            client.control("clock", next="bar")
        volumes = []
        for _ in range(8):
            (one,) = packets(await socket.receive_bytes(timeout=SECONDS))
            volumes.append(struct.unpack(">I", one[16:20])[0])
        assert volumes == [2, 5, 7, 10, 12, 15, 17, 20]

    run(test)


def test_a_subscription_is_answered_with_the_cached_packet_in_quote_mode(load: Load) -> None:
    client = load([UP, FLAT])
    client.control("clock", until="2026-11-18T09:15:30+05:30")

    async def test(session: aiohttp.ClientSession) -> None:
        socket = await connect(session, client, "/ws")
        await socket.send_json({"a": "subscribe", "v": [INFY, 1, "408065"]})  # unknown and string tokens are ignored
        (one,) = packets(await socket.receive_bytes(timeout=SECONDS))
        assert (len(one), struct.unpack(">II", one[:8])) == (44, (INFY, 9800))
        await socket.send_json({"a": "mode", "v": ["full", [INFY]]})
        (one,) = packets(await socket.receive_bytes(timeout=SECONDS))
        assert len(one) == 184
        await socket.send_json({"a": "unsubscribe", "v": [INFY]})
        await socket.send_str("not json")
        await heard(client, socket, 0)

    run(test)


def test_order_updates_come_unasked_on_change_cancel_and_fill_but_not_on_placement(load: Load) -> None:
    client = load([FLAT] * 4)
    client.control("clock", next="bar")

    async def test(session: aiohttp.ClientSession) -> None:
        socket = await connect(session, client)
        order = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": 1, "product": "MIS"}
        first = client.data("POST", "/orders/regular", order_type="LIMIT", price=99, **order)["order_id"]
        client.data("PUT", f"/orders/regular/{first}", price=98)
        client.data("DELETE", f"/orders/regular/{first}")
        second = client.data("POST", "/orders/regular", order_type="SL", trigger_price=100, price=100, **order)[
            "order_id"
        ]
        client.control("clock", next="bar")
        told = [await socket.receive_json(timeout=SECONDS) for _ in range(5)]
        assert {one["type"] for one in told} == {"order"}
        assert [(one["data"]["order_id"], one["data"]["status"]) for one in told] == [
            (first, "UPDATE"), (first, "CANCELLED"), (first, "CANCELLED"), (second, "OPEN"), (second, "COMPLETE"),
        ]  # fmt: skip
        last = told[-1]["data"]
        assert (last["user_id"], last["unfilled_quantity"], last["filled_quantity"]) == ("SIM001", 0, 1)
        assert last["meta"] == {}

    run(test)


def test_every_socket_of_the_account_hears_of_every_order(load: Load) -> None:
    client = load([FLAT] * 4)
    client.control("clock", next="bar")

    async def test(session: aiohttp.ClientSession) -> None:
        first, second = await connect(session, client), await connect(session, client)
        order = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": 1, "product": "MIS"}
        number = client.data("POST", "/orders/regular", order_type="LIMIT", price=100, **order)["order_id"]
        client.control("clock", next="bar")
        told = [await socket.receive_json(timeout=SECONDS) for socket in (first, second)]
        assert [(one["type"], one["data"]["order_id"], one["data"]["status"]) for one in told] == [
            ("order", number, "COMPLETE")
        ] * 2
        await first.close()
        number = client.data("POST", "/orders/regular", order_type="LIMIT", price=99, **order)["order_id"]
        client.data("DELETE", f"/orders/regular/{number}")
        assert (await second.receive_json(timeout=SECONDS))["data"]["order_id"] == number

    run(test)


@pytest.mark.parametrize("token", ["", "wrong"])
def test_a_wrong_token_is_refused_at_the_upgrade(load: Load, token: str) -> None:
    client = load([FLAT])

    async def test(session: aiohttp.ClientSession) -> None:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(address(client, token))
        assert refused.value.status == 403

    run(test)


def test_the_fourth_socket_is_refused_with_429(load: Load) -> None:
    client = load([FLAT])

    async def test(session: aiohttp.ClientSession) -> None:
        sockets = [await connect(session, client) for _ in range(3)]
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(address(client))
        assert refused.value.status == 429
        assert len(sockets) == 3

    run(test)


def test_an_open_socket_outlives_its_token(load: Load) -> None:
    client = load([FLAT] * 2)

    async def test(session: aiohttp.ClientSession) -> None:
        socket = await connect(session, client)
        await subscribe(socket, "ltp", INFY)
        await heard(client, socket, 1)
        client.control("session", expire_token=True)
        client.control("clock", next="bar")
        client.control("clock", next="bar")
        assert packets(await socket.receive_bytes(timeout=SECONDS))

    run(test)


def test_a_reset_cuts_the_sockets_of_the_former_market(load: Load, running: Exchange) -> None:
    client = load([FLAT])

    async def test(session: aiohttp.ClientSession) -> None:
        socket = await connect(session, client)
        await asyncio.to_thread(load, [FLAT])
        message = await socket.receive(timeout=SECONDS)
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)

    run(test)


async def opened_at_speed(
    session: aiohttp.ClientSession, client: Client, mode: str, *tokens: int
) -> aiohttp.ClientWebSocketResponse:
    """A socket that has heard the cached packets, at the open of a market whose clock runs from then on."""
    socket = await connect(session, client)
    await subscribe(socket, mode, *tokens)
    await heard(client, socket, len(tokens))
    client.control("clock", until="2026-11-18T09:15:00+05:30")
    client.control("clock", speed=600)
    return socket


def last_price_of(one: bytes) -> tuple[int, int]:
    return struct.unpack(">II", one[:8])  # type: ignore[return-value]


def test_while_the_clock_runs_the_prints_of_a_snapshot_are_one_packet_as_it_stands_at_its_end(load: Load) -> None:
    bars = [UP, (102.0, 103.0, 101.0, 101.5), FLAT]
    client = load(candles={KEY: candles(bars), "NSE:SBIN": candles(bars)}, speed=0.0, snapshot_ms=60_000)

    async def test(session: aiohttp.ClientSession) -> None:
        socket = await opened_at_speed(session, client, "full", INFY, SBIN)
        frames = [packets(await socket.receive_bytes(timeout=SECONDS)) for _ in range(3)]
        assert [[last_price_of(one) for one in frame] for frame in frames] == [
            [(INFY, price), (SBIN, price)] for price in (10200, 10150, 10000)
        ]
        volumes = [struct.unpack(">I", frame[0][16:20])[0] for frame in frames]
        assert volumes == [100, 200, 300]

    run(test)


def test_while_the_clock_runs_what_did_not_change_is_not_told_again(load: Load) -> None:
    client = load(candles={KEY: candles([FLAT] * 3), "NSE:SBIN": candles([UP, UP, UP])}, speed=0.0)

    async def test(session: aiohttp.ClientSession) -> None:
        socket = await opened_at_speed(session, client, "ltp", INFY, SBIN)
        told = []
        while len(told) < 9:
            told += [last_price_of(one) for one in packets(await socket.receive_bytes(timeout=SECONDS))]
        assert [token for token, _ in told].count(INFY) == 1
        assert [price for token, price in told if token == SBIN] == [10000, 9800, 10400, 10200] * 2

    run(test)


def test_without_snapshots_every_instant_is_told_while_the_clock_runs(load: Load) -> None:
    client = load([FLAT, FLAT], speed=0.0, snapshot_ms=0)

    async def test(session: aiohttp.ClientSession) -> None:
        socket = await opened_at_speed(session, client, "ltp", INFY)
        frames = [packets(await socket.receive_bytes(timeout=SECONDS)) for _ in range(8)]
        assert {last_price_of(one) for frame in frames for one in frame} == {(INFY, 10000)}

    run(test)


def test_an_update_bears_the_seal_of_the_app_that_placed_the_order_and_a_web_order_none(load: Load) -> None:
    client = load([FLAT] * 3, app_id=77)
    client.control("clock", next="bar")

    async def test(session: aiohttp.ClientSession) -> None:
        socket = await connect(session, client)
        order = {"exchange": "NSE", "tradingsymbol": "INFY", "transaction_type": "BUY", "quantity": 1, "product": "MIS",
                 "order_type": "LIMIT", "price": 99}  # fmt: skip
        ours = client.data("POST", "/orders/regular", **order)["order_id"]
        client.data("DELETE", f"/orders/regular/{ours}")
        told = (await socket.receive_json(timeout=SECONDS))["data"]
        text = f"{ours}{told['order_timestamp']}sandboxsecret000000000000000000"
        assert (told["app_id"], told["checksum"]) == (77, hashlib.sha256(text.encode()).hexdigest())
        await socket.receive_json(timeout=SECONDS)  # the second CANCELLED
        web = client.control("orders", **order)["order_id"]
        client.control("orders", cancel=web)
        told = (await socket.receive_json(timeout=SECONDS))["data"]
        assert (told["order_id"], told["app_id"], told["checksum"]) == (web, 0, "")

    run(test)


def upgrade(client: Client, query: str) -> tuple[int, Any]:
    """Status and body of a socket's opening that is refused."""
    status, _, body = client.raw(
        "GET", f"/?{query}", Upgrade="websocket", Connection="Upgrade",
        **{"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==", "Sec-WebSocket-Version": "13"},
    )  # fmt: skip
    return status, json.loads(body)


def test_a_refused_upgrade_says_it_in_kites_words(load: Load) -> None:
    right = f"api_key=sandboxkey000000&access_token={TOKEN}"
    failed = (403, {"status": "error", "message": "Authentication failed."})
    client = load([FLAT])
    for query in ("", "api_key=sandboxkey000000", f"api_key=other&access_token={TOKEN}", right + "x"):
        assert upgrade(client, query) == failed
    assert upgrade(load([FLAT], plan="personal"), right) == failed  # the free plan has no socket
    client = load([FLAT])
    client.control("session", expire_token=True)
    assert upgrade(client, right) == failed


def test_a_socket_may_die_with_its_token(load: Load) -> None:
    client = load([FLAT] * 2, ws_kill_on_expiry=True)

    async def test(session: aiohttp.ClientSession) -> None:
        socket = await connect(session, client)
        client.control("session", expire_token=True)
        message = await socket.receive(timeout=SECONDS)
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)

    run(test)


def test_one_instrument_too_many_is_an_error_text_and_the_others_stay(load: Load) -> None:
    client = load(candles={KEY: candles([UP]), "NSE:SBIN": candles([UP])}, max_tokens_per_socket=1)

    async def test(session: aiohttp.ClientSession) -> None:
        socket = await connect(session, client)
        await socket.send_json({"a": "subscribe", "v": [INFY, SBIN]})
        message = await socket.receive_json(timeout=SECONDS)
        assert message["type"] == "error"
        assert isinstance(message["data"], str)
        state = json.loads((await asyncio.to_thread(client.raw, "GET", "/_exchange/state"))[2])["data"]
        assert [known["subscriptions"] for known in state["sockets"]] == [{str(INFY): "quote"}]

    run(test)


def test_on_the_sandbox_a_socket_without_the_user_id_opens_but_stays_without_ticks(load: Load) -> None:
    client = load([UP, UP], profile="sandbox", speed=0.0, heartbeat_seconds=0.1)

    async def test(session: aiohttp.ClientSession) -> None:
        deaf = await connect(session, client)
        hearing = await session.ws_connect(f"{address(client)}&user_id=SIM001")
        assert (await hearing.receive_json(timeout=SECONDS))["type"] == "instruments_meta"
        for socket in (deaf, hearing):
            await subscribe(socket, "ltp", INFY)
        await heard(client, hearing, 2)
        client.control("clock", until="2026-11-18T09:15:01+05:30")
        told = b""
        while len(told) <= 1:
            told = await hearing.receive_bytes(timeout=SECONDS)
        assert last_price_of(packets(told)[0]) == (INFY, 10000)
        assert [await deaf.receive_bytes(timeout=SECONDS) for _ in range(3)] == [b"\x00"] * 3

    run(test)


@pytest.mark.parametrize("speed", [None, 0.0], ids=["lock step", "a clock that stands"])
def test_a_still_socket_hears_a_byte_a_second_and_they_are_counted(load: Load, speed: float | None) -> None:
    (default,) = (one.default for one in fields(ExchangeSettings) if one.name == "heartbeat_seconds")
    client = load([UP], heartbeat_seconds=default, **({} if speed is None else {"speed": speed}))

    async def test(session: aiohttp.ClientSession) -> None:
        socket = await connect(session, client)
        assert [await socket.receive_bytes(timeout=3) for _ in range(2)] == [b"\x00"] * 2
        (sent,) = (await asyncio.to_thread(client.control, "clock"))["sent"].values()
        assert sent >= 3  # the greeting too

    run(test)


def test_the_greeting_counts_the_dump_and_dates_it(load: Load) -> None:
    client = load([UP])

    async def test(session: aiohttp.ClientSession) -> None:
        socket = await session.ws_connect(address(client))
        data = (await socket.receive_json(timeout=SECONDS))["data"]
        made, _, length = data["etag"].removeprefix('W/"').removesuffix('"').partition("-")
        assert data["count"] == 1
        assert int(made, 16) == 1_763_433_000 + 31_536_000  # 2026-11-18 08:00 IST
        assert int(length, 16) == len(client.raw("GET", "/instruments")[2])

    run(test)


def test_a_brokers_message_and_an_error_come_as_texts(load: Load) -> None:
    client = load([FLAT])

    async def test(session: aiohttp.ClientSession) -> None:
        socket = await connect(session, client)
        for kind in ("message", "error"):
            assert client.control("message", type=kind, data="Exchange is slow today.") == {"sockets": 1}
            assert await socket.receive_json(timeout=SECONDS) == {"type": kind, "data": "Exchange is slow today."}
        assert client.raw("POST", "/_exchange/message", b'{"type": "order"}')[0] == 400

    run(test)
