"""Another class for one instance, for as long as a run takes.

The class is made without backtrader's metaclasses, which would enter it in the tables of indicators.
"""

from __future__ import annotations

from typing import Any

_made: dict[tuple[type, type], type] = {}


def swap(instance: Any, mixin: type) -> None:
    """``instance`` is from now on of its own class with ``mixin`` in front; by name it is what it was."""
    cls = type(instance)
    made = _made.get((cls, mixin))
    if made is None:
        names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "swapped": cls}
        made = _made[cls, mixin] = type.__new__(type(cls), cls.__name__, (mixin, cls), names)
    instance.__class__ = made


def unswap(instance: Any) -> None:
    """Its own class again."""
    own = type(instance).__dict__.get("swapped")
    if own is not None:
        object.__setattr__(instance, "__class__", own)  # past a mixin that watches over assignments


def class_of(instance: Any) -> type:
    """The class that it has outside of a run."""
    cls = type(instance)
    own: type = cls.__dict__.get("swapped", cls)
    return own
