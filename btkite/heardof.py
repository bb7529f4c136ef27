"""The last news of each instrument that the stream has brought, and when it was heard. Cerebro's thread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from .kite.columns import TickColumns
from .values import Tick

_FIRST_ROWS = 64
_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)


class Seen(NamedTuple):
    """The last news of one instrument, and when it was heard."""

    at: datetime
    price: float
    volume: int
    exchange_time: int


class HeardOf:
    """By token. A tick whose time stands still is no news; its price and volume count all the same."""

    def __init__(self) -> None:
        self._slots: dict[int, int] = {}
        self._at, self._volume, self._stamp = (np.zeros(_FIRST_ROWS, np.int64) for _ in range(3))
        self._price = np.zeros(_FIRST_ROWS)
        self._tokens: Any = None  # in order, and the row of each; None if there are new ones
        self._order: Any = None

    def of(self, token: int) -> Seen | None:
        slot = self._slots.get(token)
        if slot is None:
            return None
        at, stamp = int(self._at[slot]), int(self._stamp[slot])
        return Seen(_EPOCH + at * _MICROSECOND, float(self._price[slot]), int(self._volume[slot]), stamp)

    def take(self, ticks: Sequence[Tick], now: datetime) -> bool:
        """The ticks of one frame, heard at ``now``; whether any of them is news."""
        at = (now - _EPOCH) // _MICROSECOND
        if not isinstance(ticks, TickColumns):
            return self._one_by_one(
                ((tick.instrument_token, tick.last_price, tick.volume, tick.exchange_time) for tick in ticks), at
            )
        columns = (ticks.instrument_token, ticks.last_price, ticks.volume, ticks.exchange_time)
        slots = self._find(columns[0])
        if slots is None:
            return self._one_by_one(zip(*(column.tolist() for column in columns), strict=True), at)
        _, price, volume, stamp = columns
        before = self._stamp[slots]
        fresh = (stamp == 0) | (stamp > before)
        if not bool(fresh.all()):
            same = stamp == before
            fresh_or_same = np.flatnonzero(fresh | same)
            self._price[slots[fresh_or_same]] = price[fresh_or_same]
            self._volume[slots[fresh_or_same]] = volume[fresh_or_same]
            slots, price, volume, stamp = (column[fresh] for column in (slots, price, volume, stamp))
        self._at[slots], self._stamp[slots], self._price[slots], self._volume[slots] = at, stamp, price, volume
        return len(slots) > 0

    def _find(self, tokens: Any) -> Any:
        """The row of each; None if one of them is new, or there twice."""
        if not self._slots:
            return None
        if self._tokens is None:
            known = np.fromiter(self._slots, np.int64, len(self._slots))  # in the order of their rows
            self._order = np.argsort(known)
            self._tokens = known[self._order]
        found = np.minimum(np.searchsorted(self._tokens, tokens), len(self._tokens) - 1)
        there = np.zeros(len(self._tokens), bool)
        there[found] = True
        if int(np.count_nonzero(there)) != len(tokens) or not bool((self._tokens[found] == tokens).all()):
            return None
        return self._order[found]

    def _one_by_one(self, ticks: Iterable[tuple[int, float, int, int]], at: int) -> bool:
        news = False
        for token, price, volume, stamp in ticks:
            slot = self._slots.get(token)
            if slot is None:
                slot = self._slots[token] = len(self._slots)
                self._tokens = None
                if slot == len(self._at):
                    more = np.zeros(slot, np.int64)
                    self._at, self._volume, self._stamp = (
                        np.concatenate((column, more)) for column in (self._at, self._volume, self._stamp)
                    )
                    self._price = np.concatenate((self._price, np.zeros(slot)))
            else:
                before = int(self._stamp[slot])
                if stamp and stamp <= before:
                    if stamp == before:
                        self._price[slot], self._volume[slot] = price, volume
                    continue
            news = True
            self._at[slot], self._price[slot], self._volume[slot], self._stamp[slot] = at, price, volume, stamp
        return news
