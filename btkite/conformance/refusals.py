"""What must be refused, and how: code, ``error_type``, and that the answer is Kite's envelope."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import aiohttp

from .scene import Scene
from .wire import NotAnswered


@dataclass(frozen=True, slots=True)
class Refused:
    """``says`` in words, what to try, and the codes and types that are right (any type if there is none)."""

    says: str
    try_it: Callable[[Scene], Awaitable[object]]
    codes: tuple[int, ...]
    error_types: tuple[str, ...] = ()


async def judge_refusal(case: Refused, scene: Scene) -> list[str]:
    """What is wrong with the refusal; empty if it is right."""
    try:
        await case.try_it(scene)
    except NotAnswered as refusal:
        wrong = [f"HTTP {refusal.status}, not {_or(case.codes)}"] if refusal.status not in case.codes else []
        if case.error_types and refusal.error_type not in case.error_types:
            wrong.append(f"error_type {refusal.error_type or 'missing'}, not {_or(case.error_types)}")
        return wrong if refusal.message else [*wrong, "no message"]
    except aiohttp.WSServerHandshakeError as refusal:
        return [] if refusal.status in case.codes else [f"HTTP {refusal.status}, not {_or(case.codes)}"]
    return ["it was accepted"]


def _or(values: tuple[object, ...]) -> str:
    return " or ".join(str(value) for value in values)


async def _stranger(scene: Scene) -> object:
    kept, scene.wire.access_token = scene.wire.access_token, "nobody"
    try:
        return await scene.wire.data("GET", "/user/profile")
    finally:
        scene.wire.access_token = kept


async def _stranger_streams(scene: Scene) -> object:
    async with scene.wire.stream("nobody") as socket:
        return await asyncio.wait_for(socket.receive(), 5)


def _place(**changes: object) -> Callable[[Scene], Awaitable[object]]:
    async def place(scene: Scene) -> object:
        return await scene.wire.data("POST", "/orders/regular", form=scene.order(**changes))

    return place


def _get(path: str) -> Callable[[Scene], Awaitable[object]]:
    async def get(scene: Scene) -> object:
        return await scene.wire.data("GET", path)

    return get


async def _wide(scene: Scene) -> object:
    return await scene.wire.data(
        "GET", f"/instruments/historical/{scene.token}/minute", query={"from": "2020-01-01", "to": "2020-06-01"}
    )


REFUSALS = (
    Refused("a wrong access token", _stranger, (403,), ("TokenException",)),
    Refused("a stream with a wrong access token", _stranger_streams, (403,)),
    Refused("an order without a quantity", _place(quantity=""), (400,), ("InputException", "OrderException")),
    Refused("an order of an unknown symbol", _place(tradingsymbol="NOSUCH"), (400,), ("InputException",)),
    Refused("a price off the tick", _place(price=100.001), (400,), ("InputException", "OrderException")),
    Refused("a tag of 21 characters", _place(tag="x" * 21), (400,), ("InputException",)),
    Refused("an order type that is none", _place(order_type="WISH"), (400,), ("InputException",)),
    Refused(
        "a market order without market protection",
        _place(order_type="MARKET", price=0),
        (400,),
        ("InputException", "OrderException"),
    ),
    Refused(
        "an unknown order id",
        _get("/orders/999999999999999"),
        (400, 404, 500),
        ("GeneralException", "InputException", "OrderException"),
    ),
    Refused("a range that is too wide", _wide, (400,), ("InputException",)),
    Refused("a path that is none", _get("/no/such/path"), (404,), ()),
)
