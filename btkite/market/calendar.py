"""When Indian exchanges trade, by date: sessions, holidays, halts, muhurat hours, and where bars end.

Regular hours come from ``data/hours.csv``, exceptions from ``data/sessions.csv`` (both name their
sources), an overlay of the user's own rows comes last (:mod:`.overlay`): holidays are declared with days'
notice. Unknown hours stay unknown: such a session has no parts, counts as a trading day, and is never open.

Exchanges: NSE BSE NFO BFO CDS BCD MCX. All times are naive IST.
"""

from __future__ import annotations

import difflib
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, get_args

from ..errors import ConfigError
from .intervals import DAY_SECONDS, Interval, parse_interval
from .overlay import laid_over
from .sessions import ExceptionRow, InstrumentClass, Part, Session, SessionKind, time_of
from .squareoff import square_off_time
from .tables import read_table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_EPOCH = datetime(1970, 1, 1)
EXCHANGES = ("NSE", "BSE", "NFO", "BFO", "CDS", "BCD", "MCX")
VALID_FROM = date(2016, 1, 1)
VALID_UNTIL = date(2026, 12, 31)

# MCX is shut all day on these; on every other equity holiday only its morning is (pattern of the
# 2025 and 2026 lists; Good Friday is found by its name).
_MCX_SHUT = frozenset({(1, 26), (8, 15), (10, 2), (12, 25)})
_MCX_EVENING = time(17, 0)
_POST_CLOSE_AFTER = timedelta(minutes=10)
# Currency holidays of their own were compiled from this year on; before, only the equity ones are known.
_CURRENCY_COMPILED = 2024


class _Hours(NamedTuple):
    since: date
    open: time
    close: time
    close_winter: time
    source: str


