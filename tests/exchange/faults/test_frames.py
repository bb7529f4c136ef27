"""What may become of a socket and its frames, seen by a bare WebSocket."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

import aiohttp
import pytest
from kiteconnect import exceptions as kite_errors

from ..scene import KEY
from .stage import INFY, SOON, UP, Listener, Stage, buy_now, connect, covers, play, prices, times


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


def test_no_fault_counts_the_beats_of_a_market_in_lock_step(load: Callable[..., Stage]) -> None:
    stage = load([UP] * 30, heartbeat_seconds=0.02)

    async def test(listener: Listener) -> None:
        stage.steer.arm("socket_cut", nth=3)
        assert [(await listener.next()).data for _ in range(5)] == [b"\x00"] * 5
        await listener.socket.send_json({"a": "subscribe", "v": [INFY]})
        await listener.socket.send_json({"a": "mode", "v": ["full", [INFY]]})
        await listener.frames(2)
        await listener.do(stage.steer.advance, 20)
        ending = await listener.next()
        while ending.type is aiohttp.WSMsgType.BINARY and ending.data == b"\x00":
            ending = await listener.next()
        assert ending.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)

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
