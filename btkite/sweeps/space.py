"""What is varied: a few values of each parameter, or a stretch of numbers, as ``fast=5..50:5`` says it.

Every value is one that ``btkite run -p NAME=VALUE`` understands, and is what that makes of it: a row of a sweep can
be typed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

import backtrader as bt

from ..errors import ConfigError
from ..loading import check_params, defaults_of, parse_params

MOST = 1_000_000
"""Sets of a grid; more is a slip of the pen, and would not fit into anybody's night."""

HOW = "write name=5..50:5 (from, to, step) or name=5,10,20"
_NUMBERS = (int, float, type(None))


@dataclass(frozen=True, slots=True)
class Dimension:
    """One parameter: its ``values``, or, for a search that picks freely, ``low`` to ``high`` (both included)."""

    name: str
    values: tuple[Any, ...] = ()
    low: float = 0.0
    high: float = 0.0
    step: float | None = None
    """Of evenly spaced numbers; None for values that were listed, and for a stretch without a step."""

    @property
    def continuous(self) -> bool:
        return not self.values


@dataclass(frozen=True, slots=True)
class Space:
    """All dimensions, in the order in which they were given; the last one turns fastest."""

    dimensions: tuple[Dimension, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.dimensions)

    @property
    def size(self) -> int | None:
        """How many sets there are; None if a dimension is continuous."""
        if any(one.continuous for one in self.dimensions):
            return None
        return math.prod(len(one.values) for one in self.dimensions)

    def at(self, number: int) -> dict[str, Any]:
        """The set of that number, from 0."""
        picked = []
        for one in reversed(self.dimensions):
            number, place = divmod(number, len(one.values))
            picked.append((one.name, one.values[place]))
        return dict(reversed(picked))

    def grid(self) -> Iterator[dict[str, Any]]:
        """Every set.

        :raises ConfigError: if there is no end to them.
        """
        for one in self.dimensions:
            if one.continuous:
                raise ConfigError(
                    f"a grid needs a step: write {one.name}={one.low:g}..{one.high:g}:STEP, or use --search random"
                )
        size = self.size or 0
        if size > MOST:
            raise ConfigError(f"that are {size:,} sets, more than {MOST:,}: widen the steps, or use --search random")
        return (self.at(number) for number in range(size))

    def drawn(self, count: int, seed: int) -> list[dict[str, Any]]:
        """``count`` different sets by chance, the same for the same seed; all of them if there are no more."""
        dice = random.Random(seed)  # noqa: S311 - parameters, no secrets
        size = self.size
        if size is not None:
            return [self.at(number) for number in dice.sample(range(size), min(count, size))]
        return [
            {
                one.name: dice.uniform(one.low, one.high) if one.continuous else dice.choice(one.values)
                for one in self.dimensions
            }
            for _ in range(count)
        ]


def space_of(strategy: type[bt.Strategy], sets: Mapping[str, Any] | Sequence[str], fixed: Mapping[str, Any]) -> Space:
    """What is to be varied, as the command line or Python says it.

    :raises ConfigError: for what is no range, an unknown parameter, or a value that the parameter cannot have.
    """
    pairs = list(sets.items()) if isinstance(sets, Mapping) else [_split(text) for text in sets]
    if not pairs:
        raise ConfigError("nothing is varied: give --set fast=5..50:5 (sets={'fast': '5..50:5'} in Python)")
    found: dict[str, Dimension] = {}
    for name, said in pairs:
        check_params(strategy, [name])
        if name in found:
            raise ConfigError(f"the parameter {name} is varied twice: once is enough")
        if name in fixed:
            raise ConfigError(f"the parameter {name} is varied and fixed: take it out of one of the two")
        found[name] = _dimension(strategy, name, said)
    return Space(tuple(found.values()))


def _split(text: str) -> tuple[str, str]:
    name, equals, said = text.partition("=")
    if not equals or not name.strip() or not said.strip():
        raise ConfigError(f"{text!r} says nothing to vary: {HOW}")
    return name.strip(), said.strip()


def _dimension(strategy: type[bt.Strategy], name: str, said: Any) -> Dimension:
    if isinstance(said, str):
        if ".." in said:
            return _stretch(strategy, name, said)
        said = [part.strip() for part in said.split(",")]
        if "" in said:
            raise ConfigError(f"a value of {name} is empty: {HOW}")
    elif isinstance(said, bytes) or not hasattr(said, "__iter__"):
        raise ConfigError(f"{name} has one value, {said!r}: put it into params, or give several")
    values = dict.fromkeys(_typed(strategy, name, one) for one in said)
    if not values:
        raise ConfigError(f"{name} has no value: {HOW}")
    return Dimension(name, tuple(values))


def _stretch(strategy: type[bt.Strategy], name: str, said: str) -> Dimension:
    """``5..50:5``, or ``0.5..2`` without a step. In decimals, so that 0.1 + 0.2 is 0.3."""
    default = defaults_of(strategy)[name]
    if not isinstance(default, _NUMBERS) or isinstance(default, bool):
        raise ConfigError(
            f"{strategy.__name__}'s parameter {name} is no number: name its values one by one, {name}=a,b"
        )
    ends, colon, pace = said.partition(":")
    low_text, _, high_text = ends.partition("..")
    try:
        low, high = Decimal(low_text.strip()), Decimal(high_text.strip())
        step = Decimal(pace.strip()) if colon else None
        if not all(number.is_finite() for number in (low, high, step or low)):
            raise InvalidOperation
    except InvalidOperation:
        raise ConfigError(f"{name}={said} is no range: {HOW}") from None
    if step is not None and step <= 0:
        raise ConfigError(f"{name}={said}: the step must be more than 0")
    if low > high:
        raise ConfigError(f"{name}={said} is empty: {low} is more than {high}")
    if step is None and not _is_whole(default, low_text, high_text):
        values = tuple(_typed(strategy, name, end.strip()) for end in (low_text, high_text))
        return Dimension(name, (), float(values[0]), float(values[1]))
    step = step if step is not None else Decimal(1)
    count = int((high - low) / step) + 1
    if count > MOST:
        raise ConfigError(f"{name}={said} has {count:,} values, more than {MOST:,}: widen the step")
    values = tuple(_typed(strategy, name, _plain(low + number * step)) for number in range(count))
    return Dimension(name, values, float(values[0]), float(values[-1]), float(step))


def _is_whole(default: Any, *ends: str) -> bool:
    return isinstance(default, int) or (default is None and not any("." in end for end in ends))


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _typed(strategy: type[bt.Strategy], name: str, value: Any) -> Any:
    """The value as ``-p name=value`` gives it to the strategy.

    :raises ConfigError: if it cannot be typed.
    """
    if isinstance(value, str):
        return parse_params(strategy, [f"{name}={value}"])[name]
    value = value.item() if hasattr(value, "item") else value
    if not isinstance(value, (bool, int, float, str, date, datetime, time, type(None))):
        raise ConfigError(f"{name} cannot be varied over {value!r}: take numbers, texts, times, true and false")
    return parse_params(strategy, [f"{name}={text_of(value)}"])[name]


def text_of(value: Any) -> str:
    """A value as it is typed after ``-p name=``."""
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return str(value)
