"""The dated tables of ``btkite/data``: read once, kept, never changed.

A table is a CSV file whose comment lines (``#``) say where its figures come from.
"""

from __future__ import annotations

import csv
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@cache
def read_table(name: str) -> tuple[Mapping[str, str], ...]:
    """The rows of ``btkite/data/<name>.csv``, in the file's order."""
    text = (resources.files("btkite") / "data" / f"{name}.csv").read_text(encoding="utf-8")
    return tuple(parse_table(text))


def parse_table(text: str) -> list[Mapping[str, str]]:
    """CSV text with comment lines as rows; for tables of the user's own."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [MappingProxyType(row) for row in csv.DictReader(lines)]
