from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from btkite.cli.app import main


@pytest.fixture
def btkite(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """The command, in this process: its exit code and what it printed."""

    def run(*args: Any) -> tuple[int, str, str]:
        code = main([*map(str, args)])
        out, err = capsys.readouterr()
        return code, out, err

    return run
