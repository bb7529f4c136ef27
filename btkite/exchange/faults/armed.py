"""What can be armed: the table of all kinds, a fault, a storm of them.

The same seed, the same calls and the same market give the same faults: every chance is drawn from a
generator of the fault's own, in the order in which things are held against it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from ..clock import SECOND, iso
from ..errors import BadSettings
from . import frames, replies, states, updates
from .kinds import Args, Kind
from .match import COUNTS, Match, read_match

TABLE: Mapping[str, Kind] = {kind.name: kind for kind in (*replies.KINDS, *updates.KINDS, *frames.KINDS, *states.KINDS)}
_NOT_IN_STORMS = {
    "bad_tick", "clock_skew", "freeze_rejection", "instruments_of_yesterday", "ip_refused", "margin_shortfall",
    "needs_authorisation", "no_permission", "price_spike", "token_exception",
}  # fmt: skip
PASSING: tuple[str, ...] = tuple(name for name in TABLE if name not in _NOT_IN_STORMS)
"""What a storm draws from: what a client should get over without a loss."""
_KEYS = {"kind", "match", "times", "args", "seed"}
_STORM_KEYS = {"seed", "every", "kinds", "args", "until"}


def kind_of(name: Any) -> Kind:
    """A row of the table, or BadSettings that says what there is."""
    kind = TABLE.get(name) if isinstance(name, str) else None
    if kind is None:
        raise BadSettings(f"{name!r} is no kind of fault; there are: {', '.join(TABLE)}")
    return kind


def _whole(what: str, value: Any, *, least: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise BadSettings(f"{what} must be a whole number from {least} on")
    return value


class Fault:
    """A kind that is armed. ``times``: how often it may act (None: without limit)."""

    def __init__(self, number: int, kind: Kind, match: Match, args: Args, times: int | None, seed: int) -> None:
        self.number = number
        self.kind = kind
        self.match = match
        self.args = args
        self.times = times
        self.seed = seed
        self.seen = 0
        self.fired = 0
        self.waits = False
        self._chance = random.Random(f"{kind.name}:{seed}")  # noqa: S311 - play

    @property
    def spent(self) -> bool:
        """True if it will not act again."""
        return self.times is not None and self.fired >= self.times

    def hits(self, now: int, method: str, path: str, fields: Mapping[str, Any]) -> bool:
        """Hold it against something; True if it acts on that."""
        if self.spent or not self.match.fits(now, method, path, fields):
            return False
        self.seen += 1
        past = self.seen - self.match.nth
        if past < 0 or past % self.match.every:
            return False
        if self.match.probability < 1 and self._chance.random() >= self.match.probability:
            return False
        self.fired += 1
        return True

    def row(self) -> dict[str, Any]:
        """As the control surface shows it."""
        match: dict[str, Any] = {"method": self.match.method, "path": self.match.path}
        match |= {"nth": self.match.nth, "every": self.match.every, "probability": self.match.probability}
        for name in ("at", "until"):
            us = getattr(self.match, name)
            match[name] = iso(us) if us is not None else None
        return {
            "id": self.number,
            "kind": self.kind.name,
            "match": {**match, "fields": dict(self.match.fields)},
            "times": self.times,
            "args": dict(self.args),
            "seed": self.seed,
            "seen": self.seen,
            "fired": self.fired,
            "spent": self.spent,
        }


class Storm:
    """One fault of random kind every ``every`` seconds of the market, from a seed. Raises BadSettings."""

    def __init__(self, number: int, body: Any) -> None:
        if not isinstance(body, Mapping):
            raise BadSettings('a storm is an object such as {"seed": 7, "every": 60}')
        unknown = sorted(set(body) - _STORM_KEYS)
        if unknown:
            raise BadSettings(f"a storm knows {', '.join(sorted(_STORM_KEYS))}; not {', '.join(unknown)}")
        self.number = number
        self.seed = _whole("seed of a storm", body.get("seed", 0), least=0)
        every = body.get("every", 60)
        if isinstance(every, bool) or not isinstance(every, (int, float)) or every <= 0:
            raise BadSettings("every of a storm must be a number of seconds above zero")
        self.every = round(every * SECOND)
        self.kinds = tuple(body.get("kinds") or PASSING)
        for name in self.kinds:
            kind_of(name)
        self.args: Mapping[str, Mapping[str, Any]] = body.get("args") or {}
        self.until = read_match("a storm", {"until": body.get("until")}).until
        self._chance = random.Random(f"storm:{self.seed}")  # noqa: S311 - play

    def draw(self) -> dict[str, Any]:
        """The next fault, as one would arm it."""
        name = self._chance.choice(self.kinds)
        return {"kind": name, "args": self.args.get(name, {}), "seed": self._chance.randrange(1 << 30)}

    def row(self) -> dict[str, Any]:
        """As the control surface shows it."""
        until = iso(self.until) if self.until is not None else None
        storm = {"seed": self.seed, "every": self.every / SECOND, "kinds": list(self.kinds), "until": until}
        return {"id": self.number, "storm": storm}


def read_fault(number: int, body: Any) -> Fault:
    """A fault as it is written in JSON. Raises BadSettings."""
    if not isinstance(body, Mapping):
        raise BadSettings('a fault is an object such as {"kind": "html_502"}')
    unknown = sorted(set(body) - _KEYS)
    if unknown:
        raise BadSettings(f"a fault knows {', '.join(sorted(_KEYS))}; not {', '.join(unknown)}")
    kind = kind_of(body.get("kind"))
    given = body.get("match") or {}
    match = read_match(kind.name, {**kind.match, **given} if isinstance(given, Mapping) else given)
    args = body.get("args") or {}
    if not isinstance(args, Mapping):
        raise BadSettings(f"args of {kind.name} must be an object")
    times = body.get("times", 1)
    fault = Fault(
        number,
        kind,
        match,
        kind.arguments(args),
        None if times in (None, 0) else _whole(f"times of {kind.name}", times, least=1),
        _whole(f"seed of {kind.name}", body.get("seed", 0), least=0),
    )
    fault.waits = kind.where in ("reply", "upgrade", "update") or bool(COUNTS & ({*given} | {*kind.match}))
    if not fault.waits and fault.times != 1:
        raise BadSettings(f"{kind.name} acts once, when it is armed: give it a match to have it act more often")
    return fault
