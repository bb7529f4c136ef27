"""What a slot needs beside a feed: whom its words mean, when it ticks without an instrument, and what it leaves.

A slot is a :class:`~btkite.feed.KiteData` whose instrument changes during a run. The same happens in all modes, so
what a word means is taken from what the run itself has seen: the day from its newest bar, the price of the underlying
from its feed.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from .errors import ConfigError, UnknownSymbol
from .kite import meaning
from .linetime import from_seconds, seconds_of
from .market.calendar import EXCHANGES, calendar
from .series import Candles
from .values import Instrument


def now_of(datas: Any) -> int | None:
    """The end of the newest bar of any feed, seconds; None before the first one."""
    return max((seconds_of(data.datetime[0]) for data in datas if len(data)), default=None)


def meant(data: Any, words: str, spot: float | None = None) -> Instrument:
    """The instrument that ``words`` mean for a slot: a key (``NFO:NIFTY26NOVFUT``), or what a meaning lacks to
    ``data.family`` (``ATM weekly`` for ``NFO:NIFTY CE``).

    :raises UnknownSymbol: with suggestions, or with what is listed.
    :raises ConfigError: if a price is needed, and no feed of the run has it.
    """
    store = data._store
    text = words if ":" in words or not data.family else f"{data.family} {words}"
    said = meaning.parse(text)
    if said is None:
        return _by_name(data, words, text)
    on = _today(data)
    if said.needs_spot and spot is None:
        spot = _spot(data, said, on)
    found: Instrument = store.instrument(text, on=on, spot=spot)
    return found


def _by_name(data: Any, words: str, text: str) -> Instrument:
    if ":" in words or not data.family:
        return data._store.instrument(words)  # type: ignore[no-any-return]
    symbol = words.strip()
    if symbol and " " not in symbol and symbol[-1].isalpha():
        return data._store.instrument(f"{data.family.partition(':')[0]}:{symbol}")  # type: ignore[no-any-return]
    raise UnknownSymbol(
        f"{text!r} means no contract: say near or next, ATM weekly, ATM+2 monthly, a strike or an expiry"
    )


def _today(data: Any) -> date:
    now = now_of(data._env.datas) if data._env is not None else None
    if now is not None:
        return from_seconds(now).date()
    if not data.is_stream and data.p.fromdate is not None:
        return data.p.fromdate.date()  # type: ignore[no-any-return]
    return data._store.clock.now().date()  # type: ignore[no-any-return]


def _spot(data: Any, said: meaning.Meaning, on: date) -> float:
    """The last close of the underlying, of its shortest bars in this run: the same figure in every mode."""
    where = said.underlying
    if not where:  # a commodity's or a currency's options are on its future
        where = data._store.instrument(str(replace(said, kind="FUT", strike="", when="near")), on=on).key
    feeds = [one for one in (data._env.datas if data._env is not None else ()) if _key(one) == where and len(one)]
    if not feeds:
        raise ConfigError(
            f"{said}: no feed of this run has a bar of {where}, so that nobody knows what is at the money: add one, or "
            "say spot="
        )
    return float(min(feeds, key=lambda one: (one._timeframe, one._compression)).close[0])


def _key(data: Any) -> str:
    found = getattr(data, "instrument", None)
    return found.key if isinstance(found, Instrument) else ""


def trades_in(data: Any) -> Any:
    """The feed that backtrader knows an order by."""
    return data.slot if isinstance(data, Left) else data


def trade_id(data: Any, key: str) -> Any:
    """backtrader keeps trades by feed and id. Those of a slot are of the instrument that was traded."""
    return key if getattr(data.p, "slot", False) else 0


def ticks_at(data: Any, master: Any) -> bool:
    """Whether a bar of the slot's interval ends when ``master`` has ended one."""
    exchange = (data.family or _key(master)).partition(":")[0]
    end = from_seconds(seconds_of(master.datetime[0]))
    if exchange not in EXCHANGES:
        return True
    interval, known = str(data.interval), calendar()
    start = known.bar_start(exchange, end - timedelta(seconds=1), interval)
    return start is not None and known.bar_end(exchange, start, interval) == end


class _Closes:
    """The line ``close`` of :class:`Left`: the newest close that has ended by the run's newest bar."""

    def __init__(self, left: Left) -> None:
        self._left = left

    def __getitem__(self, ago: int) -> float:
        if ago:
            raise IndexError("what a slot has left tells its last price only: close[0]")
        return self._left.last()


class _Times:
    """The line ``datetime`` of :class:`Left`."""

    def __init__(self, left: Left) -> None:
        self._left = left

    def __getitem__(self, ago: int) -> float:
        if ago:
            raise IndexError("what a slot has left tells its last price only: datetime[0]")
        return self._left.clock.datetime[0]  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._left.clock.datetime, name)


class Left:
    """An instrument that a slot was bound to before: it is traded like a feed until nothing of ours is left in it.

    ``buy(data=left)``, ``close(data=left)`` and ``getposition(left)`` are of it; ``left.close[0]`` is its last price.
    Other lines it has not.
    """

    def __init__(self, slot: Any, instrument: Instrument, price: float = math.nan) -> None:
        self.slot, self.instrument, self.unbound = slot, instrument, False
        self.live_from = -1
        self.close, self.datetime = _Closes(self), _Times(self)
        self._price = price
        self._candles: Candles | None = None
        self._ahead: deque[tuple[int, float]] = deque()

    @property
    def _name(self) -> str:
        return self.instrument.key

    def __repr__(self) -> str:
        return f"Left({self.instrument.key})"

    def __len__(self) -> int:
        return len(self.clock) if not math.isnan(self.last()) else 0

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.slot, name)

    @property
    def clock(self) -> Any:
        """The feed with the newest bar."""
        datas = [data for data in self.slot._env.datas if len(data)]
        return max(datas, key=lambda data: data.datetime[0]) if datas else self.slot

    def follow(self, ends: Any, candles: Candles) -> None:
        """What history has of it: ends (seconds) and candles."""
        self._candles = candles
        self._ahead.extend(zip(ends.tolist(), candles.close.tolist(), strict=True))

    def seconds(self) -> Any:
        """What :meth:`btkite.feed.KiteData.seconds` gives, of its own candles."""
        return self.slot.seconds(self._candles)

    def known_at(self, price: float) -> None:
        """Its last price, ₹, if it has told none itself yet."""
        if math.isnan(self._price) and price > 0:
            self._price = price

    def take(self, end: int, price: float) -> None:
        """A bar that a stream has closed."""
        self._ahead.append((end, price))

    def last(self) -> float:
        """Its last price, ₹."""
        if self._ahead:
            now = now_of(self.slot._env.datas)
            while self._ahead and now is not None and self._ahead[0][0] <= now:
                self._price = self._ahead.popleft()[1]
        return self._price
