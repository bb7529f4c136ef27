"""Ranges of time: what was asked for, what is missing."""

from __future__ import annotations

from collections.abc import Iterable

from .series import Range


def joined(ranges: Iterable[Range]) -> tuple[Range, ...]:
    """Ranges in order, overlapping and touching ones made one, empty ones dropped."""
    result: list[Range] = []
    for start, end in sorted(ranges):
        if start >= end:
            continue
        if result and start <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((start, end))
    return tuple(result)


def without(span: Range, parts: Iterable[Range]) -> tuple[Range, ...]:
    """What of ``span`` no part covers."""
    left: list[Range] = []
    cursor, end = span
    for start, stop in joined(parts):
        if start > cursor:
            left.append((cursor, min(start, end)))
        cursor = max(cursor, stop)
        if cursor >= end:
            break
    left.append((cursor, end))
    return joined(left)