class Calendar:
    """Sessions by exchange and date. Immutable; :func:`calendar` is the one of the shipped tables."""

    def __init__(
        self,
        exceptions: Iterable[ExceptionRow],
        *,
        hours: Iterable[Mapping[str, str]] | None = None,
        valid_until: date = VALID_UNTIL,
    ) -> None:
        self._until = dict.fromkeys(EXCHANGES, valid_until)
        self._exceptions = {(row.exchange, row.date): row for row in exceptions}
        self._hours: dict[tuple[str, str, str], list[_Hours]] = {}
        for row in read_table("hours") if hours is None else hours:
            close = time.fromisoformat(row["close"])
            self._hours.setdefault((row["exchange"], row["instrument_class"], row["kind"]), []).append(
                _Hours(
                    date.fromisoformat(row["from"]),
                    time.fromisoformat(row["open"]),
                    close,
                    time_of(row["close_winter"]) or close,
                    row.get("source", ""),
                )
            )
        for regimes in self._hours.values():
            regimes.sort()
        self._cache: dict[tuple[str, date, str | None, str], Session | None] = {}

    def with_overlay(self, rows: Iterable[ExceptionRow], *, until: Mapping[str, date] | None = None) -> Calendar:
        """A calendar with these rows on top, e.g. a holiday declared this week or next year's list; ``until``: the last
        date of which it now knows the holidays, by exchange.

        A row of NSE alone speaks for the exchanges that follow it (:func:`.overlay.laid_over`).
        """
        other = Calendar.__new__(Calendar)
        other._until = {**self._until, **(until or {})}
        other._exceptions = laid_over(self._exceptions, rows)
        other._hours = self._hours
        other._cache = {}
        return other

    def valid_until(self, exchange: str) -> date:
        """The last date of which it knows the holidays of an exchange: each publishes a list of its own.

        :raises ConfigError: for an unknown exchange.
        """
        _check(exchange, None)
        return self._until[exchange]

    # -- sessions ---------------------------------------------------------------------------------

    def session(
        self,
        exchange: str,
        day: date,
        *,
        kind: SessionKind = "continuous",
        instrument_class: InstrumentClass | None = None,
    ) -> Session | None:
        """The session of ``exchange`` on ``day``, or None if it is closed (or has none of that ``kind``).

        :raises ConfigError: for an unknown exchange or instrument class.
        """
        key = (exchange, day, instrument_class, kind)
        try:
            return self._cache[key]
        except KeyError:
            _check(exchange, instrument_class)
            found = self._cache[key] = self._session(exchange, day, instrument_class or "", kind)
            return found

    def regular(self, exchange: str, day: date, *, instrument_class: InstrumentClass | None = None) -> Session:
        """The hours that ``day`` would have if nothing were special about it, even on a Sunday."""
        _check(exchange, instrument_class)
        hours = self._regular_hours(exchange, day, instrument_class or "", "continuous")
        if hours is None:  # before the first row
            first = self._hours[exchange, "", "continuous"][0]
            hours = (first.open, first.close)
        return Session(exchange, day, _parts(day, *hours), verified=False)

    def exception(self, exchange: str, day: date) -> ExceptionRow | None:
        """What makes ``day`` an exception on ``exchange``, with its source; also of a closed one. None: a usual day."""
        _check(exchange, None)
        return self._exceptions.get((exchange, day)) or self._implied(exchange, day)

    def square_off(
        self, exchange: str, day: date, *, instrument_class: InstrumentClass | None = None
    ) -> datetime | None:
        """When Zerodha itself closes intraday (MIS) positions on ``day``, and takes no new ones; None if the day has no
        session, or no time is known. On a short day (muhurat, a drill) it is ten minutes before the end."""
        session = self.session(exchange, day, instrument_class=instrument_class)
        if session is None or not session.parts:
            return None
        return square_off_time(exchange, session.open, session.close, cas=instrument_class == "cas")

    def overlaid(self) -> list[ExceptionRow]:
        """The rows that the shipped calendar has not, with the regular hours written out."""
        rows = []
        for key, row in self._exceptions.items():
            if shipped()._exceptions.get(key) != row:
                hours = self._regular_hours(row.exchange, row.date, "", "continuous")
                rows.append(row._replace(open=hours[0], close=hours[1]) if row.kind == "regular" and hours else row)
        return rows

    def is_open(self, exchange: str, moment: datetime, *, instrument_class: InstrumentClass | None = None) -> bool:
        """Whether continuous trading runs at ``moment``; false where the hours are unknown."""
        session = self.session(exchange, moment.date(), instrument_class=instrument_class)
        return session is not None and session.is_open(moment)

    def session_at(
        self, exchange: str, moment: datetime, *, instrument_class: InstrumentClass | None = None
    ) -> Session | None:
        """The session from whose open to whose close ``moment`` lies (a gap between two parts included)."""
        session = self.session(exchange, moment.date(), instrument_class=instrument_class)
        if session is None or not session.parts or not session.open <= moment < session.close:
            return None
        return session

    def sessions(
        self, exchange: str, start: date, end: date, *, instrument_class: InstrumentClass | None = None
    ) -> list[Session]:
        """All sessions of the dates ``start`` to ``end``, both included."""
        found = (
            self.session(exchange, start + timedelta(days), instrument_class=instrument_class)
            for days in range((end - start).days + 1)
        )
        return [session for session in found if session is not None]

    def next_open(
        self, exchange: str, moment: datetime, *, instrument_class: InstrumentClass | None = None
    ) -> datetime:
        """The first start of a part at or after ``moment``; sessions of unknown hours are passed over."""
        day = moment.date()
        while True:
            session = self.session(exchange, day, instrument_class=instrument_class)
            for start, _ in session.parts if session else ():
                if start >= moment:
                    return start
            day += timedelta(1)

    def previous_session_day(self, exchange: str, day: date) -> date:
        """The last trading day before ``day``."""
        day -= timedelta(1)
        while self.session(exchange, day) is None:
            day -= timedelta(1)
        return day

    def next_session_day(self, exchange: str, day: date) -> date:
        """The first trading day after ``day``."""
        day += timedelta(1)
        while self.session(exchange, day) is None:
            day += timedelta(1)
        return day

    # -- bars -------------------------------------------------------------------------------------

    def bar_start(
        self,
        exchange: str,
        moment: datetime,
        interval: str,
        *,
        instrument_class: InstrumentClass | None = None,
    ) -> datetime | None:
        """Start of the bar that ``moment`` belongs to, or None outside the session.

        Bars are counted from the open of their part; a day bar starts at midnight, as Kite's does.
        """
        step = parse_interval(interval)
        session = self.session(exchange, moment.date(), instrument_class=instrument_class)
        for start, end in session.parts if session else ():
            if start <= moment < end:
                if step is Interval.DAY:
                    return datetime.combine(moment.date(), time())
                return start + (moment - start) // timedelta(seconds=step.seconds) * timedelta(seconds=step.seconds)
        return None

    def bar_end(
        self,
        exchange: str,
        start: datetime,
        interval: str,
        *,
        instrument_class: InstrumentClass | None = None,
    ) -> datetime:
        """End of the bar that starts at ``start``: its length later, cut at the close of its part.

        A day bar ends at the session's close. On a date that the table calls closed (or whose hours
        are unknown) the regular hours serve, so that every candle of a history has an end.
        """
        step = parse_interval(interval)
        parts = self._cuts(exchange, start.date(), instrument_class)
        if step is Interval.DAY:
            return parts[-1][1]
        end = start + timedelta(seconds=step.seconds)
        for _, close in parts:
            if start < close:
                return min(end, close)
        return end

    def bar_ends(
        self,
        exchange: str,
        starts: NDArray[np.datetime64],
        interval: str,
        *,
        instrument_class: InstrumentClass | None = None,
    ) -> NDArray[np.datetime64]:
        """:meth:`bar_end` of many starts (naive IST) at once, as ``datetime64[s]``."""
        import numpy as np

        step = parse_interval(interval)
        begun: NDArray[Any] = np.asarray(starts).astype("datetime64[s]", copy=False)
        if not begun.size:
            return begun.copy()
        seconds = begun.view(np.int64) if begun.flags.c_contiguous else begun.astype(np.int64)
        days = seconds // DAY_SECONDS
        firsts = np.concatenate(([0], np.flatnonzero(days[1:] != days[:-1]) + 1))
        lengths = np.diff(np.concatenate((firsts, [seconds.size])))
        closes, split = self._closes(exchange, days[firsts], instrument_class)
        last = np.repeat(closes, lengths)
        if step is Interval.DAY:
            return last.view("datetime64[s]")
        ends = seconds + step.seconds
        np.copyto(ends, last, where=(seconds < last) & (ends > last))
        for day, earlier in split:
            for close in earlier:
                ends[(days == day) & (seconds < close) & (ends > close)] = close
        return ends.view("datetime64[s]")

    def _closes(
        self, exchange: str, days: NDArray[np.int64], instrument_class: InstrumentClass | None
    ) -> tuple[NDArray[np.int64], list[tuple[int, list[int]]]]:
        """The last close of each date (days since 1970), in seconds since 1970; and of dates with several
        parts the closes before it. Regular dates, nearly all, are worked out together."""
        import numpy as np

        _check(exchange, instrument_class)
        closes = days * DAY_SECONDS + self._regular_closes(exchange, days, instrument_class or "")
        split = []
        for place in np.flatnonzero(np.isin(days, self._exceptional(exchange))).tolist():
            *earlier, closes[place] = self._cut_seconds(exchange, int(days[place]), instrument_class)
            if earlier:
                split.append((int(days[place]), earlier))
        return closes, split

    def _regular_closes(self, exchange: str, days: NDArray[np.int64], instrument_class: str) -> NDArray[np.int64]:
        """The time of day of the regular close on each date, in seconds."""
        import numpy as np

        general = self._hours[exchange, "", "continuous"]
        found = np.full(days.shape, _seconds(general[0].close), dtype=np.int64)
        classes = ("", instrument_class) if instrument_class else ("",)
        for regime in (one for name in classes for one in self._hours.get((exchange, name, "continuous"), ())):
            begun = days >= (regime.since - _EPOCH.date()).days
            found[begun] = _seconds(regime.close)
            if regime.close_winter != regime.close:
                for place in np.flatnonzero(begun).tolist():
                    if not us_daylight_saving((_EPOCH + timedelta(int(days[place]))).date()):
                        found[place] = _seconds(regime.close_winter)
        return found

    def _exceptional(self, exchange: str) -> list[int]:
        """The dates (days since 1970) that have a row, or on which NSE's row means something here."""
        dates = {day for name, day in self._exceptions if name in (exchange, "NSE")}
        if exchange == "MCX":
            dates |= {date(year, 1, 1) for year in range(1970, 2200)}
        return [(day - _EPOCH.date()).days for day in dates]

    def _cuts(self, exchange: str, day: date, instrument_class: InstrumentClass | None) -> tuple[Part, ...]:
        session = self.session(exchange, day, instrument_class=instrument_class)
        if session is None or not session.parts:
            return self.regular(exchange, day, instrument_class=instrument_class).parts
        return session.parts

    def _cut_seconds(self, exchange: str, day: int, instrument_class: InstrumentClass | None) -> list[int]:
        """The closes of the parts of a date (days since 1970), in seconds since 1970 of IST wall time."""
        parts = self._cuts(exchange, (_EPOCH + timedelta(day)).date(), instrument_class)
        return [int((close - _EPOCH).total_seconds()) for _, close in parts]

    # -- the rules --------------------------------------------------------------------------------

    def _session(self, exchange: str, day: date, instrument_class: str, kind: SessionKind) -> Session | None:
        row = self._exceptions.get((exchange, day))
        implied = row is None
        if row is None:
            row = self._implied(exchange, day)
        verified = VALID_FROM <= day <= self._until[exchange] and not (
            exchange in ("CDS", "BCD") and day.year < _CURRENCY_COMPILED
        )
        if row is None:
            if day.weekday() >= 5:
                return None
            hours = self._regular_hours(exchange, day, instrument_class, kind)
            if hours is None:
                return None if kind != "continuous" else self.regular(exchange, day)
            source = self._source(exchange, day, instrument_class, kind)
            return Session(exchange, day, _parts(day, *hours), verified=verified, source=source)
        if row.kind == "closed":
            return None
        verified = verified and not implied
        if row.kind == "regular":
            hours = self._regular_hours(exchange, day, instrument_class, kind)
            parts = _parts(day, *hours) if hours is not None else ()
            return Session(exchange, day, parts, "regular", True, verified, row.note, row.source) if hours else None
        written = (row.open, row.close, row.second_open, row.second_close)
        known = written[:2] if written[2:] == (None, None) else written
        times = [moment for moment in known if moment is not None]
        windows: tuple[Part, ...] | None = None
        if len(times) == len(known):
            windows = self._windows(exchange, day, instrument_class, kind, row.kind, _parts(day, *times))
        if windows is None:
            if kind != "continuous" and self._regular_hours(exchange, day, instrument_class, kind) is None:
                return None  # unknown hours are still not those of a window that the exchange does not have
            return Session(exchange, day, (), row.kind, False, verified, row.note, row.source)
        return Session(exchange, day, windows, row.kind, True, verified, row.note, row.source) if windows else None

    def _windows(
        self, exchange: str, day: date, instrument_class: str, kind: SessionKind, what: str, parts: tuple[Part, ...]
    ) -> tuple[Part, ...] | None:
        """What the continuous ``parts`` of an exceptional day mean for a class and a kind of window; None: unknown.

        The other windows keep their distances to the open and the close, as the circulars of muhurat days, drills
        and reopenings have them: entry for the open begins 15 minutes before each part, a closing auction ends
        continuous trading 15 minutes before the day's end, closing prices are traded from 10 minutes after it.
        """
        usual = self._regular_hours(exchange, day, instrument_class, kind)
        general = self._regular_hours(exchange, day, "", "continuous")
        if usual is None or general is None:
            return ()
        opens, closes = (datetime.combine(day, moment) for moment in general)
        first, last = (datetime.combine(day, moment) for moment in usual)
        if kind == "pre_open":
            return tuple((first + (start - opens), last + (start - opens)) for start, _ in parts)
        end = parts[-1][1]
        if kind == "closing_auction":
            return ((first + (end - closes), last + (end - closes)),)
        if kind == "post_close":
            if what == "muhurat" or (what == "special" and len(parts) > 1):
                return ((end + _POST_CLOSE_AFTER, end + 2 * _POST_CLOSE_AFTER),)
            return ((first + (end - closes), last + (end - closes)),)
        if usual == general:
            return parts
        if exchange == "MCX":  # agricultural contracts: their own hours, as far as the exchange is open
            if what == "muhurat":
                return None
            cut = ((max(start, first), min(stop, last)) for start, stop in parts)
            return tuple((start, stop) for start, stop in cut if start < stop)
        *earlier, (start, _) = parts
        stop = end + (last - closes)
        return (*earlier, (start, stop)) if start < stop else tuple(earlier)

    def _implied(self, exchange: str, day: date) -> ExceptionRow | None:
        """What an equity holiday means for an exchange without a row of its own on that date."""
        equity = None if exchange == "NSE" else self._exceptions.get(("NSE", day))
        if exchange != "MCX":
            return equity if equity is not None and equity.kind == "closed" else None
        if equity is not None and equity.kind == "muhurat":  # MCX keeps the hour too, on a Sunday as well
            return ExceptionRow(day, "MCX", "muhurat", note="hours not found")
        hours = self._regular_hours("MCX", day, "", "continuous")
        if hours is None or day.weekday() >= 5:
            return None
        if equity is None:
            if (day.month, day.day) == (1, 1):
                return ExceptionRow(day, "MCX", "early", hours[0], _MCX_EVENING, note="New Year: no evening session")
            return None
        if equity.kind == "closed":
            if (day.month, day.day) in _MCX_SHUT or "Good Friday" in equity.note:
                return equity
            return ExceptionRow(day, "MCX", "special", _MCX_EVENING, hours[1], note=f"evening only: {equity.note}")
        return None

    def _regular_hours(
        self, exchange: str, day: date, instrument_class: str, kind: SessionKind
    ) -> tuple[time, time] | None:
        hours = self._regime(exchange, instrument_class, kind, day) or self._regime(exchange, "", kind, day)
        if hours is None:
            return None
        return hours.open, hours.close if us_daylight_saving(day) else hours.close_winter

    def _source(self, exchange: str, day: date, instrument_class: str, kind: str) -> str:
        regime = self._regime(exchange, instrument_class, kind, day) or self._regime(exchange, "", kind, day)
        return regime.source if regime is not None else ""

    def _regime(self, exchange: str, instrument_class: str, kind: str, day: date) -> _Hours | None:
        regimes = self._hours.get((exchange, instrument_class, kind), ())
        place = bisect_right([regime.since for regime in regimes], day)
        return regimes[place - 1] if place else None


