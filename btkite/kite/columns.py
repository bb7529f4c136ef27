"""The packets of one large frame as numpy columns. What nobody asks for is not worked out: no ladders for bars, no
tick objects where columns will do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from ..values import Level, Tick
from .layout import DIVISOR, DIVISORS, FULL, INDEX_FULL, INDEX_QUOTE, LTP, MODES, QUOTE

Array: TypeAlias = NDArray[Any]

_WORD = 4  # bytes of an integer
_HEAD = 2  # bytes of the length before each packet
_DEPTH = np.dtype([("quantity", ">u4"), ("price", ">u4"), ("orders", ">u2"), ("pad", ">u2")])
_TRADE = (
    "instrument_token", "last_price", "last_quantity", "average_price", "volume",
    "buy_quantity", "sell_quantity", "open", "high", "low", "close",
)  # fmt: skip
# The integers of a packet in wire order, "" for what we do not keep.
_FIELDS: Mapping[int, tuple[str, ...]] = {
    LTP: _TRADE[:2],
    INDEX_QUOTE: ("instrument_token", "last_price", "high", "low", "open", "close", ""),
    INDEX_FULL: ("instrument_token", "last_price", "high", "low", "open", "close", "", "exchange_time"),
    QUOTE: _TRADE,
    FULL: (*_TRADE, "last_trade_time", "oi", "oi_day_high", "oi_day_low", "exchange_time"),
}


def _record(length: int) -> np.dtype[Any]:
    """A packet of this length, with the length before it."""
    names = ["length"]
    formats: list[Any] = [">u2"]
    offsets = [0]
    for place, name in enumerate(_FIELDS[length]):
        if name:
            names.append(name)
            formats.append(">u4")
            offsets.append(_HEAD + _WORD * place)
    if length == FULL:
        names.append("depth")
        formats.append((_DEPTH, (10,)))
        offsets.append(_HEAD + 64)
    return np.dtype({"names": names, "formats": formats, "offsets": offsets, "itemsize": _HEAD + length})


_RECORDS: Mapping[int, np.dtype[Any]] = {length: _record(length) for length in MODES}

# A NamedTuple's own __new__ is a Python function; tuple's makes the same object in half the time.
_level: Callable[[type[Level], tuple[Any, ...]], Level] = tuple.__new__
_make: Callable[[type[Tick], tuple[Any, ...]], Tick] = tuple.__new__
_NO_LADDER: tuple[tuple[Level, ...], tuple[Level, ...]] = ((), ())


class TickColumns(Sequence[Tick]):
    """The packets of one frame, in its order: as columns, or one by one as ticks.

    A column has 0 where a packet has no such thing. Prices are rupees (float64), times epoch seconds, and everything
    but prices int64. ``depth_*`` have ten columns: five bids, best first, then five asks; none if no packet of the
    frame has depth.
    """

    def __init__(self, count: int, groups: Sequence[tuple[Array | slice, Array]]) -> None:
        self._count = count
        self._groups = groups  # where in the frame, and the packets of one length

    @classmethod
    def of_one_length(cls, frame: bytes, count: int, length: int) -> TickColumns:
        """A whole frame whose packets all have one known length; nothing is copied."""
        return cls(count, [(slice(None), np.frombuffer(frame, _RECORDS[length], count, offset=2))])

    @classmethod
    def of_packets(cls, frame: bytes, packets: Sequence[tuple[int, int]]) -> TickColumns:
        """The packets of a frame by where they start and their length, which is a known one."""
        starts: dict[int, list[int]] = {}
        where: dict[int, list[int]] = {}
        for place, (at, length) in enumerate(packets):
            starts.setdefault(length, []).append(at - _HEAD)
            where.setdefault(length, []).append(place)
        groups: list[tuple[Array | slice, Array]] = []
        for length, places in where.items():
            step = length + _HEAD
            joined = b"".join([frame[at : at + step] for at in starts[length]])
            groups.append((np.array(places), np.frombuffer(joined, _RECORDS[length])))
        return cls(len(packets), groups)

    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, place: int) -> Tick: ...
    @overload
    def __getitem__(self, place: slice) -> list[Tick]: ...
    def __getitem__(self, place: int | slice) -> Tick | list[Tick]:
        if isinstance(place, slice) or "_ticks" in self.__dict__:
            return self.ticks()[place]
        if not -self._count <= place < self._count:
            raise IndexError(f"no tick {place} in a frame of {self._count}")
        return self._one(range(self._count)[place])

    def __iter__(self) -> Iterator[Tick]:
        return iter(self.ticks())

    # -- columns ----------------------------------------------------------------------------------

    @cached_property
    def length(self) -> Array:
        """Of each packet, in bytes: says its mode."""
        return self._numbers("length")

    @cached_property
    def instrument_token(self) -> Array:
        return self._numbers("instrument_token")

    @cached_property
    def last_price(self) -> Array:
        return self._prices("last_price")

    @cached_property
    def last_quantity(self) -> Array:
        return self._numbers("last_quantity")

    @cached_property
    def average_price(self) -> Array:
        return self._prices("average_price")

    @cached_property
    def volume(self) -> Array:
        return self._numbers("volume")

    @cached_property
    def buy_quantity(self) -> Array:
        return self._numbers("buy_quantity")

    @cached_property
    def sell_quantity(self) -> Array:
        return self._numbers("sell_quantity")

    @cached_property
    def open(self) -> Array:
        return self._prices("open")

    @cached_property
    def high(self) -> Array:
        return self._prices("high")

    @cached_property
    def low(self) -> Array:
        return self._prices("low")

    @cached_property
    def close(self) -> Array:
        return self._prices("close")

    @cached_property
    def last_trade_time(self) -> Array:
        return self._numbers("last_trade_time")

    @cached_property
    def oi(self) -> Array:
        return self._numbers("oi")

    @cached_property
    def oi_day_high(self) -> Array:
        return self._numbers("oi_day_high")

    @cached_property
    def oi_day_low(self) -> Array:
        return self._numbers("oi_day_low")

    @cached_property
    def exchange_time(self) -> Array:
        return self._numbers("exchange_time")

    @cached_property
    def depth_price(self) -> Array:
        return self._levels("price", np.float64) / self._divisors[:, None]

    @cached_property
    def depth_quantity(self) -> Array:
        return self._levels("quantity", np.int64)

    @cached_property
    def depth_orders(self) -> Array:
        return self._levels("orders", np.int64)

    @cached_property
    def _divisors(self) -> Array:
        segments = self.instrument_token & 0xFF
        divisors = np.full(self._count, DIVISOR)
        for segment, divisor in DIVISORS.items():
            divisors[segments == segment] = divisor
        return divisors

    def _numbers(self, name: str, kind: Any = np.int64) -> Array:
        if len(self._groups) == 1:
            _, packets = self._groups[0]  # of one length, they are in the frame's order
            if name in (packets.dtype.names or ()):
                return packets[name].astype(kind)
        found = np.zeros(self._count, kind)
        for places, packets in self._groups:
            if name in (packets.dtype.names or ()):
                found[places] = packets[name]
        return found

    def _prices(self, name: str) -> Array:
        return self._numbers(name, np.float64) / self._divisors

    def _levels(self, name: str, kind: Any) -> Array:
        # Ten levels cost most of the memory: they are only laid out where a packet has them.
        deep = [
            (places, packets["depth"]) for places, packets in self._groups if "depth" in (packets.dtype.names or ())
        ]
        found = np.zeros((self._count, 10 if deep else 0), kind)
        for places, levels in deep:
            found[places] = levels[name]
        return found

    def _one(self, place: int) -> Tick:
        """One tick, without making the others."""
        for places, packets in self._groups:
            at = place if isinstance(places, slice) else int(np.searchsorted(places, place))
            if isinstance(places, slice) or (at < len(places) and places[at] == place):
                return TickColumns(1, [(slice(None), packets[at : at + 1])]).ticks()[0]
        raise AssertionError("every place is in one group")

    # -- one by one -------------------------------------------------------------------------------

    def ticks(self) -> list[Tick]:
        """The same as ticks."""
        return self._ticks

    @cached_property
    def _ticks(self) -> list[Tick]:
        rows = zip(
            self.instrument_token.tolist(),
            [MODES[length] for length in self.length.tolist()],
            self.last_price.tolist(),
            self.volume.tolist(),
            self.exchange_time.tolist(),
            self.last_trade_time.tolist(),
            self.last_quantity.tolist(),
            self.average_price.tolist(),
            self.buy_quantity.tolist(),
            self.sell_quantity.tolist(),
            self.open.tolist(),
            self.high.tolist(),
            self.low.tolist(),
            self.close.tolist(),
            self.oi.tolist(),
            self._ladders(),
            strict=True,
        )
        return [_make(Tick, row[:15] + row[15]) for row in rows]

    def _ladders(self) -> Sequence[tuple[tuple[Level, ...], tuple[Level, ...]]]:
        prices = self.depth_price
        if not prices.shape[1]:
            return [_NO_LADDER] * self._count
        columns = (prices.tolist(), self.depth_quantity.tolist(), self.depth_orders.tolist())
        ladders = [
            tuple([_level(Level, level) for level in zip(*ladder, strict=True)])
            for ladder in zip(*columns, strict=True)
        ]
        return [
            (ladder[:5], ladder[5:]) if length == FULL else _NO_LADDER
            for ladder, length in zip(ladders, self.length.tolist(), strict=True)
        ]
