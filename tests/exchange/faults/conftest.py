"""A market for each test of a fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from btkite.exchange import Exchange

from ..scene import settings
from .stage import FLAT, Stage


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
