"""When a fault happens: what it is held against, which time, how often, by what chance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from fnmatch import fnmatchcase
from typing import Any

from ..clock import parse_iso
from ..errors import BadSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """All that is said must hold.

    ``method`` and ``path`` (several with ``|``) and the values of ``fields`` are globs. Of what fits, the
    ``nth`` is hit, and from there on every ``every``-th, each with ``probability``; between the moments
    ``at`` and ``until`` of market time.
    """

    method: str = "*"
    path: str = "*"
    fields: Mapping[str, str] = field(default_factory=dict)
    nth: int = 1
    every: int = 1
    probability: float = 1.0
    at: int | None = None
    until: int | None = None

    def fits(self, now: int, method: str, path: str, given: Mapping[str, Any]) -> bool:
        """True if this is one of those that are counted."""
        if (self.at is not None and now < self.at) or (self.until is not None and now >= self.until):
            return False
        if self.method != "*" and not any(fnmatchcase(method, one) for one in self.method.split("|")):
            return False
        if self.path != "*" and not any(fnmatchcase(path, one) for one in self.path.split("|")):
            return False
        return all(fnmatchcase(str(given.get(name, "")), pattern) for name, pattern in self.fields.items())


_NAMES = {one.name for one in fields(Match)}
COUNTS = {"method", "path", "fields", "nth", "every", "probability"}
"""What makes a fault wait for something to be held against it."""


def read_match(kind: str, given: Mapping[str, Any]) -> Match:
    """A match as it is written in JSON. Raises BadSettings."""
    if not isinstance(given, Mapping):
        raise BadSettings(f"match of {kind} must be an object with some of {', '.join(sorted(_NAMES))}")
    unknown = sorted(set(given) - _NAMES)
    if unknown:
        raise BadSettings(f"match of {kind} knows {', '.join(sorted(_NAMES))}; not {', '.join(unknown)}")
    whole = dict(given)
    for name in ("at", "until"):
        if whole.get(name) is not None:
            whole[name] = parse_iso(whole[name])
    for name in ("nth", "every"):
        value = whole.get(name, 1)
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise BadSettings(f"{name} of {kind} must be a whole number from 1 on")
    chance = whole.get("probability", 1.0)
    if isinstance(chance, bool) or not isinstance(chance, (int, float)) or not 0 <= chance <= 1:
        raise BadSettings(f"probability of {kind} must be a number from 0 to 1")
    for name in ("method", "path"):
        if not isinstance(whole.get(name, "*"), str):
            raise BadSettings(f"{name} of {kind} must be a text")
    pairs = whole.get("fields", {})
    if not isinstance(pairs, Mapping):
        raise BadSettings(f'fields of {kind} must be an object such as {{"tradingsymbol": "INFY"}}')
    whole["fields"] = {str(name): str(value) for name, value in pairs.items()}
    if "method" in whole:
        whole["method"] = whole["method"].upper()
    return Match(**whole)
