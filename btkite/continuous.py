"""Continuous: one future after the other as one feed, in history as live.

It *is* the current contract: bars, orders and positions through it are that contract's, until the rule of
:mod:`btkite.market.rollover` says that it is the next one's. What was held of the contract before stays tradable in
:attr:`~btkite.feed.KiteData.left`.

Adjusted backwards, its last bar always has the contract's own prices, those that orders trade at; at a roll what was
before is moved by the gap between the two contracts, and indicators are computed anew from the moved past. Nothing that
was not known on that day is in it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from typing import Any

import numpy as np

from .errors import ConfigError, DataError
from .feed import KiteData
from .feeding import RollAsked
from .kite.inbox import Answer
from .linetime import from_seconds, seconds_of
from .log import get_logger
from .market.calendar import calendar
from .market.rollover import ADJUST, Days, Figures, Roll, Rule, current, rolls
from .recomputing import recompute
from .series import COLUMNS, Candles, lookback
from .values import Instrument

log = get_logger(__name__)
_BEFORE_OPEN = timedelta(minutes=5)
_AFTER_CLOSE = timedelta(minutes=1)
_AGAIN = timedelta(minutes=1)
_PRICES = ("open", "high", "low", "close")
_EARLIER = timedelta(days=70)
"""Of contracts that have ended, so much is looked at to know where one stands."""

Fetch = Callable[[Instrument, str, datetime | None, datetime | None], Candles]


class Continuous(KiteData):
    """The futures on one underlying, one after the other: ``store.getdata("NFO:NIFTY FUT", continuous="oi")``.

    Params (beside those of :class:`~btkite.feed.KiteData`):
      - ``family``: ``"NFO:NIFTY FUT"``.
      - ``continuous`` (``"expiry"``): rolls when the contract has expired, or on the morning after the next one had the
        larger ``"volume"`` or open interest (``"oi"``); at the latest when it has expired.
      - ``days`` (``0``): the last sessions of a contract that are never traded.
      - ``adjust`` (``None``): ``"back"`` (or ``"difference"``) moves what was before a roll by the gap in ₹,
        ``"ratio"`` multiplies it; ``None`` leaves the prices that were traded.

    ``rolls`` lists the rolls so far, each with its day and its reason.
    """

    params: Any = (("continuous", "expiry"), ("days", 0), ("adjust", None))

    def __init__(self) -> None:
        self.p.slot = True
        if not str(self.p.family or "").upper().endswith(" FUT"):
            raise ConfigError(f"{self.p.family!r} names no futures: write EXCHANGE:NAME FUT, such as NFO:NIFTY FUT")
        if self.p.store is None:
            raise ConfigError(f"{self.p.family} needs a store: use store.getdata(..., continuous=...)")
        self.rule = Rule(str(self.p.continuous), int(self.p.days))
        adjust = "difference" if self.p.adjust == "back" else self.p.adjust
        if adjust not in (None, *ADJUST):
            raise ConfigError(f"adjust={self.p.adjust!r}: a past is adjusted by back (difference) or ratio, or not")
        self.adjust = adjust
        self.p.name = self.p.name or str(self.p.family).upper()
        self._full: dict[str, Candles] = {}
        self._clear()
        super().__init__()

    def _clear(self) -> None:
        self.rolls: list[Roll] = []
        self._planned: list[Roll] = []
        self._ahead: deque[Roll] = deque()
        self._met: dict[str, Instrument] = {}
        self._days: dict[str, dict[date, Figures]] = {}
        self._roll_due: datetime | None = None
        self._asked_roll: RollAsked | None = None

    @property
    def may_be_empty(self) -> bool:
        return False

    def bound_again(self, key: str | None) -> None:
        """The rule says what it is, whatever it was when the last process ended."""

    def bind(self, instrument: Instrument | str, *, spot: float | None = None) -> None:
        """:raises ConfigError: always; the rule says what it is."""
        raise ConfigError(f"{self._name} is bound by its rule: a slot of your own is store.slot({self.family!r})")

    def unbind(self) -> None:
        """See :meth:`bind`."""
        raise ConfigError(f"{self._name} is bound by its rule: a slot of your own is store.slot({self.family!r})")

    # -- a run ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._clear()
        store = self._store
        if self in store.rolling:
            store.rolling.remove(self)
        store.rolling.append(self)
        if self.is_stream:
            now = store.clock.now()
            contracts = self._contracts(now.date() - _EARLIER)
            made = self._rolls_until(contracts, self._known(store.live_fetch, contracts), now.date())
            self._initial = current(contracts, made)
            self.instrument = self._initial
            self._roll_due = self._next_look(now)
        else:
            self._initial = next(iter(self._contracts(None)))
        super().start()

    def stop(self) -> None:
        super().stop()
        if self in self._store.rolling:
            self._store.rolling.remove(self)

    def _contracts(self, since: date | None) -> list[Instrument]:
        found: list[Instrument] = self._store.futures(self.family)
        if self.is_stream:  # Kite's next dump has forgotten what expires today
            self._met.update({one.key: one for one in found})
            found = sorted(self._met.values(), key=lambda one: (one.expiry or date.max, one.key))
        if not found:
            raise DataError(f"no contracts of {self.family} are known: fetch their candles, or keep Kite's daily dumps")
        return [one for one in found if since is None or (one.expiry is not None and one.expiry >= since)]

    def _known(self, fetch: Fetch, contracts: list[Instrument], end: datetime | None = None) -> Callable[[Any], Days]:
        """A contract's days, asked for once. Of one that has expired Kite tells nothing any more: what it said while
        the contract lived is kept."""
        asked: dict[str, Days] = {}

        def days(instrument: Instrument) -> Days:
            if instrument.key not in asked:
                assert instrument.expiry is not None
                first = datetime.combine(instrument.expiry, time()) - timedelta(days=100)
                kept = self._days.setdefault(instrument.key, {})
                try:
                    candles = fetch(instrument, "day", first, end)
                except DataError:
                    asked[instrument.key] = kept
                else:
                    rows = zip(candles.close.tolist(), candles.volume.tolist(), candles.oi.tolist(), strict=True)
                    stamps = candles.start.astype("datetime64[D]").tolist()
                    kept.update({day: Figures(*row) for day, row in zip(stamps, rows, strict=True)})
                    asked[instrument.key] = kept
            return asked[instrument.key]

        return days

    def _rolls_until(self, contracts: list[Instrument], known: Callable[[Any], Days], until: date) -> list[Roll]:
        return rolls(contracts, known, self.rule, until)

    # -- history --------------------------------------------------------------------------------------------

    def _history(self) -> Candles:
        begin, end = self._range()
        warmup = self._warmup_bars()
        low = None if begin is None else begin - lookback(str(self.interval), warmup)
        since = None if low is None else low.date() - _EARLIER
        whole, contracts, planned = self._spliced(self._store.fetch, self._contracts(since), low, end)
        found = whole.between(begin, end, warmup_bars=warmup)
        if not len(found.between(begin, None)):
            raise DataError(f"{self.family} has no {self.interval} candles between {begin} and {end}")
        first = found.first.date()
        self.instrument = current(contracts, [roll for roll in planned if roll.day <= first])
        self._ahead = deque(roll for roll in planned if roll.day > first)
        return found

    def _spliced(
        self, fetch: Fetch, contracts: list[Instrument], low: datetime | None, end: datetime | None
    ) -> tuple[Candles, list[Instrument], list[Roll]]:
        """Bars of the contract that was current on each day; those contracts, and the rolls between them."""
        full: dict[str, Candles] = {}
        for one in contracts:
            try:
                candles = fetch(one, str(self.interval), low, end)
            except DataError:
                continue
            if len(candles):
                full[one.key] = candles
        there = [one for one in contracts if one.key in full]
        if not there:
            raise DataError(f"no {self.interval} candles of {self.family} are stored in that time: fetch them")
        known, until = self._known(fetch, there, end), max(one.last.date() for one in full.values())
        planned = self._rolls_until(there, known, until)
        parts = []
        for place, one in enumerate(there[: len(planned) + 1]):
            first = datetime.combine(planned[place - 1].day, time()) if place else None
            last = datetime.combine(planned[place].day, time()) if place < len(planned) else None
            if first is None or last is None or first < last:
                parts.append(full[one.key].between(first, last).columns())
        columns = {name: np.concatenate([part[name] for part in parts]) for name in COLUMNS}
        self._full = full
        return Candles.of(self.family, str(self.interval), columns), there, planned

    def seconds(self, candles: Candles | None = None) -> Any:
        """Of the current contract, all of its bars, for the simulator: what is left of it trades on."""
        assert self.instrument is not None
        return super().seconds(self._full[self.instrument.key] if candles is None else candles)

    def live_candles(self, instrument: Instrument, start: datetime, until: datetime) -> Candles:
        """History for the feed that is about to go live; a reader's thread."""
        contracts = self._contracts(start.date() - _EARLIER)
        whole, _, planned = self._spliced(self._store.live_fetch, contracts, start, until)
        self._planned = planned
        return whole

    def take_history(self, candles: Candles) -> None:
        fresh = not len(self) and not self._ready
        super().take_history(candles)
        if fresh and len(candles):
            first = candles.first.date()
            self._ahead = deque(roll for roll in self._planned if roll.day > first)

    # -- the roll -------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Cerebro's turn begins: if the bars that come next are of another day, it may be another contract's."""
        while self._ahead and self._ahead[0].day <= self._next_day():
            roll = self._ahead.popleft()
            if self.is_stream:  # of the past: it was that contract before the run began
                self._past(roll)
            else:
                self._become(roll)

    def _next_day(self) -> date:
        if self.is_stream:
            ahead = self.lines.datetime[1] if len(self) < self.buflen() else self._ready[0][0] if self._ready else None
        else:
            ahead = min((data.advance_peek() for data in self._env.datas), default=float("inf"))
            ahead = None if ahead == float("inf") else ahead
        return date.min if ahead is None else from_seconds(seconds_of(ahead)).date()

    def _become(self, roll: Roll) -> None:
        """From now on it is another contract."""
        before, self.instrument = self.instrument, roll.after
        price, left = float(self.lines.close[0]) if len(self) else float("nan"), None
        self._past(roll)
        self._waits = True  # for its first bar
        if before is not None:
            left = self.leaves(before, price)
            if before.key in self._full and not self.is_stream:
                of = self._full[before.key]
                left.follow(super().seconds(of)[1], of)
        self._left.pop(roll.after.key, None)
        log.info("a continuous future has rolled", symbol=self._name, roll=str(roll))
        moved = getattr(self._env.broker, "slot_moved", None)
        if moved is not None:
            moved(self, before, left)
        if self.is_stream:
            ends = [seconds_of(data.datetime[0]) for data in self._env.datas if len(data)]
            self._reset()
            self._last_end = max(ends, default=-1)
            self._live_from = None
            self._store.rebind(self)

    def _past(self, roll: Roll) -> None:
        """What was before the roll, moved by the gap."""
        self.rolls.append(roll)
        if self.adjust is None or not roll.ratio or not len(self):
            return
        for name in _PRICES:
            line = getattr(self.lines, name)
            seen = line.idx + 1
            past = np.array(line.array[:seen], dtype=np.float64)
            past = past + roll.gap if self.adjust == "difference" else past * roll.ratio
            for place, value in enumerate(past.tolist()):
                line.array[place] = value
        recompute(getattr(self._env, "runningstrats", ()))

    # -- live (Cerebro's thread, but for decide) ----------------------------------------------------------------

    @property
    def roll_due(self) -> datetime | None:
        """When it is looked at next whether it rolls."""
        return self._roll_due

    def _next_look(self, now: datetime) -> datetime:
        exchange, known, day = self.family.partition(":")[0], calendar(), now.date()
        while True:
            session = known.session(exchange, day)
            if session is not None and session.parts:
                if session.open - _BEFORE_OPEN > now:
                    return session.open - _BEFORE_OPEN
                # After its last session: what a contract closed at is not told on the next morning.
                ends = self.instrument is not None and self.instrument.expiry == day
                if ends and session.close + _AFTER_CLOSE > now:
                    return session.close + _AFTER_CLOSE
            day = known.next_session_day(exchange, day)

    def on_time(self, now: datetime) -> None:
        """Five minutes before the open: which contract is it today?"""
        if self._roll_due is None or now < self._roll_due:
            return
        self._roll_due, asked = None, RollAsked(self, now.date())
        self._asked_roll = asked
        self._store.reader.ask("roll", asked, lambda: self.decide(asked.day))

    def decide(self, day: date) -> list[Roll]:
        """The rolls up to ``day``; a reader's thread."""
        contracts = self._contracts(day - _EARLIER)
        known = self._known(self._store.live_fetch, contracts)
        if self.instrument is not None:
            known(self.instrument)  # to be remembered, whether or not it decides
        return self._rolls_until(contracts, known, day)

    def take_roll(self, asked: RollAsked, answer: Answer) -> None:
        """What was found, or why it could not be."""
        if asked is not self._asked_roll:
            return
        self._asked_roll = None
        now = self._store.clock.now()
        if answer.error is not None:
            log.warning("whether a future rolls is not known; asked again", symbol=self._name, error=repr(answer.error))
            self._store.put_notification(f"{self._name}: whether it rolls today is not known yet", str(answer.error))
            self._roll_due = now + _AGAIN
            return
        self._roll_due = self._next_look(now)
        for roll in answer.value:
            if self.instrument is not None and roll.before.key == self.instrument.key:
                self._become(roll)
