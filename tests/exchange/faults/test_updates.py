"""What may become of an order update, seen by a bare WebSocket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp

from btkite.exchange import Exchange

from ..scene import settings
from .stage import FLAT, SOON, Listener, Stage, buy_now, connect, covers, play


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
