"""Banding: what lies outside the day's price band is denied here, not by Kite.

Bands come with Kite's quotes, which a reader asks for when the run starts and every minute. In lock step they are not
asked for: what is played again there is held against history, which knows of no bands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import backtrader as bt

from ..kite.inbox import Answer
from ..linetime import DAY
from ..log import get_logger
from ..market.bands import Band
from ..values import Denial, Proposal
from .truth import Truth

log = get_logger(__name__)
_EVERY = 60
_STALE = 180
"""Seconds after which a band that could not be read again counts for nothing."""
_WITHOUT_LIMIT = (bt.Order.Market, bt.Order.Stop, bt.Order.StopTrail)


class Banding(Truth):
    """The part of :class:`~btkite.brokers.kite.KiteBroker` that knows how far prices may go today."""

    def init(self) -> None:
        super().init()
        self.bands: dict[str, Band] = {}
        self._bands_at: int | None = None

    def ask_bands(self, now: int) -> None:
        """Once a minute, of every instrument of the run."""
        if self.store.clock.complete or (self._bands_at is not None and now - self._bands_at < _EVERY):
            return
        self._bands_at = now
        keys = sorted(key for key in self._datas if not key.startswith(":"))  # Kite's, not other data
        client = self.store.client
        self.store.reader.ask("bands", now, lambda: client.quote(*keys))

    def take_answer(self, answer: Answer) -> None:
        super().take_answer(answer)
        if answer.kind == "bands" and answer.error is None:
            for key, quote in answer.value.items():
                band = Band.of(quote, int(answer.subject))
                if band is not None:
                    self.bands[key] = band

    def band_of(self, order: Any) -> Band | None:
        """The band that holds for it now; None if none is known, or if it is not the market's of now."""
        instrument = self.instrument_of_order(order)
        band = self.bands.get(instrument.key)
        if band is None or self.now - band.at > _STALE or self.now // DAY != band.at // DAY:
            return None
        return band if self._session(instrument) is not None else None

    def proposal(self, order: Any) -> Proposal:
        """A limit that only protects ends where the band does."""
        wanted = super().proposal(order)
        band = self.band_of(order) if wanted.price and order.exectype in _WITHOUT_LIMIT else None
        return wanted if band is None else replace(wanted, price=band.within(wanted.price))

    def unfit(self, group: Sequence[Any]) -> Denial | None:
        """Also what lies outside the band."""
        return super().unfit(group) or next((denial for one in group if (denial := self._outside(one))), None)

    def _judge_change(self, order: Any, grows: bool, *, moves: bool) -> Denial | None:
        denial = super()._judge_change(order, grows, moves=moves)
        return denial if denial is not None or not grows else self._outside(order)

    def _outside(self, order: Any) -> Denial | None:
        band = self.band_of(order)
        problem = None if band is None else band.beyond(self.proposal(order))
        return None if problem is None else Denial("band", problem)
