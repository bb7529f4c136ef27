"""Squaring off: what must not be held over the session's end is closed by us, before Zerodha does it for a fee.

Intraday positions (MIS), and on its last day a contract that ends in the delivery of shares. Some minutes
(``broker.square_off``) before Zerodha does it, the instrument's intraday orders are cancelled and the position is
closed at market; from then on no intraday order of the strategy's is taken in it. It goes by the clock: in history by
the candles' own, in paper and live by the market's, tick or no tick, also if the process starts after that time. An
entry that is carried over nights stays; what it fills that late is closed at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

from ..linetime import DAY, from_seconds, to_seconds
from ..log import get_logger
from ..market.permitted import mis_cutoff, settles_in_shares
from ..values import Denial, Instrument
from . import hours
from .flattening import Flattening
from .overnight import INTRADAY

if TYPE_CHECKING:
    from .book import BookBroker

log = get_logger(__name__)
_AHEAD = 15
"""Days within which there is a session."""
_KNOWN = 10_000
RULE = "square_off"


class Squaring(Flattening):
    """The square-off of one account. Cerebro's thread."""

    word = "the square-off"
    tag = "sqoff"
    usual = True

    def __init__(self, broker: BookBroker) -> None:
        super().__init__(broker)
        self._windows: dict[tuple[str, int], tuple[int, int]] = {}
        self._told: tuple[int, str] = (-1, "")
        self._asleep: tuple[int, int, int] = (-1, -1, 0)  # from when to when nothing is due, of so many instruments

    # -- when -------------------------------------------------------------------------------------------

    def window(self, instrument: Instrument, day: int) -> tuple[int, int] | None:
        """From when (seconds) to the session's end nothing intraday is held in it, on ``day`` (days since 1970)."""
        known = (instrument.key, day)
        window = self._windows.get(known)
        if window is None:
            window = self._window(instrument, day)
            if window is not None:
                if len(self._windows) > _KNOWN:
                    self._windows.clear()
                self._windows[known] = window
        return window

    def _window(self, instrument: Instrument, day: int) -> tuple[int, int] | None:
        minutes = self._broker.config.broker.square_off
        if minutes is None or not hours.has_sessions(instrument):
            return None
        session = self._broker.session_on(instrument, day)
        if session is None:
            return None
        until = mis_cutoff(instrument, (from_seconds(session[0]), from_seconds(session[1])))
        if until is None:
            return None
        return max(session[0], to_seconds(until) - round(minutes * 60)), session[1]

    def is_time(self, instrument: Instrument, now: int) -> bool:
        """Whether it is between the square-off and the session's end."""
        window = self.window(instrument, now // DAY)
        return window is not None and window[0] <= now < window[1]

    def due(self) -> int | None:
        """The next second at which there is something to do; now, if there is."""
        broker = self._broker
        if broker.config.broker.square_off is None:
            return None
        now, moments = broker.now, []
        if now < 0 or (not broker.terms and not broker.holds_anything):  # of the last run, and no time is known yet
            return None
        begins, wakes, known = self._asleep
        if not (begins <= now < wakes and known == len(broker.feeds)):
            wakes = self._wakes(now)
            self._asleep = now, wakes, len(broker.feeds)
        if now < wakes:
            return wakes
        if any(self._steps(now)):
            return now
        for instrument, held in self._concerned():
            at = self._next(instrument, now, held=held)
            if at is not None:
                moments.append(at)
        return min(moments, default=None)

    def _wakes(self, now: int) -> int:
        """The first square-off of any instrument of the run that is not over; now, in the middle of one."""
        moments = []
        for data in self._broker.feeds.values():
            instrument = self._broker.instrument(data)
            for day in range(now // DAY, now // DAY + _AHEAD):
                window = self.window(instrument, day)
                if window is not None and now < window[1]:
                    moments.append(max(window[0], now))
                    break
        return min(moments, default=now + DAY)

    def _next(self, instrument: Instrument, now: int, *, held: bool) -> int | None:
        """The moment of its square-off: of today, if that is not over; else, if it is ``held``, of the next session; in
        the middle of it, when its closing order is given again."""
        for day in range(now // DAY, now // DAY + (_AHEAD if held else 1)):
            window = self.window(instrument, day)
            if window is None or now >= window[1]:
                continue
            if now < window[0]:
                return window[0]
            again = self._again.get(instrument.key, 0)
            return again if held and again > now else None
        return None

    # -- what -------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Do what is due: first what works is cancelled, then what is held is closed."""
        broker = self._broker
        if broker.config.broker.square_off is None:
            return
        cancels, closes = self._steps(broker.now)
        if cancels or closes:
            self._tell()
        for order in cancels:
            log.info("cancelled by the square-off", ref=order.ref, symbol=order.info.get("instrument"))
            order.addinfo(reason=f"cancelled by {self.word}")
            broker.cancel(order)
        for key in () if cancels else closes:
            self.close(key)
        self.look_for_stuck()

    def denial(self, instrument: Instrument, product: str) -> Denial | None:
        """Why an order of the strategy's is not taken at this time."""
        broker = self._broker
        if broker.config.broker.square_off is None or not self._ends(instrument, product, broker.now // DAY):
            return None
        window = self.window(instrument, broker.now // DAY)
        if window is None or not window[0] <= broker.now < window[1]:
            return None
        what = "MIS orders are" if product == INTRADAY else "orders in a contract that ends in delivery today are"
        return Denial(
            RULE,
            f"{instrument.key} is squared off from {from_seconds(window[0]):%H:%M} on, before Kite does it for a fee: "
            f"no more {what} taken until the session ends",
            "broker.square_off",
        )

    def _steps(self, now: int) -> tuple[list[Any], list[str]]:
        """Orders to be cancelled at this moment, and positions to be closed."""
        broker = self._broker
        cancels = [
            order
            for order, instrument in self._orders()
            if self.is_time(instrument, now) and not broker.is_leaving(order) and not self._stays(order, instrument)
        ]
        closes = [key for key, instrument in self._positions() if self.is_time(instrument, now) and self.may_close(key)]
        return cancels, closes

    def _meets(self, order: Any) -> bool:
        """Not what is for another day, or is placed again then."""
        instrument = self._broker.instrument_of_order(order)
        return not self._is_for_later(order.ref) and not self._stays(order, instrument)

    def _is_for_later(self, ref: int) -> bool:
        return self._broker.held.get(ref, -1) // DAY > self._broker.now // DAY

    def _stays(self, order: Any, instrument: Instrument) -> bool:
        """An entry that is placed again tomorrow."""
        terms = self._broker.terms.get(order.ref)
        window = self.window(instrument, self._broker.now // DAY)
        if terms is None or window is None or order.parent is not None:
            return False
        if not terms.carry and (terms.deadline is None or terms.deadline <= window[1]):
            return False
        return not self._broker.proposal(order).reduces

    def _concerned(self) -> Iterator[tuple[Instrument, bool]]:
        for _, instrument in self._positions():
            yield instrument, True
        for _, instrument in self._orders():
            yield instrument, False

    def _positions(self) -> Iterator[tuple[str, Instrument]]:
        broker = self._broker
        day = broker.now // DAY
        for key, instrument in broker.open_instruments():
            if self._ends(instrument, broker.product_of(key), day):
                yield key, instrument

    def _orders(self) -> Iterator[tuple[Any, Instrument]]:
        """Those that work, and are not ours to close with."""
        broker = self._broker
        day = broker.now // DAY
        for ref in broker.terms:
            order = broker.orders.get(ref)
            if order is None or ref < 0 or ref in broker.safety or not order.alive() or not order.active():
                continue
            instrument = broker.instrument_of_order(order)
            if self._is_for_later(ref):
                continue
            if self._ends(instrument, broker.product_of_order(order), day):
                yield order, instrument

    def _ends(self, instrument: Instrument, product: str, day: int) -> bool:
        """Whether it must be out of it by the end of ``day``."""
        if product == INTRADAY:
            return True
        if instrument.expiry is None or self._broker.config.broker.expiry == "leave":
            return False
        return instrument.expiry == _date(day) and settles_in_shares(instrument, _date(day))

    def _tell(self) -> None:
        """Said once a session."""
        broker = self._broker
        held = sorted(key for key, instrument in self._positions() if self.is_time(instrument, broker.now))
        said = (broker.now // DAY, ", ".join(held))
        if not held or said == self._told:
            return
        self._told = said
        sentence = f"square-off: {said[1]} is closed before Kite does it"
        log.info(sentence)
        broker.remark("squared_off", symbols=held)
        if broker.on_alert is not None:
            broker.on_alert("info", sentence, f"square-off {said[0]} {said[1]}")


def _date(day: int) -> date:
    return from_seconds(day * DAY).date()
