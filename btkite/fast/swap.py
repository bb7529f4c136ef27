"""Another class for one instance, for as long as a run takes.

The class is made without backtrader's metaclasses, which would enter it in the tables of indicators.
"""

from __future__ import annotations

from typing import Any

_made: dict[tuple[type, type], type] = {}
_kinds: dict[type, type] = {}


def swap(instance: Any, mixin: type) -> None:
    """``instance`` is from now on of its own class with ``mixin`` in front; by name it is what it was."""
    cls = type(instance)
    made = _made.get((cls, mixin))
    if made is None:
        names = {"__module__": cls.__module__, "__qualname__": cls.__qualname__, "swapped": cls}
        made = _made[cls, mixin] = type.__new__(_kind_of(cls), cls.__name__, (mixin, cls), names)
    instance.__class__ = made


def _kind_of(cls: type) -> type:
    """The metaclass of ``cls``, for a class that keeps nothing to itself: ``type(self).count += 1`` in a strategy means
    the strategy's own class."""
    kind = _kinds.get(type(cls))
    if kind is None:
        base = type(cls)
        names = {"__setattr__": _on_its_own, "__delattr__": lambda made, name: delattr(made.swapped, name)}
        kind = _kinds[base] = type(base.__name__, (base,), names)
    return kind


def _on_its_own(made: Any, name: str, value: Any) -> None:
    setattr(made.swapped, name, value)


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
