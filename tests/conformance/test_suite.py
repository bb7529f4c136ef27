"""The suite against the exchange, and against a server that is like it but for one planted mistake."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from socket import create_server
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from btkite.conformance import LACKS, NotAnswered, Scene, Shapes, Wire, judge
from btkite.conformance.packets import packets_of
from btkite.conformance.reading import RENEWED
from btkite.conformance.refusals import REFUSALS
from btkite.conformance.streaming import PACKETS
from btkite.conformance.varieties import AFTER_HOURS, COVER, ICEBERG
from btkite.exchange import Exchange
from btkite.exchange.showcase import SHOWN, STREAMED, showcase

Damage = Callable[[str, str, int, Any], tuple[int, Any]]
"""Method, path, status and JSON of an answer; gives status and JSON of what is passed on."""
Frames = Callable[[bytes], bytes]
"""A frame of the stream; gives what is passed on."""


AT_NOON = {AFTER_HOURS: ("the market is open: try it when it is closed",)}
"""What is never tried on the market of these tests."""


@pytest.fixture
def exchange():
    """One for each test: its market is over after 80 seconds."""
    with Exchange(showcase()) as running:
        yield running


def scene_on(exchange: Exchange, root: str, **more: Any) -> Scene:
    settings = exchange.settings
    wire = Wire(root, root.replace("http", "ws"), settings.api_key, exchange.issue_token(), paced=False)
    return Scene(wire, SHOWN, settings.symbols[-1], settings.api_secret, **{**STREAMED, **more})


async def findings_of(scene: Scene) -> dict[str, Any]:
    async with scene.wire:
        return {finding.name: finding async for finding in judge(scene)}


def judged(exchange: Exchange, damage: Damage | None = None, frames: Frames = bytes, **more: Any) -> dict[str, Any]:
    """Findings by name, of the exchange itself or of a server that passes its answers on, damaged."""

    async def directly() -> dict[str, Any]:
        return await findings_of(scene_on(exchange, exchange.url, **more))

    async def through() -> dict[str, Any]:
        assert damage is not None
        async with aiohttp.ClientSession() as session:

            async def pass_on(request: web.Request) -> web.StreamResponse:
                if request.headers.get("Upgrade"):
                    return await stream(session, exchange.ws_url, request, frames)
                form = await request.read()
                kept = {
                    name: request.headers[name] for name in ("Authorization", "Content-Type") if name in request.headers
                }
                url = f"{exchange.url}{request.path_qs}"
                async with session.request(
                    request.method, url, data=form, headers=kept, allow_redirects=False
                ) as answer:
                    text, status = await answer.text(), answer.status
                    if answer.content_type == "application/json":
                        body = json.loads(text)
                        if isinstance(body, dict):
                            status, body = damage(request.method, request.path, status, body)
                        return web.json_response(body, status=status)
                    headers = {"Location": answer.headers["Location"]} if "Location" in answer.headers else None
                    return web.Response(text=text, status=status, content_type=answer.content_type, headers=headers)

            app = web.Application()
            app.router.add_route("*", "/{rest:.*}", pass_on)
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
            try:
                return await findings_of(scene_on(exchange, f"http://127.0.0.1:{port}", **more))
            finally:
                await runner.cleanup()

    return asyncio.run(directly() if damage is None else through())


async def stream(session: aiohttp.ClientSession, url: str, request: web.Request, frames: Frames) -> web.StreamResponse:
    """Both directions of a WebSocket, or the refusal of its upgrade."""
    try:
        upstream = await session.ws_connect(url, params=request.query)
    except aiohttp.WSServerHandshakeError as refusal:
        return web.json_response({"status": "error", "message": "no"}, status=refusal.status)
    down = web.WebSocketResponse()
    await down.prepare(request)

    async def up() -> None:
        async for message in down:
            await upstream.send_str(message.data)
        await upstream.close()

    task = asyncio.create_task(up())
    async for message in upstream:
        try:
            if message.type is aiohttp.WSMsgType.BINARY:
                await down.send_bytes(frames(message.data))
            else:
                await down.send_str(message.data)
        except ConnectionError:
            break
    task.cancel()
    await upstream.close()
    return down


def differing(findings: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    return {name: finding.deviations for name, finding in findings.items() if finding.verdict != "fits"}


def test_the_exchange_is_as_kite_in_every_sample_and_every_refusal(exchange):
    findings = judged(exchange)
    assert differing(findings) == AT_NOON
    assert set(findings) == {*Shapes().files, *Shapes().further, *PACKETS, *(case.says for case in REFUSALS)}


def test_an_order_is_taken_after_hours_when_the_market_is_closed():
    with Exchange(replace(showcase(), start=datetime(2026, 11, 18, 8, 0), speed=0.0)) as closed:
        found = judged(closed, lacks=frozenset(LACKS) - {"amo"}, index="", currency="", commodity="")
    assert found[AFTER_HOURS].verdict == "fits"


@pytest.mark.parametrize(
    ("less", "left", "why"),
    [
        ({"holdings": {}},
         {"holdings.json", "holdings_compact.json", "holdings_auth.json"}, "this account has no holdings"),
        ({"auctions": {}}, {"auctions_list.json"}, "this account has no shares for which an auction is held"),
        ({"fund_holdings": {}}, {"mf_holdings.json"}, "this account has no mutual funds"),
        ({"refresh_tokens": False}, {RENEWED}, "a login into this app brings no refresh token"),
    ],
)  # fmt: skip
def test_what_the_account_does_not_have_is_not_tried_and_no_deviation(less, left, why):
    with Exchange(replace(showcase(), **less)) as poorer:
        found = judged(poorer, lacks=frozenset({"alerts", "autoslice", "margins", "gtt"}))
    assert {name: one.verdict for name, one in found.items() if one.deviations == (why,)} == dict.fromkeys(
        left, "not tried"
    )
    assert "differs" not in {one.verdict for one in found.values()}


@pytest.mark.parametrize(("secret", "verdict"), [(None, "fits"), ("another secret", "differs")])
def test_a_postback_is_judged_as_it_is_posted_where_a_listener_is_named(secret, verdict):
    listener = create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/heard"
    with listener, Exchange(showcase(postback_url=url)) as exchange:
        scene = replace(scene_on(exchange, exchange.url), postbacks=listener)
        if secret is not None:
            scene = replace(scene, api_secret=secret, lacks=frozenset({"login"}))
        found = asyncio.run(findings_of(scene))
    assert (found["postback.json"].asked, found["postback.json"].verdict) == ("POST to the app's address", verdict)


def test_a_variety_that_comes_back_as_another_differs(exchange):
    def damage(method: str, at: str, status: int, body: Any) -> tuple[int, Any]:
        for row in body["data"] if at == "/orders" and method == "GET" else ():
            row["variety"], row["meta"] = "regular" if row["variety"] == "co" else row["variety"], {}
        return status, body

    assert differing(judged(exchange, damage)) == {
        **AT_NOON,
        COVER: ("its variety is regular, not co",),
        ICEBERG: ("meta.iceberg is missing",),
    }


def without(path: str, key: str) -> Damage:
    def damage(method: str, at: str, status: int, body: Any) -> tuple[int, Any]:
        if at == path and isinstance(body.get("data"), dict):
            body["data"].pop(key, None)
        return status, body

    return damage


def as_text(path: str, key: str) -> Damage:
    def damage(method: str, at: str, status: int, body: Any) -> tuple[int, Any]:
        if at == path and isinstance(body.get("data"), list):
            for row in body["data"]:
                row[key] = str(row[key])
        return status, body

    return damage


def refusing(path: str, status: int) -> Damage:
    def damage(method: str, at: str, code: int, body: Any) -> tuple[int, Any]:
        if at == path and method == "GET":
            return status, {"status": "error", "message": "Not now.", "error_type": "NetworkException", "data": None}
        return code, body

    return damage


def another_type(was: str, now: str) -> Damage:
    def damage(method: str, at: str, status: int, body: Any) -> tuple[int, Any]:
        if body.get("error_type") == was:
            body["error_type"] = now
        return status, body

    return damage


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (without("/user/profile", "broker"), {"profile.json": ("broker is missing",)}),
        (
            as_text("/portfolio/holdings", "quantity"),
            {"holdings.json": ("[0].quantity is string, not number",)},
        ),
        (
            refusing("/user/margins", 503),
            {
                "margins.json": ("503 NetworkException: Not now.",),
                "margins_equity.json": ("margins.json comes before it",),
                "margin_commodity.json": ("margins.json comes before it",),
            },
        ),
        (
            another_type("TokenException", "GeneralException"),
            {"a wrong access token": ("error_type GeneralException, not TokenException",)},
        ),
    ],
    ids=["a key that is missing", "a number as text", "a route that is down", "an error of another type"],
)
def test_one_mistake_is_found_and_nothing_else(exchange, damage, expected):
    assert differing(judged(exchange, damage)) == AT_NOON | expected


def test_what_a_server_is_known_to_lack_is_not_tried_and_said(exchange):
    findings = judged(exchange, lacks=frozenset({"gtt", "login"}))
    assert {name for name in findings if findings[name].verdict == "not tried"} == {
        "gtt_place_order.json",
        "gtt_get_order.json",
        "gtt_get_orders.json",
        "gtt_modify_order.json",
        "gtt_delete_order.json",
        "generate_session.json",
        "session_logout.json",
        RENEWED,
        AFTER_HOURS,
    }


def test_a_server_that_does_not_answer_is_no_finding(exchange):
    scene = scene_on(exchange, exchange.url)
    scene = replace(scene, wire=replace(scene.wire, access_token="nobody"))
    with pytest.raises(NotAnswered, match="403 TokenException"):
        asyncio.run(findings_of(scene))


def untouched(method: str, at: str, status: int, body: Any) -> tuple[int, Any]:
    return status, body


def packets_as(change: Callable[[int, bytes], bytes]) -> Frames:
    """A frame whose packets are changed; ``change`` is told the segment of each."""

    def damage(frame: bytes) -> bytes:
        if len(frame) < 4:
            return frame
        packets = [change(packet[3], packet) for packet in packets_of(frame)]
        return struct.pack(">H", len(packets)) + b"".join(struct.pack(">H", len(one)) + one for one in packets)

    return damage


def rescaled(segment: int, factor: float) -> Frames:
    """The last price of a segment, written as a server would that scales it by another divisor."""

    def change(of: int, packet: bytes) -> bytes:
        if of != segment:
            return packet
        return packet[:4] + struct.pack(">I", round(struct.unpack_from(">I", packet, 4)[0] * factor)) + packet[8:]

    return packets_as(change)


def index_as_a_share(of: int, packet: bytes) -> bytes:
    """The day's prices of an index in the order of a share's packet: open, high, low, close."""
    if of != 9 or len(packet) < 28:
        return packet
    high, low, opened, close = struct.unpack_from(">4I", packet, 8)
    return packet[:8] + struct.pack(">4I", opened, high, low, close) + packet[24:]


@pytest.mark.parametrize(
    ("frames", "named", "said"),
    [
        (rescaled(3, 1e-5), "a currency contract in", "last_price is"),
        (rescaled(12, 1e-2), "a contract of NCO or BCD in", "last_price is"),
        (rescaled(9, 100), "an index in", "last_price is"),
        (packets_as(index_as_a_share), "an index in", "not in the order of this packet"),
        (lambda frame: frame if len(frame) > 1 else b"\0\0", "a heartbeat", "2 bytes, not 1"),
    ],
    ids=["currency as paise", "NCO as paise", "an index too large", "open, high, low", "a long heartbeat"],
)
def test_a_mistake_in_a_packet_is_found_and_nothing_else(exchange, frames, named, said):
    wrong = differing(judged(exchange, untouched, frames))
    assert wrong.pop(AFTER_HOURS)
    assert wrong
    assert {name for name in wrong if not name.startswith(named)} == set(), wrong
    assert {name for name in PACKETS if name.startswith(named) and "ltp" not in name} == {
        name for name in wrong if "ltp" not in name
    }
    assert all(any(said in sentence for sentence in sentences) for sentences in wrong.values())


def test_packets_of_instruments_that_were_not_named_are_not_tried(exchange):
    findings = judged(exchange, index="", currency="", commodity="")
    left = {name: finding.deviations for name, finding in findings.items() if finding.verdict == "not tried"}
    assert set(left) == {*PACKETS, AFTER_HOURS} - {"a heartbeat"}
    assert left["an index in full mode"] == ("no such instrument was named: --index",)


def test_a_stream_that_is_refused_is_told_without_the_token(exchange):
    scene = scene_on(exchange, exchange.url, lacks=frozenset({"login"}))

    async def hold_all_sockets_and_judge() -> dict[str, Any]:
        async with scene.wire, scene.wire.stream(), scene.wire.stream(), scene.wire.stream():
            return {finding.name: finding async for finding in judge(scene)}

    findings = asyncio.run(hold_all_sockets_and_judge())
    assert findings["a heartbeat"].deviations == ("HTTP 429: Invalid response status",)
    assert scene.wire.access_token not in repr([finding.deviations for finding in findings.values()])
