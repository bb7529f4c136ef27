"""Which sets are tried: all of them, some by chance, or those that what was found so far makes promising.

A search is asked for the next sets until it has none, and told what each came to. With the same seed it asks for
the same sets, however many workers there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..errors import ConfigError
from .space import Dimension, Space

TRIALS = 100
"""Of a search that could go on for ever, if nobody says how many."""
BATCH = 8
"""Sets that optuna is asked for at a time, before it hears what they came to."""

Set = dict[str, Any]


class Search(Protocol):
    """``total``: how many sets it will ask for."""

    total: int

    def ask(self) -> Sequence[Set]:
        """The next sets; none at the end."""
        ...

    def tell(self, found: Sequence[tuple[Set, float | None]]) -> None:
        """What they came to; None for a failure. More is always better."""
        ...


class Listed:
    """Sets that are all known beforehand."""

    def __init__(self, sets: Sequence[Set]) -> None:
        self._sets: Sequence[Set] = sets
        self.total = len(sets)

    def ask(self) -> Sequence[Set]:
        asked, self._sets = self._sets, ()
        return asked

    def tell(self, found: Sequence[tuple[Set, float | None]]) -> None:
        """It learns nothing."""


class Optuna:
    """optuna's own sampler (TPE), a batch at a time."""

    def __init__(self, space: Space, trials: int, seed: int) -> None:
        import warnings

        optuna = _optuna()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna, self._space, self.total, self._left = optuna, space, trials, trials
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that constant_liar is experimental
            sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        self._study = optuna.create_study(direction="maximize", sampler=sampler)
        self._asked: list[Any] = []

    def ask(self) -> Sequence[Set]:
        count = min(BATCH, self._left)
        self._left -= count
        self._asked = [self._study.ask() for _ in range(count)]
        return [{one.name: self._suggest(trial, one) for one in self._space.dimensions} for trial in self._asked]

    def _suggest(self, trial: Any, one: Dimension) -> Any:
        if one.continuous:
            return trial.suggest_float(one.name, one.low, one.high)
        if one.step is not None:  # in their order, which a list of values has not
            return one.values[trial.suggest_int(one.name, 0, len(one.values) - 1)]
        return one.values[trial.suggest_categorical(one.name, list(range(len(one.values))))]

    def tell(self, found: Sequence[tuple[Set, float | None]]) -> None:
        state = self._optuna.trial.TrialState
        for trial, (_, value) in zip(self._asked, found, strict=True):
            if value is None:
                self._study.tell(trial, state=state.FAIL)
            else:
                self._study.tell(trial, value)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise ConfigError("--search optuna needs optuna: pip install btkite[optuna]") from None
    return optuna


def _grid(space: Space, trials: int | None, seed: int) -> Search:
    if trials is not None:
        raise ConfigError("a grid tries all its sets: leave --trials out, or use --search random")
    return Listed(list(space.grid()))


def _random(space: Space, trials: int | None, seed: int) -> Search:
    return Listed(space.drawn(trials if trials is not None else TRIALS, seed))


def _learning(space: Space, trials: int | None, seed: int) -> Search:
    return Optuna(space, trials if trials is not None else TRIALS, seed)


SEARCHES: dict[str, Callable[[Space, int | None, int], Search]] = {
    "grid": _grid,
    "random": _random,
    "optuna": _learning,
}


def search_of(name: str, space: Space, trials: int | None, seed: int) -> Search:
    """:raises ConfigError: if there is no such search, or it cannot go over this space."""
    if name not in SEARCHES:
        raise ConfigError(f"there is no search {name!r}; choose one of {', '.join(SEARCHES)}")
    if trials is not None and trials < 1:
        raise ConfigError(f"--trials must be 1 or more, not {trials}")
    return SEARCHES[name](space, trials, seed)
