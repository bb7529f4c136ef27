"""Fixtures of the kite room's tests; the fakes themselves are in fakes.py."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from btkite.clock import ManualClock
from tests.kite.fakes import NOON, FakeRest, FakeStream


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the repository; tests that need it are skipped without it."""
    folder = Path(os.environ.get("BTKITE_SHARED") or Path(__file__).parents[3] / "shared")
    if not (folder / "data" / "kite_mocks").is_dir():
        pytest.skip(f"no shared data: {folder}/data/kite_mocks is absent (set BTKITE_SHARED)")
    return folder / "data"


@pytest.fixture
def rest() -> Iterator[FakeRest]:
    fake = FakeRest()
    yield fake
    fake.close()


@pytest.fixture
def wire() -> Iterator[FakeStream]:
    fake = FakeStream()
    yield fake
    fake.close()
