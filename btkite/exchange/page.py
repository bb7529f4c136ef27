"""The page at ``/``: the market on one screen, for a person. One file, no network but this server."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path


@lru_cache(maxsize=1)
def page() -> bytes:
    """The page's HTML."""
    return Path(__file__).with_name("page.html").read_bytes()
