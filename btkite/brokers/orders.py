"""A broker's orders by ref. The strategy's own are what one sees who looks at all of them; slices, which have negative
refs, are found by theirs."""

from __future__ import annotations

from typing import Any

_MANY = 10_000
"""More slices than one order ever has."""


def spoken(ref: int) -> str:
    """An order, or a slice of one, as a person is told of it."""
    return f"order {ref}" if ref > 0 else f"slice {-ref % _MANY} of order {whole_ref(ref)}"


def whole_ref(ref: int) -> int:
    """The ref of the order that a slice is of; any other order's is its own."""
    return -ref // _MANY if ref < 0 else ref


class Orders(dict[int, Any]):
    """``orders[ref]`` and ``get`` know slices; iterating, ``in`` and ``len`` do not."""

    def __init__(self) -> None:
        super().__init__()
        self._slices: dict[int, dict[int, Any]] = {}  # ref of the whole -> ref -> slice

    def __setitem__(self, ref: int, order: Any) -> None:
        if ref > 0:
            super().__setitem__(ref, order)
        else:
            self._slices.setdefault(whole_ref(ref), {})[ref] = order

    def __missing__(self, ref: int) -> Any:
        if ref > 0:
            raise KeyError(ref)
        return self._slices[whole_ref(ref)][ref]

    def get(self, ref: int | None, default: Any = None) -> Any:
        if ref is None or ref > 0:
            return default if ref is None else super().get(ref, default)
        return self._slices.get(whole_ref(ref), {}).get(ref, default)

    def pop(self, ref: int, *default: Any) -> Any:
        if ref > 0:
            return super().pop(ref, *default)
        found = self._slices.get(whole_ref(ref), {})
        gone = found.pop(ref, *default)
        if not found:
            self._slices.pop(whole_ref(ref), None)
        return gone

    def slices_of(self, ref: int) -> list[Any]:
        """In the order in which they were cut."""
        return list(self._slices.get(ref, {}).values())

    def parts(self) -> list[Any]:
        """All slices of orders that live."""
        return [one for ref, of in self._slices.items() if self[ref].alive() for one in of.values()]

    def next_slice(self, ref: int) -> int:
        """A ref for the next slice of an order."""
        return min(self._slices.get(ref, {}), default=-ref * _MANY) - 1
