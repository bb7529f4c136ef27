"""The dated tables of ``btkite/data``: what was true from which day on, each row with its source."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from .errors import BadSettings

DATA = Path(__file__).resolve().parent.parent / "data"


def rows(name: str) -> Iterator[dict[str, str]]:
    """The rows of a table as texts, without its comments. Raises BadSettings if it is missing."""
    path = DATA / name
    if not path.is_file():
        raise BadSettings(f"the table {name} is missing from btkite/data: install btkite anew")
    with path.open(newline="", encoding="utf-8") as lines:
        yield from csv.DictReader(line for line in lines if not line.startswith("#"))
