"""When each feed has its next bar: backtrader's merging of feeds by their stamps, worked out beforehand.

Of every step: all feeds whose next stamp is the earliest of all move by one bar.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..borrowed import is_borrowed, numbers, share

MANY = 1 << 62
"""A step that never comes."""


class Course:
    """The bars of feeds that have the same stamps: they move together."""

    def __init__(self, feeds: list[Any], stamps: Any) -> None:
        self.feeds = feeds
        self.stamps = stamps
        self.steps: Any = None  # of the timeline at which it moves; None: at each
        self.at: Any = None  # its position after each step; None: the step itself

    def position(self, step: int) -> int:
        """Its bar at ``step``, -1 before its first."""
        return step if self.at is None else int(self.at[step])

    def first_after(self, moment: float) -> int:
        """The first bar with a stamp beyond ``moment``."""
        return int(np.searchsorted(self.stamps, moment, side="right"))

    def step_of(self, bar: int) -> int:
        """The step at which ``bar`` is reached; :data:`MANY` if there is no such bar."""
        if bar >= len(self.stamps):
            return MANY
        return bar if self.steps is None else int(self.steps[bar])


class Timeline:
    """All steps of a run. ``movers``: for each step the courses that move, None if there is one course only."""

    def __init__(self, datas: Sequence[Any]) -> None:
        self.courses: list[Course] = []
        self.course_of: dict[int, Course] = {}
        for data in datas:
            stamps = numbers(data.lines.datetime)[: data.buflen()]
            course = next((one for one in self.courses if np.array_equal(one.stamps, stamps)), None)
            if course is None:
                course = Course([], stamps if is_borrowed(data.lines.datetime) else stamps.copy())
                self.courses.append(course)
            else:
                share(data.lines.datetime, course.feeds[0].lines.datetime)
            course.feeds.append(data)
            self.course_of[id(data)] = course
        self.stamps = self.courses[0].stamps
        self.movers: list[tuple[int, ...]] | None = None
        if len(self.courses) > 1:
            self.stamps = np.unique(np.concatenate([course.stamps for course in self.courses]))
            self._mesh()

    def __len__(self) -> int:
        return len(self.stamps)

    def _mesh(self) -> None:
        moves = np.zeros((len(self.stamps), len(self.courses)), dtype=bool)
        for number, course in enumerate(self.courses):
            course.steps = np.searchsorted(self.stamps, course.stamps)
            moves[course.steps, number] = True
            course.at = np.cumsum(moves[:, number], dtype=np.int64) - 1
        patterns: dict[bytes, tuple[int, ...]] = {}
        packed = np.packbits(moves, axis=1)
        found = []
        for row, bits in zip(moves, packed, strict=True):
            key = bits.tobytes()
            pattern = patterns.get(key)
            if pattern is None:
                pattern = patterns[key] = tuple(np.flatnonzero(row).tolist())
            found.append(pattern)
        self.movers = found


def in_order(data: Any) -> bool:
    """Whether each bar is later than the one before, and all stamps are numbers."""
    stamps = numbers(data.lines.datetime)[: data.buflen()]
    return bool(np.isfinite(stamps).all() and (np.diff(stamps) > 0.0).all())


def is_plain(data: Any) -> bool:
    """Whether all prices are numbers."""
    lines = (data.lines.open, data.lines.high, data.lines.low, data.lines.close)
    return all(bool(np.isfinite(numbers(line)[: data.buflen()]).all()) for line in lines)