@cache
def shipped() -> Calendar:
    """The calendar of the shipped tables."""
    return Calendar(ExceptionRow.parse(row) for row in read_table("sessions"))


_in_force: list[Calendar] = []


def calendar() -> Calendar:
    """The calendar in force: the shipped tables, and on top of them what this process was told."""
    return _in_force[-1] if _in_force else shipped()


def put_in_force(known: Calendar | None) -> Calendar:
    """From now on :func:`calendar` is ``known`` (None: the shipped one), in the whole process: when a market trades is
    a fact about the world, not about a run. Returns what was in force."""
    before = calendar()
    _in_force[:] = [known] if known is not None else []
    return before


def us_daylight_saving(day: date) -> bool:
    """Whether MCX keeps its summer close: from the Monday after the second Sunday of March to the
    Sunday that is the first of November (MCX follows the United States a day later)."""
    march, november = date(day.year, 3, 1), date(day.year, 11, 1)
    begins = march + timedelta((6 - march.weekday()) % 7 + 8)
    ends = november + timedelta((6 - november.weekday()) % 7 + 1)
    return begins <= day < ends


def _check(exchange: str, instrument_class: str | None) -> None:
    if exchange not in EXCHANGES:
        close = difflib.get_close_matches(str(exchange).upper(), EXCHANGES, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ConfigError(f"no hours are known for exchange {exchange!r}{hint} (known: {', '.join(EXCHANGES)})")
    if instrument_class is not None and instrument_class not in get_args(InstrumentClass):
        raise ConfigError(
            f"unknown instrument class {instrument_class!r}; take one of {', '.join(get_args(InstrumentClass))}"
        )


def _parts(day: date, *times: time) -> tuple[Part, ...]:
    moments: Sequence[datetime] = [datetime.combine(day, moment) for moment in times]
    return tuple(zip(moments[::2], moments[1::2], strict=True))


def _seconds(moment: time) -> int:
    return moment.hour * 3600 + moment.minute * 60 + moment.second
