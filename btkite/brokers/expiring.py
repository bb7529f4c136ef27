"""Expiring: a contract's position ends with its last session, the same in every mode.

After the last bar of its last day it is closed by a simulated order: a future at the underlying's last close, an option
at its intrinsic value there. Where the run has no feed of the underlying, the contract's own last price says it. A
contract on a share ends in shares at Kite; here they count as taken and sold (or bought and given) at that price, with
the charges of a delivery, and what the demat account then holds is no position of this run.
"""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any

import backtrader as bt

from ..errors import DataError, UnknownSymbol
from ..kite.meaning import Meaning
from ..linetime import DAY, from_seconds, seconds_of, to_seconds
from ..market.expiry import expiry_charges, is_physical, over, too_near, worth
from ..slots import now_of, trade_id, trades_in
from ..values import Denial, Instrument, Proposal
from . import hours
from .base import is_warming
from .terms import Terms

if TYPE_CHECKING:
    from ..market.charges import Charges
    from .book import BookBroker

_KINDS = {True: bt.order.BuyOrder, False: bt.order.SellOrder}


class Expiring:
    """One broker's contracts and their ends; Cerebro's thread only."""

    def __init__(self, broker: BookBroker) -> None:
        self._broker = broker
        self._settling = False
        self._unknown: set[str] = set()

    # -- what may still be traded -------------------------------------------------------------------------

    def is_over(self, instrument: Instrument, now: int | None = None) -> bool:
        """Whether its last session has ended by ``now`` (seconds; the market's time)."""
        if instrument.expiry is None:
            return False
        now = self._broker.now if now is None else now
        today = from_seconds(max(now, 0)).date()
        if today != instrument.expiry:
            return today > instrument.expiry
        return now >= hours.close_of_day(instrument, now)

    def denial(self, wanted: Proposal) -> Denial | None:
        """Why nothing is traded, or opened, in a contract at this time."""
        broker = self._broker
        if wanted.instrument.expiry is None:
            return None
        today = from_seconds(max(broker.now, 0)).date()
        return over(wanted, today, closed=self.is_over(wanted.instrument)) or too_near(
            wanted, today, broker.config.broker.physical_days
        )

    # -- the end --------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Cerebro's turn, after the lines have moved: what is over ends."""
        broker = self._broker
        if self._settling:
            return
        seen = None
        for key, position, _ in broker.holds():
            instrument = self._known(key)
            if instrument is None or instrument.expiry is None:
                continue
            if seen is None:
                seen = max(now_of(broker.cerebro.datas) or -1, broker.now // DAY * DAY)
            if self.is_over(instrument, seen) and not self._waits(instrument):
                self._settling = True
                try:
                    self._settle(instrument, position)
                finally:
                    self._settling = False

    def due(self) -> list[int]:
        """When what is held ends: the seconds of the last closes."""
        held = [self._known(key) for key, _, _ in self._broker.holds()]
        return [_end(one) for one in held if one is not None and one.expiry is not None]

    def _waits(self, instrument: Instrument) -> bool:
        """Whether what tells the final price is still on its way through history: at the beginning of a run."""
        feed = self._broker.feed_of(_underlying(instrument))
        return feed is not None and is_warming(feed)

    def _known(self, key: str) -> Instrument | None:
        broker = self._broker
        found = broker.held_instrument(key)
        if found is None and key not in self._unknown:  # of a run before this one
            data = broker.feed_of(key)
            store = next((one._store for one in broker.cerebro.datas if getattr(one, "_store", None) is not None), None)
            try:
                found = broker.instrument(data) if data is not None else store and store.instrument(key)
            except (DataError, UnknownSymbol):
                found = None
            if found is None:
                self._unknown.add(key)
            else:
                broker.hold_instrument(found)
        return found

    def settlement(self, instrument: Instrument) -> tuple[float, str]:
        """The final price of what a contract is on, ₹, and whose price that is."""
        broker, until = self._broker, instrument.expiry or date.max
        where = _underlying(instrument)
        feed = broker.feed_of(where) if where else None
        found = 0.0 if feed is None else _last_close(feed, until)
        if found > 0:
            return found, where
        own = broker.ledger.position(instrument.key).last_price
        feed = broker.feed_of(instrument.key)
        if feed is not None and hasattr(feed, "lines") and broker.instrument(feed).key == instrument.key:
            own = _last_close(feed, until) or own
        if not instrument.is_option:
            return own, instrument.key
        inside = own if own > instrument.tick_size else 0.0  # an option dies at a tick, not at nothing
        way = 1 if instrument.instrument_type == "CE" else -1
        return instrument.strike + way * inside, instrument.key

    def _settle(self, instrument: Instrument, position: bt.Position) -> None:
        broker, key, size = self._broker, instrument.key, int(position.size)
        for order in [one for one in broker.orders.values() if one.alive() and one.ref in broker.held]:
            if broker.instrument_of_order(order).key == key:
                broker.ended(order, "expired", "its contract has expired")
        final, whose = self.settlement(instrument)
        price, how = worth(instrument, final), "in shares" if is_physical(instrument) else "in cash"
        feed = broker.feed_of(key)
        data = broker.cerebro.datas[0] if feed is None else feed
        order = _KINDS[size < 0](
            owner=self._owner(key), data=trades_in(data), size=abs(size), price=price, exectype=bt.Order.Market,
            simulated=True, tradeid=key if feed is None else trade_id(trades_in(data), key),
        )  # fmt: skip
        when = _end(instrument)
        order.created.dt = data.date2num(from_seconds(when))
        order.addcomminfo(broker.getcommissioninfo(data))
        order.addinfo(
            expiry=instrument.expiry.isoformat() if instrument.expiry else "", settlement=final, instrument=key,
            product=broker.product_of(key),
        )  # fmt: skip
        broker.orders[order.ref] = order
        broker.terms[order.ref] = Terms(None, False, "next_open")
        broker._bound[order.ref] = instrument
        order.status = bt.Order.Accepted
        broker.filled(order, abs(size), price, when)
        said = f"{key} has expired: {size:+} settled {how} at {price:g}"
        if instrument.is_option or whose != key:
            said += f" ({whose} at {final:g})" if whose != key else " (by its own last price)"
        broker.alert("warning" if how == "in shares" else "info", said, f"expired {key}")

    def _owner(self, key: str) -> Any:
        """The strategy that traded it last."""
        broker = self._broker
        for order in reversed(list(broker.orders.values())):
            if order.p.owner is not None and broker.instrument_of_order(order).key == key:
                return order.p.owner
        return next(iter(getattr(broker.cerebro, "runningstrats", ())), None)

    def charges(self, order: Any, instrument: Instrument, on: date) -> Charges:
        """What ending a position by ``order`` costs."""
        size = -int(order.size)
        return expiry_charges(instrument, size, float(order.info["settlement"]), on)


def _end(instrument: Instrument) -> int:
    assert instrument.expiry is not None
    return hours.close_of_day(instrument, to_seconds(datetime.combine(instrument.expiry, time())))


def _underlying(instrument: Instrument) -> str:
    return Meaning(instrument.exchange, instrument.name, instrument.instrument_type, "", "").underlying


def _last_close(feed: Any, day: date) -> float:
    """The close of the last bar that ended by the end of ``day``; 0 if there is none."""
    for ago in range(len(feed)):
        if from_seconds(seconds_of(feed.datetime[-ago])).date() <= day:
            return float(feed.close[-ago])
    return 0.0
