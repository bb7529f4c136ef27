"""Every row of the table is seen on the wire by clients that are not ours, and is in the docs."""

from __future__ import annotations

from btkite.exchange.faults import TABLE, as_markdown

from . import test_frames, test_replies, test_states, test_updates
from .stage import covered

SEEN_IN = (test_frames, test_replies, test_states, test_updates)
"""Importing them says what they cover, also where they do not run."""


def test_every_row_of_the_table_is_exercised_here() -> None:
    assert covered == set(TABLE)
    assert len(TABLE) >= 30


def test_the_table_of_the_docs_names_every_row_with_its_arguments() -> None:
    for kind in TABLE.values():
        line = next(line for line in as_markdown().splitlines() if line.startswith(f"| `{kind.name}` |"))
        assert kind.what in line
        assert all(f"`{name}`" in line for name in kind.args)
