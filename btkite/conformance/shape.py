"""Shapes of answers: which keys, of which types. The notation is explained in ``data/shapes.yaml``."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from typing import Any

import yaml

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
    "any": (object,),
}


class Shapes:
    """The table of ``data/shapes.yaml``: a shape, a header line or a packet length for each sample's file,
    and shapes of what no sample shows."""

    def __init__(self) -> None:
        text = resources.files("btkite").joinpath("data", "shapes.yaml").read_text(encoding="utf-8")
        table = yaml.safe_load(text)
        self._named: dict[str, Any] = table["shapes"]
        self.answers: dict[str, Any] = table["answers"]
        self.further: dict[str, Any] = table["further"]
        self.columns: dict[str, list[str]] = table["columns"]
        self.packets: dict[str, int] = table["packets"]

    @property
    def files(self) -> list[str]:
        """All samples, by name."""
        return sorted([*self.answers, *self.columns, *self.packets])

    def misfits(self, name: str, value: Any) -> list[str]:
        """Where ``value`` is not as the sample ``name``, or what no sample shows; empty if it fits."""
        shape = self.further[name] if name in self.further else self.answers[name]
        if isinstance(shape, list) and value == []:
            return ["the list is empty: its rows cannot be judged"]
        return list(self._compare(shape, value, ""))

    def _compare(self, shape: Any, value: Any, place: str) -> Iterator[str]:
        if isinstance(shape, str):
            if shape in self._named:
                yield from self._compare(self._named[shape], value, place)
            elif not any(_is(value, kind) for kind in shape.split("|")):
                yield f"{place or 'the answer'} is {_kind(value)}, not {shape.replace('|', ' or ')}"
        elif isinstance(shape, list):
            if not isinstance(value, list):
                yield f"{place or 'the answer'} is {_kind(value)}, not a list"
                return
            for number, item in enumerate(value):
                yield from self._compare(shape[0], item, f"{place}[{number}]")
        elif not isinstance(value, dict):
            yield f"{place or 'the answer'} is {_kind(value)}, not an object"
        elif "*" in shape:
            for key, item in value.items():
                yield from self._compare(shape["*"], item, f"{place}.{key}".lstrip("."))
        else:
            for key, inner in shape.items():
                wanted, inside = key.rstrip("?"), f"{place}.{key.rstrip('?')}".lstrip(".")
                if wanted in value:
                    yield from self._compare(inner, value[wanted], inside)
                elif wanted == key:
                    yield f"{inside} is missing"


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool) and kind == "number":
        return False
    return isinstance(value, _TYPES[kind])


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return next(kind for kind in ("null", "boolean", "number", "string") if _is(value, kind))
