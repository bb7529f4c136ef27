"""Banding: what lies outside the day's price band is denied here, not by Kite.

Bands come with Kite's quotes, which a reader asks for when the run starts and every minute; limits of derivatives are
held against the range about their last price, too. In lock step there is none of it: what is played again there is
held against history, which knows of no bands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import backtrader as bt

from ..kite.inbox import Answer
from ..linetime import DAY, from_seconds
from ..log import get_logger
from ..market.bands import Band, protected_range
from ..values import Denial, Proposal
from . import translate
from .changes import reshape
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
        if not wanted.price or order.exectype not in _WITHOUT_LIMIT:
            return wanted
        price = self.within_bands(order, wanted.price, wanted.trigger_price)
        return wanted if price == wanted.price else replace(wanted, price=price)

    def locked(self, key: str) -> str:
        band, last = self.bands.get(key), self.exits.heard(key) or self.last_price(key)
        if band is None or band.lower < last < band.upper:
            return ""
        end, price = ("lower", band.lower) if last <= band.lower else ("upper", band.upper)
        return f"; {key} is locked at its {end} circuit of {price:g}"

    def within_bands(self, order: Any, price: float, about: float = 0.0) -> float:
        """The limit nearest to ``price`` that the exchange takes; ``about``: of a stop that goes off at that price."""
        for band in (self.band_of(order), self._range_of(order, about)):
            price = price if band is None else band.within(price)
        return price

    def unfit(self, group: Sequence[Any]) -> Denial | None:
        """Also what lies outside the band."""
        return super().unfit(group) or next((denial for one in group if (denial := self._outside(one))), None)

    def _judge_change(self, order: Any, grows: bool, *, moves: bool) -> Denial | None:
        denial = super()._judge_change(order, grows, moves=moves)
        return denial if denial is not None or not grows else self._outside(order)

    def _outside(self, order: Any) -> Denial | None:
        """Why its prices would be refused; None if they would not, or if its limit could be moved to where it may be
        (``broker.out_of_band: clamp``) without a worse price than was asked for."""
        ranges = () if translate.is_waiting_stop(order) else (self._range_of(order),)  # a stop's holds when it goes off
        for band in (self.band_of(order), *ranges):
            wanted = self.proposal(order)
            problem = None if band is None else band.beyond(wanted)
            if band is None or problem is None:
                continue
            limit = band.clamped(wanted) if self.config.broker.out_of_band == "clamp" else 0.0
            if not limit:
                return Denial("band", problem, "broker.out_of_band")
            log.warning("a limit is moved into the band", ref=order.ref, reason=problem, limit=limit)
            order.addinfo(clamped=wanted.price)
            is_limit = order.exectype == bt.Order.Limit
            reshape(order, abs(order.size), limit if is_limit else None, None if is_limit else limit)
        return None

    def _range_of(self, order: Any, about: float = 0.0) -> Band | None:
        """In which its limit has to lie: about the last price, or the one at which it goes off."""
        instrument = self.instrument_of_order(order)
        if self.store.clock.complete or self._session(instrument) is None:
            return None
        last = about or self.exits.heard(instrument.key) or self.last_seen(order)
        return protected_range(instrument, last, from_seconds(max(self.now, 0)).date(), self.now)
