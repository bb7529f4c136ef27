"""Books, written down as what has changed in them.

The *book* is what an account is after an event: a tree of JSON whose branches are objects (positions by symbol,
groups by number) and lists of rows that have a ``ref`` each (orders). An event changes little of it, and a book of
fifty symbols is forty kilobytes: the journal writes the whole of it now and then, and between two of them only the
branches that are not what they were. A change is an object again: a name with ``[value]`` is new or another, with
``null`` gone, with an object changed further down.

What was written is kept to compare with, so a book must not be changed by its maker afterwards.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

WHOLE_EVERY = 100
"""Books from one whole one to the next: so many lines at most are read to know an account."""

_MARK = "~"
_ROWS = "#"  # before a name: its rows are under their refs here


class Damaged(ValueError):
    """A change without what it changes."""


def change_of(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    """What makes ``after`` of ``before``."""
    return {_MARK: _changes(_by_ref(before), _by_ref(after))}


def is_whole(book: Mapping[str, Any]) -> bool:
    """Whether this is a book, not a change of one."""
    return _MARK not in book


def changed(before: Mapping[str, Any] | None, change: Mapping[str, Any]) -> dict[str, Any]:
    """The book after a ``change``, which may be a whole one. ``before`` stays as it is.

    :raises Damaged: if there is no book to change.
    """
    if is_whole(change):
        return dict(change)
    if before is None:
        raise Damaged("a change of a book comes before any book")
    return _as_lists(_apply(_by_ref(before), change[_MARK]))


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {name: None for name in before if name not in after}
    for name, value in after.items():
        if name not in before:
            found[name] = [value]
            continue
        old = before[name]
        if old == value:
            continue
        if isinstance(value, dict) and isinstance(old, dict):
            found[name] = _changes(_by_ref(old), _by_ref(value))
        else:
            found[name] = [value]
    return found


def _apply(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    book = dict(before)
    for name, change in changes.items():
        if change is None:
            book.pop(name, None)
        elif isinstance(change, list):
            book[name] = change[0]
        else:
            book[name] = _as_lists(_apply(_by_ref(book[name]), change))
    return book


def _by_ref(book: Mapping[str, Any]) -> Mapping[str, Any]:
    """Lists of rows with a ``ref`` each as objects by it, in their order."""
    if not any(_has_refs(value) for value in book.values()):
        return book
    return {
        **{name: value for name, value in book.items() if not _has_refs(value)},
        **{_ROWS + name: {str(row["ref"]): row for row in value} for name, value in book.items() if _has_refs(value)},
    }


def _as_lists(book: Mapping[str, Any]) -> dict[str, Any]:
    """The other way."""
    return {
        name.removeprefix(_ROWS): [value[ref] for ref in sorted(value, key=int)] if name.startswith(_ROWS) else value
        for name, value in book.items()
    }


def _has_refs(value: Any) -> bool:
    """Of any other order the list itself has to tell, and is no object."""
    if not isinstance(value, list):
        return False
    refs: list[Any] = [row.get("ref") if isinstance(row, dict) else None for row in value]
    return all(isinstance(ref, int) for ref in refs) and all(a < b for a, b in itertools.pairwise(refs))
