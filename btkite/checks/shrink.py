"""A failure made short: delta debugging over what goes wrong, then over the day's length.

What is left breaks a promise that the whole did. (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing
Input", IEEE TSE 28, 2002.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from .chaos import Verdict
from .scenario import Scenario

Item = TypeVar("Item")
Play = Callable[[Scenario], Verdict]


def shrunk(verdict: Verdict, play: Play) -> Verdict:
    """The verdict on the shortest scenario found that still breaks one of the same promises; the given one, if it
    does not break again."""
    names = set(verdict.broken)
    best = play(verdict.scenario)
    if not names & set(best.broken):
        return verdict

    def fails(scenario: Scenario) -> bool:
        nonlocal best
        again = play(scenario)
        if not names & set(again.broken):
            return False
        best = again
        return True

    found = _fewer(verdict.scenario, fails)
    minutes = shortest(found.minutes, lambda count: fails(found.shortened(count)))
    if minutes < found.minutes:  # with fewer minutes fewer troubles may do
        found = _fewer(found.shortened(minutes), fails)
    for name in sorted(found.settings):
        plain = replace(found, settings={key: one for key, one in found.settings.items() if key != name})
        found = plain if fails(plain) else found
    return best


def _fewer(scenario: Scenario, fails: Callable[[Scenario], bool]) -> Scenario:
    """With no more troubles than it takes."""
    return _with(scenario, fewest(_troubles(scenario), lambda some: fails(_with(scenario, some))))


def _troubles(scenario: Scenario) -> list[tuple[str, object]]:
    every = {"fault": scenario.faults, "act": scenario.acts, "death": scenario.deaths}
    return [(sort, one) for sort, some in every.items() for one in some]


def _with(scenario: Scenario, troubles: Sequence[tuple[str, object]]) -> Scenario:
    kept = {sort: tuple(one for kind, one in troubles if kind == sort) for sort in ("fault", "act", "death")}
    return replace(scenario, faults=kept["fault"], acts=kept["act"], deaths=kept["death"])  # type: ignore[arg-type]


def fewest(items: Sequence[Item], fails: Callable[[Sequence[Item]], bool]) -> list[Item]:
    """A part of ``items`` that still fails and of which nothing can be left out; all of them fail."""
    left = list(items)
    if left and fails([]):
        return []
    parts = 2
    while len(left) > 1:
        size = -(-len(left) // parts)
        chunks = [left[first : first + size] for first in range(0, len(left), size)]
        for number in range(len(chunks)):
            rest = [item for other, chunk in enumerate(chunks) if other != number for item in chunk]
            if rest and fails(rest):
                left, parts = rest, max(2, parts - 1)
                break
        else:
            if parts >= len(left):
                break
            parts = min(len(left), 2 * parts)
    return left


def shortest(minutes: int, fails: Callable[[int], bool]) -> int:
    """The least number of minutes found that still fails."""
    low, high = 0, minutes
    while high - low > 1:
        middle = (low + high) // 2
        if fails(middle):
            high = middle
        else:
            low = middle
    return high
