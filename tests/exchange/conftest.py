"""One exchange on the wire for the whole process; each test loads its own market into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from btkite.exchange import Exchange

from .scene import Client, settings

FLAT = (100.0, 100.0, 100.0, 100.0)


@pytest.fixture(scope="session")
def running() -> Iterator[Exchange]:
    with Exchange(settings([FLAT])) as exchange:
        yield exchange


@pytest.fixture
def load(running: Exchange) -> Iterator[Callable[..., Client]]:
    """Load a market; returns a client of it."""
    clients: list[Client] = []

    def put(bars: Any = None, **more: Any) -> Client:
        running.reset(settings(bars, **more))
        clients.append(Client(running.port))
        return clients[-1]

    yield put
    for client in clients:
        client.close()
