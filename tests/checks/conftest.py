from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from btkite.checks.lives import Stage
from tests.checks.one_day import OneDay


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Stage() as made:
        yield made


@pytest.fixture
def one_day(stage: Stage, tmp_path: Path) -> OneDay:
    return OneDay(stage, tmp_path)
