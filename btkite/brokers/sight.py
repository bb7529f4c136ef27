"""Sight: by which last prices the exits may go, and what they do when nobody looks.

While one order at Kite stands for a target, nobody but us sees the price that falls to the stop. So it stands there
only as long as prices come: where ticks are missing for a moment, Kite's quotes are asked for, and who has neither for
a while, or knows that the feed is silent, is blind. Then the stop is at Kite; and so it is when the run ends.
Cerebro's thread; in lock step the market waits for us, and nobody looks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

import backtrader as bt

from ..kite.inbox import Answer
from .orders import spoken

if TYPE_CHECKING:
    from .carrying import Carrying

QUIET = 3
"""Seconds without a tick after which quotes are asked for."""
OLD = 10
"""Seconds without any price after which the one that is known is not to be trusted."""
_AGAIN = 2
"""Seconds between two questions: Kite takes one a second of everybody who asks for quotes."""


class Sight:
    """The last prices of a broker's instruments, by key, in rupees, and when they were heard."""

    kind = "prices"
    """What an answer to its questions is called."""

    def __init__(self, broker: Carrying) -> None:
        self._broker = broker
        self._last: dict[str, float] = {}
        self._at: dict[str, int] = {}
        self._asked: int | None = None
        self._waits = False
        self._all = False
        self.over = False
        """Nobody looks any more."""
        self._blind: frozenset[str] = frozenset()

    def last(self, key: str) -> float:
        """₹; 0 before the first."""
        return self._last.get(key, 0.0)

    def trusts(self, key: str) -> bool:
        """Whether it is as new as it can be."""
        return not (self._all or self.over or key in self._blind)

    def take(self, key: str, last: float, now: int) -> None:
        """A tick of second ``now``."""
        self._last[key], self._at[key] = last, now

    def take_quotes(self, quotes: Mapping[str, float], asked: int) -> list[str]:
        """What Kite's quotes say that were asked for in second ``asked``; the keys of which no tick came since."""
        news = [key for key, last in quotes.items() if last > 0 and self._at.get(key, asked) <= asked]
        for key in news:
            self.take(key, quotes[key], asked)
        return news

    def take_answer(self, answer: Answer) -> list[str]:
        """What came of a question of ours: the keys of which the price is news."""
        self._waits = False
        if answer.error is not None:
            return []
        return self.take_quotes({key: float(row["last_price"]) for key, row in answer.value.items()}, answer.subject)

    def look(
        self, now: int, keys: Mapping[str, bool], *, silent: bool, stale: Collection[str], speed: float, ask: bool
    ) -> None:
        """Once a second. ``keys``: those that have exits, and whether a target stands at Kite while the stop does not;
        ``silent``: the feed is; ``stale``: single instruments that are; ``speed``: market seconds a real second;
        ``ask``: there is a session."""
        pace = max(1.0, speed)
        ages = {key: now - self._at.setdefault(key, now) for key in keys}
        # Who was blind is so until a price comes: that the stop is there makes the old price no newer.
        old = {key for key, bare in keys.items() if ages[key] >= OLD * pace and (bare or not self.trusts(key))}
        self._blind = frozenset(old.union(stale))
        self._all = silent
        # While the stop is there, a quiet instrument is none of ours; that of a silent feed may have gone off.
        matters = {key for key, bare in keys.items() if bare or not self.trusts(key)}
        quiet = sorted(key for key in matters if ages[key] >= QUIET * pace)
        due = self._asked is None or now - self._asked >= _AGAIN * pace
        if ask and quiet and due and not self._waits:
            self._asked, self._waits, client = now, True, self._broker.store.client
            self._broker.store.reader.ask(self.kind, now, lambda: client.ltp(*quiet))


class Seeing(ABC):
    """The part of :class:`~btkite.brokers.exits.Exits` that knows whether anybody sees the price."""

    def __init__(self, broker: Carrying) -> None:
        self._broker = broker
        self._watched: dict[int, str] = {}  # ref -> key of its instrument
        self.sight = Sight(broker)

    @abstractmethod
    def tend(self, key: str = "") -> None:
        """Look again at the exits of one instrument, or of all."""

    @abstractmethod
    def _mates(self, order: Any) -> list[Any]:
        """All that stand for each other with this order, itself among them."""

    @abstractmethod
    def _carrier(self, mates: Iterable[Any]) -> Any:
        """Of these the one that has the order at Kite; None if none does."""

    def heard(self, key: str) -> float:
        """The last price of an instrument that a tick, or a quote, told, in rupees; 0 before the first."""
        return self.sight.last(key)

    def take_quotes(self, quotes: Mapping[str, float], asked: int) -> None:
        """Last prices, in rupees, by Kite's quotes that were asked for in second ``asked``."""
        for key in self.sight.take_quotes(quotes, asked):
            self.tend(key)

    def take_answer(self, answer: Answer) -> None:
        """Quotes that were asked for while a target stood, and no tick came."""
        for key in self.sight.take_answer(answer):
            self.tend(key)

    def look(self, now: int, *, silent: bool, stale: Collection[str], speed: float, ask: bool) -> None:
        """Once a second, on a market that does not wait for us: see :meth:`Sight.look`."""
        bare = {self._broker.instrument_of_order(order).key for order in self._unguarded()}
        keys = {key: key in bare for key in self._watched.values()}
        self.sight.look(now, keys, silent=silent, stale=stale, speed=speed, ask=ask)
        self.tend()

    def _unguarded(self) -> list[Any]:
        """Orders at Kite that stand for a target, while its stop is nowhere but here."""
        stops = [order for ref in self._watched if (order := self._broker.orders[ref]).exectype != bt.Order.Limit]
        carriers = [self._carrier(self._mates(stop)) for stop in stops if stop.alive()]
        return [one for one in carriers if one is not None and one.exectype == bt.Order.Limit]

    def before_end(self) -> None:
        """The run ends, and nobody sees the price any more: what is left at Kite is the stop."""
        broker, store = self._broker, self._broker.store
        if not self._watched or store.clock.done:
            return
        self.sight.over = True
        self.tend()
        store.hear_desk(lambda: any(map(broker.is_in_session, self._unsettled())))
        for order in filter(broker.is_in_session, self._unguarded()):
            words = f"the run ends, and Kite's order stands for {spoken(order.ref)}, a target: its stop is not at Kite"
            broker.alert("critical", words, f"unguarded {order.ref}")

    def _unsettled(self) -> list[Any]:
        """Those at Kite that are not what they are to be, or of which nobody knows it yet."""
        carriers = [self._carrier(self._mates(self._broker.orders[ref])) for ref in self._watched]
        return self._unguarded() + [one for one in carriers if one is not None and self._broker.is_in_question(one)]
