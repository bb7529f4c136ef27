"""Which days a set is judged by: all, all but the last ones, or windows that walk through them.

A window is naive IST from midnight to midnight, as ``btkite run --from --to`` says it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from ..errors import ConfigError

TRAIN = 3
"""A walking window learns on so many times the days that it is tested on."""
FEWEST = 2
"""Days of a window."""


@dataclass(frozen=True, slots=True)
class Window:
    """[begin, end); None is where the candles of the sweep begin or end."""

    begin: datetime | None = None
    end: datetime | None = None

    def said(self) -> list[str | None]:
        return [None if moment is None else moment.isoformat() for moment in (self.begin, self.end)]


@dataclass(frozen=True, slots=True)
class Fold:
    """Learn on ``train``, be judged by ``test``, which follows."""

    train: Window
    test: Window


def held_out(days: Sequence[date], percent: float, whole: Window) -> Fold:
    """The last ``percent`` of the days are kept for the test.

    :raises ConfigError: if that leaves too few on one side.
    """
    if not 0 < percent < 100:
        raise ConfigError(f"--out-of-sample takes per cent of the days, between 0 and 100, not {percent:g}")
    kept = round(len(days) * percent / 100)
    if kept < FEWEST or len(days) - kept < FEWEST:
        raise ConfigError(
            f"{percent:g} % of {len(days)} days are {kept}: both sides need {FEWEST} at least, so take more days"
        )
    cut = _midnight(days[len(days) - kept])
    return Fold(Window(whole.begin, cut), Window(cut, whole.end))


def walking(days: Sequence[date], folds: int, whole: Window, *, anchored: bool = False) -> list[Fold]:
    """``folds`` tests one after the other up to the last day, each behind the days that it learns on: three times as
    many, or, ``anchored``, all from the first one.

    :raises ConfigError: if there are too few days for that.
    """
    if folds < 2:
        raise ConfigError(f"--walk-forward takes 2 folds or more, not {folds}")
    length = len(days) // (folds + TRAIN)
    if length < FEWEST:
        raise ConfigError(
            f"{len(days)} days are too few for {folds} folds: take {(folds + TRAIN) * FEWEST} days at least, or fewer "
            "folds"
        )
    found = []
    for number in range(folds):
        test = len(days) - (folds - number) * length
        train = 0 if anchored else test - TRAIN * length
        begin = whole.begin if train == 0 else _midnight(days[train])
        end = whole.end if number == folds - 1 else _midnight(days[test + length])
        found.append(Fold(Window(begin, _midnight(days[test])), Window(_midnight(days[test]), end)))
    return found


def last_day(end: datetime) -> str:
    """An end as ``--to`` says it, which includes the day that it names."""
    if end == _midnight(end.date()):
        return f"{end.date() - timedelta(days=1)}"
    return end.isoformat(sep=" ")


def first_day(begin: datetime) -> str:
    """A start as ``--from`` says it."""
    return f"{begin.date()}" if begin == _midnight(begin.date()) else begin.isoformat(sep=" ")


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)
