"""Ticks of the stream, to the feeds that they are for and to a broker that looks at prices. Cerebro's thread.

A few ticks are taken one by one, in the order of their instruments' keys. Of many, the bars of all are built at once
(:mod:`btkite.market.bartable`), which is the same, because no bar hangs on another; then the broker is told in the same
order as ever: one by one of the ticks that it waits for, of those between them together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from .clock import IST_OFFSET, from_epoch
from .feeding import Feeding
from .kite.columns import TickColumns
from .linetime import to_seconds
from .market.bartable import Added, BarTable
from .standing import Standing
from .values import Tick

_IST = int(IST_OFFSET.total_seconds())
_FEW = 8


@dataclass(frozen=True, slots=True, eq=False)
class _Index:
    """The feeds by their tokens, as arrays. ``rows`` has a line for the first feed of each token, one for the second …,
    and -1 where there is none; ``line`` says which of them is the feed that plays its ticks to the broker, ``finest``
    is that feed; ``rank`` is the place of a token in the order of keys."""

    tokens: Any
    rows: Any
    line: Any
    rank: Any
    finest: Sequence[Feeding]


@dataclass(frozen=True, slots=True, eq=False)
class Quiet:
    """Ticks of one frame for a broker, in the order of their instruments' keys: the feed, the place in the columns, the
    last price (₹), the moment and the end of the bar it falls into (seconds) of each."""

    feeds: Sequence[Feeding]
    columns: TickColumns
    places: Sequence[int]
    prices: Sequence[float]
    times: Sequence[int]
    ends: Sequence[int]


class Ticking(Standing):
    """The feeds of a run, by token."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._forget_feeds()

    def _forget_feeds(self) -> None:
        self._feeds: list[Feeding] = []
        self._left: list[Feeding] = []  # what slots were bound to before: its orders still trade
        self._slots: list[Any] = []  # that have no instrument yet
        self._by_token: dict[int, list[Feeding]] = {}
        self._bars = BarTable()
        self._feed_of: dict[int, Feeding] = {}  # by row of the table
        self._index: _Index | None = None

    def _enter(self, feeding: Feeding) -> None:
        """From now on its ticks are heard."""
        self._by_token.setdefault(feeding.token, []).append(feeding)
        feeding.row = self._bars.take(feeding.builder)
        self._feed_of[feeding.row] = feeding
        self._index = None

    def _leave(self, feeding: Feeding) -> None:
        """Its ticks are heard no more."""
        self._by_token[feeding.token] = [one for one in self._by_token[feeding.token] if one is not feeding]
        self._bars.remove(feeding.row)
        del self._feed_of[feeding.row]
        self._index = None

    def detach(self, data: Any) -> None:
        """A feed ends."""
        self._feeds = [feeding for feeding in self._feeds if feeding.data is not data]
        self._left = [feeding for feeding in self._left if feeding.data is not data]
        self._slots = [slot for slot in self._slots if slot is not data]
        for feeding in [one for feeds in self._by_token.values() for one in feeds if one.data is data]:
            self._leave(feeding)

    def _closing(self, now: datetime, grace: float, *, complete: bool) -> list[Feeding]:
        """The feeds that have bars which are over; of a few feeds all, for asking them takes less than looking."""
        if len(self._feed_of) < _FEW:
            return list(self._feed_of.values())
        return [self._feed_of[row] for row in self._bars.over(now, grace, complete=complete).tolist()]

    def take_ticks(self, ticks: Sequence[Tick], now: datetime) -> None:
        """The ticks of one frame, which has come at ``now``."""
        self.silence.ticked(ticks, now)
        if isinstance(ticks, TickColumns) and self._takes_columns():
            self._take_columns(ticks)
            return
        for tick in sorted(ticks, key=self._tick_order) if len(ticks) > 1 else ticks:
            for feeding in self._by_token.get(tick.instrument_token, ()):
                feeding.take(tick)

    def _tick_order(self, tick: Any) -> str:
        feeds = self._by_token.get(tick.instrument_token)
        return feeds[0].key if feeds else ""

    # -- many at once ---------------------------------------------------------------------------------

    def _takes_columns(self) -> bool:
        """A broker may ask for single ticks; and a slot that is bound anew while it hears of one has other bars for the
        ticks behind it."""
        broker = self.broker
        if not hasattr(broker, "take_tick"):
            return True
        if not hasattr(broker, "take_quiet"):
            return False
        return not broker.heeded() or not any(feeding.data.p.slot for feeding in (*self._feeds, *self._left))

    def _take_columns(self, columns: TickColumns) -> None:
        index = self._index or self._indexed()
        if not len(index.tokens):
            return
        tokens = columns.instrument_token
        slots = np.minimum(np.searchsorted(index.tokens, tokens), len(index.tokens) - 1)
        ours = index.tokens[slots] == tokens
        places = np.flatnonzero(ours)
        slots = slots[places]
        told: list[tuple[Any, Any, Added]] = []
        tells = hasattr(self.broker, "take_tick")
        for line, all_rows in enumerate(index.rows):
            rows = all_rows[slots]
            mine = rows >= 0
            joining = mine & self._bars.muted(rows)
            for one in np.flatnonzero(joining).tolist():
                self._feed_of[int(rows[one])].take(columns.ticks()[int(places[one])])
            at = np.flatnonzero(mine & ~joining)
            if not len(at):
                continue
            added = self._bars.add(rows[at], columns, places[at])
            if tells:
                finest = np.flatnonzero(index.line[slots[at]] == line)
                told.append((slots[at][finest], places[at][finest], added.of(finest)))
        if told:
            self._tell(index, columns, told)

    def _tell(self, index: _Index, columns: TickColumns, told: list[tuple[Any, Any, Added]]) -> None:
        """The broker, of each tick that its finest feed took, in the order of keys."""
        slots = np.concatenate([one[0] for one in told])
        places = np.concatenate([one[1] for one in told])
        moment, end = (np.concatenate([getattr(one[2], name) for one in told]) for name in ("moment", "end"))
        outside = np.concatenate([one[2].outside for one in told])
        for at in np.flatnonzero(outside).tolist():  # after a day's bar was closed early
            close = index.finest[int(slots[at])].rest_of_day(from_epoch(int(moment[at])))
            end[at] = 0 if close is None else to_seconds(close) - _IST
        order = np.lexsort((places, index.rank[slots]))
        order = order[end[order] > 0]
        if not len(order):
            return
        broker = self.broker
        feeds = [index.finest[slot] for slot in slots[order].tolist()]
        quiet = Quiet(
            feeds, columns, places[order].tolist(), columns.last_price[places[order]].tolist(),
            (moment[order] + _IST).tolist(), (end[order] + _IST).tolist(),
        )  # fmt: skip
        at, count = 0, len(feeds)
        while at < count:
            heeded = broker.heeded()
            stop = next((place for place in range(at, count) if feeds[place].key in heeded), count) if heeded else count
            at = broker.take_quiet(quiet, at, stop)
            if at < count:
                feeding = feeds[at]
                tick = columns[quiet.places[at]]
                broker.take_tick(feeding.data, tick, quiet.times[at], quiet.ends[at], feeding.instrument)
                at += 1

    def _indexed(self) -> _Index:
        tokens = sorted(token for token, feeds in self._by_token.items() if feeds)
        feeds = [self._by_token[token] for token in tokens]
        lines = max((len(some) for some in feeds), default=0)
        rows = [[some[line].row if line < len(some) else -1 for some in feeds] for line in range(lines)]
        finest = [min(range(len(some)), key=lambda line: some[line].seconds) for some in feeds]
        order = {key: rank for rank, key in enumerate(sorted({some[0].key for some in feeds}))}
        self._index = _Index(
            np.array(tokens, np.int64),
            np.array(rows, np.int64).reshape(lines, len(tokens)),
            np.array(finest, np.int64),
            np.array([order[some[0].key] for some in feeds], np.int64),
            [some[line] for some, line in zip(feeds, finest, strict=True)],
        )
        return self._index
