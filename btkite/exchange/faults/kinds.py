"""What a fault is made of: the kind (a row of the table) and its arguments.

``where`` says what a kind waits for, and so what its ``match`` is held against:

=========  ==========================================================================================
reply      a REST call: ``method``, ``path``, ``fields`` of its form or query
upgrade    a WebSocket's opening: method ``UPGRADE``
update     an order update, before it is sent: method ``UPDATE``, ``fields`` of the order's row
frame      a message to a socket: method ``TICKS``, ``ORDER``, ``TEXT`` or ``HEARTBEAT``, path its peer
state      nothing: it acts when it is armed (or at ``match.at``) and lasts for ``seconds``; with a
           ``method``, ``path``, ``nth`` … it waits for that REST call instead
=========  ==========================================================================================
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ..errors import BadSettings

Where = Literal["reply", "upgrade", "update", "frame", "state"]
Args = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Arg:
    """An argument: what it is if it is not given, and what it means."""

    default: Any
    what: str


@dataclass(frozen=True, slots=True)
class Kind:
    """One row of the table. ``match`` is what its ``match`` says where the one who arms it is silent."""

    name: str
    where: Where
    what: str
    act: Callable[..., Any] | None = None
    after: Callable[..., Any] | None = None
    args: Mapping[str, Arg] = field(default_factory=dict)
    match: Mapping[str, Any] = field(default_factory=dict)

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """``given`` and the defaults of the rest. Raises BadSettings for what the kind does not know."""
        unknown = sorted(set(given) - set(self.args))
        if unknown:
            known = ", ".join(self.args) or "none"
            raise BadSettings(f"{self.name} has no argument {', '.join(unknown)}; its arguments are: {known}")
        whole = {name: arg.default for name, arg in self.args.items()}
        for name, value in given.items():
            whole[name] = _like(self.name, name, value, self.args[name].default)
        return whole


def _like(kind: str, name: str, value: Any, default: Any) -> Any:
    """``value`` if it is of the default's sort: a number for a number, a text for a text."""
    if isinstance(default, bool):
        fits = isinstance(value, bool)
    elif isinstance(default, int):
        fits = isinstance(value, int) and not isinstance(value, bool)
    elif isinstance(default, float):
        fits = isinstance(value, (int, float)) and not isinstance(value, bool)
    elif isinstance(default, str):
        fits = isinstance(value, str)
    elif isinstance(default, (list, tuple)):
        fits = isinstance(value, (list, tuple))
    elif isinstance(default, dict):
        fits = isinstance(value, dict)
    else:
        fits = True
    if not fits:
        raise BadSettings(f"{name} of {kind} is {value!r}; write something like {default!r}")
    return float(value) if isinstance(default, float) else value
