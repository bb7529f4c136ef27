"""Crash anywhere: a scripted day, killed at every boundary and started again, against the day that was not.

:func:`survey` counts the boundaries, :func:`trial` dies at one or several of them, :func:`trials` at many.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from ..errors import BtkiteError
from . import day as scripted
from .boundaries import Boundary
from .compare import broken, differences, recovery
from .lives import Day, Script, Stage

RECOVERY = 4
"""Bars after which everything must be as without the kill: what nobody knows is decided after 90 seconds, and then a
strategy that wants it still gives it again."""

KEYS: dict[str, Any] = {"broker.capital": 1e7, "risk.enabled": False, "data.warmup": 5}
_EARLY = 3
_SHARE = 40  # trials of one worker between two words of it

Kill = tuple[Boundary, ...]
"""Where the lives of one day end, one after the other."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of dying at ``kill``. ``reached``: as many lives ended there as were to; else the day went another
    way before (a race of two threads). ``recovery``: bars until everything was as without the kill."""

    kill: Kill
    reached: bool
    recovery: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        return " and then ".join(map(str, self.kill))


THIN: dict[str, Any] = {"depth": (3,), "beyond_depth": "wait"}
"""A market that trades three at each print: most orders fill in parts."""


def script(seed: int, legs: int = scripted.LEGS, *, thin: bool = False) -> Script:
    """The scripted day of a seed, or its first ``legs``; ``thin``: nobody trades more than a little at once."""
    where = f"{scripted.__name__}:Scripted"
    settings = THIN if thin else {}
    return Script(where, scripted.candles(seed, legs=legs), params=(f"legs={legs}",), keys=KEYS, settings=settings)


def survey(stage: Stage, what: Script) -> Day:
    """The day without a kill; its ``crossings`` are all the boundaries that there are.

    :raises BtkiteError: if it is not well even so.
    """
    whole = stage.play(what)
    problems = [*broken(whole), *_unwell(whole)]
    if problems:
        raise BtkiteError(f"the day is not well even without a kill: {problems[0]}")
    return whole


def trial(stage: Stage, what: Script, whole: Day, kill: Kill, *, within: int = RECOVERY) -> Trial:
    """The day with kills, held against the one without."""
    try:
        day = stage.play(what, kill)
    except BtkiteError as error:
        return Trial(kill, True, len(whole.bars), (str(error),))
    problems = [*broken(day), *_unwell(day), *map(str, differences(whole, day, within=within))]
    return Trial(kill, len(day.deaths) == len(kill), recovery(whole, day), tuple(problems))


def trials(what: Script, whole: Day, kills: Sequence[Kill], *, jobs: int = 1) -> Iterator[Trial]:
    """All of them, as they come; ``jobs`` at a time, each with an exchange and processes of its own."""
    shares = [kills[first : first + _SHARE] for first in range(0, len(kills), _SHARE)]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        for done in as_completed([pool.submit(_share, what, whole, share) for share in shares]):
            yield from done.result()


def _share(what: Script, whole: Day, kills: Sequence[Kill]) -> list[Trial]:
    with Stage() as stage:
        return [trial(stage, what, whole, kill) for kill in kills]


def _unwell(day: Day) -> Iterator[str]:
    if day.codes[-1]:
        said = day.output.strip().splitlines()
        yield f"the last life ended with exit code {day.codes[-1]}: {said[-1] if said else 'it said nothing'}"


def chosen(boundaries: Sequence[Boundary], count: int, seed: int) -> list[Boundary]:
    """``count`` of them: as many sites as can be, each at random."""
    draw = random.Random(seed)  # noqa: S311 - a choice that can be made again, no secret
    by_site: dict[str, list[Boundary]] = {}
    for boundary in boundaries:
        by_site.setdefault(boundary.site, []).append(boundary)
    sites = [draw.sample(some, len(some)) for some in by_site.values()]
    draw.shuffle(sites)
    found: list[Boundary] = []
    while len(found) < min(count, len(boundaries)):
        for some in sites:
            if some and len(found) < count:
                found.append(some.pop())
    return found


def kills_of(boundaries: Sequence[Boundary], count: int | None, deaths: int, seed: int) -> list[Kill]:
    """``count`` kills (None: one for each boundary), each of ``deaths`` lives; those after the first end early, many
    of them while they still recover."""
    first = list(boundaries) if count is None else chosen(boundaries, count, seed)
    draw = random.Random(seed)  # noqa: S311 - as above
    early = [boundary for boundary in boundaries if boundary.nth <= _EARLY]
    return [(one, *draw.choices(early, k=deaths - 1)) for one in first]


@dataclass(frozen=True, slots=True)
class Summary:
    """``count`` trials: how many boundaries there were, how long recovery took, what failed first."""

    boundaries: int
    count: int
    unreached: int
    recovery: Counter[int]
    failed: tuple[Trial, ...]

    @classmethod
    def of(cls, whole: Day, done: Sequence[Trial]) -> Summary:
        return cls(
            boundaries=len(whole.crossings),
            count=len(done),
            unreached=sum(not one.reached for one in done),
            recovery=Counter(one.recovery for one in done),
            failed=tuple(one for one in done if one.problems),
        )

    def lines(self) -> Iterator[str]:
        """What is to be said of them."""
        yield f"{self.boundaries} boundaries in the day; died at {self.count - self.unreached} and started again"
        if self.unreached:
            yield f"{self.unreached} were not come to again: the day had gone another way before"
        waits = ", ".join(f"{count} after {bars} bars" for bars, count in sorted(self.recovery.items()) if bars)
        yield f"as without the kill: {self.recovery[0]} at once{', ' if waits else ''}{waits}"
        yield f"{len(self.failed)} failed" if self.failed else "nothing twice, nothing lost, and then the same"
        for one in self.failed[:5]:
            yield f"  {one}"
            yield from (f"      {problem}" for problem in one.problems[:3])
