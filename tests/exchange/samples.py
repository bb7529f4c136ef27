"""Zerodha's own sample responses, where they lie beside the repository; else the test is skipped, visibly."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

SHARED = Path(os.environ.get("BTKITE_SHARED", Path(__file__).resolve().parents[3] / "shared"))


def sample(name: str) -> Any:
    """The ``data`` of a sample response."""
    path = SHARED / "data" / "kite_mocks" / f"{name}.json"
    if not path.is_file():
        pytest.skip("Kite's sample responses are not beside the repository (BTKITE_SHARED)")
    return json.loads(path.read_text())["data"]
