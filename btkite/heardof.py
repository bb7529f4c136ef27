"""The last news of each instrument that the stream has brought, and when it was heard. Cerebro's thread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import numpy as np

from .kite.columns import TickColumns
from .values import Tick

_KIND = np.dtype([("at", "i8"), ("price", "f8"), ("volume", "i8"), ("stamp", "i8")])
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
        self._rows = np.zeros(0, _KIND)
        self._tokens: Any = None  # in order, and the row of each; None if there are new ones
        self._order: Any = None

    def of(self, token: int) -> Seen | None:
        slot = self._slots.get(token)
        if slot is None:
            return None
        at, price, volume, stamp = self._rows[slot].tolist()
        return Seen(_EPOCH + at * _MICROSECOND, price, volume, stamp)

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
        rows = self._rows[slots]
        fresh = (stamp == 0) | (stamp > rows["stamp"])
        now_too = fresh | (stamp == rows["stamp"])
        np.copyto(rows["at"], at, where=fresh)
        np.copyto(rows["stamp"], stamp, where=fresh)
        np.copyto(rows["price"], price, where=now_too)
        np.copyto(rows["volume"], volume, where=now_too)
        self._rows[slots] = rows
        return bool(fresh.any())

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
                if slot >= len(self._rows):
                    self._rows = np.concatenate((self._rows, np.zeros(max(64, slot), _KIND)))
            else:
                before = int(self._rows["stamp"][slot])
                if stamp and stamp <= before:
                    if stamp == before:
                        self._rows["price"][slot], self._rows["volume"][slot] = price, volume
                    continue
            news = True
            self._rows[slot] = (at, price, volume, stamp)
        return news
