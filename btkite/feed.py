"""KiteData: one instrument's bars of one interval, from history or live, for any Cerebro.

Lines hold naive IST; a bar is stamped at its **end** (the first minute of a day is 09:16), so that
resampling, timers and several intervals agree. History goes into the line buffers at once, before the
run; live bars come one by one from the store, which waits for all feeds together.
"""

from __future__ import annotations

from collections import deque
from datetime import datetime, time
from functools import lru_cache
from typing import Any, cast

import backtrader as bt
import numpy as np

from .borrowed import borrow
from .errors import ConfigError, DataError, UnknownSymbol
from .grid import ends_of, windows_of
from .kite.revised import in_words, ratio_of
from .linetime import as_seconds, from_seconds, seconds_of, to_seconds
from .log import get_logger
from .market.intervals import from_backtrader, parse_interval
from .market.naming import named
from .series import Candles, aggregate, date_numbers, moment
from .slots import Left, meant, ticks_at
from .values import Bar, Instrument

log = get_logger(__name__)
_TIMEFRAMES = {"Minutes": bt.TimeFrame.Minutes, "Days": bt.TimeFrame.Days}
_COLUMNS = ("open", "high", "low", "close", "volume", "oi")
_LINES = ("open", "high", "low", "close", "volume", "openinterest")
_OWN_LINES = 1 + len(_LINES)
_NOTHING = (float("nan"),) * 4 + (0.0, 0.0)  # the bar of a slot that has no instrument
_NAMELESS = "DATA:frame"  # a DataFrame does not say whose it is
_COMPARED = ("open", "high", "low", "close", "volume")
_TELLING = 3
"""So many bars must differ by one ratio before that is called a corporate action."""
_REMEMBERED = 500
"""Bars built from ticks that are compared with the exchange's candles, when those are read after an outage."""
_FINER = (bt.TimeFrame.Ticks, bt.TimeFrame.MicroSeconds, bt.TimeFrame.Seconds)


class KiteData(bt.feed.DataBase):
    """Bars of one instrument of Kite.

    Usually made by ``store.getdata("NSE:INFY", interval="5minute")``. ``dataname`` may also be
    :class:`~btkite.series.Candles` or a pandas DataFrame in Kite's columns (bar *start* in ``date`` or
    the index, naive IST or aware); then no store is needed. A DataFrame is traded under the feed's name.

    Params:
      - ``interval`` (``None``): one of Kite's, e.g. ``"5minute"``; without it ``timeframe`` and
        ``compression`` say it, or what the candles given are.
      - ``store`` (``None``): the :class:`~btkite.store.KiteStore` that bars come from.
      - ``historical`` (``False``): only history, even if the store is live.
      - ``warmup`` (``None``): bars before the start that warm indicators only; ``None`` asks the
        store's configuration (``data.warmup``).
      - ``fromdate``, ``todate``: first and last moment that is traded, naive IST or aware; a date as
        ``todate`` includes that day. On a stream they say nothing.
      - ``decide_at`` (``None``): for day bars, a ``datetime.time`` (or ``"15:20"``) at which the day's bar
        closes early, so that orders still trade that day; ``None`` asks the store's configuration
        (``broker.decide_at``). In history the bar has its final prices all the same, and such orders
        trade at its close.
      - ``slot`` (``False``): its instrument may change during a run: :meth:`bind`. With a store and no
        ``dataname`` (``store.getdata(None, interval="minute", name="CE")``) it has none to begin with.
      - ``family`` (``None``): what the words of :meth:`bind` leave out, such as ``"NFO:NIFTY CE"`` for
        ``"ATM weekly"``; ``store.slot("NFO:NIFTY CE")`` sets it.

    ``data.repaired`` is true while ``next()`` runs for a bar that was missed on the stream and came from history.
    """

    params = (
        ("interval", None),
        ("store", None),
        ("historical", False),
        ("warmup", None),
        ("decide_at", None),
        ("slot", False),
        ("family", None),
        ("qcheck", 0.5),
    )

    _name: str

    def __init__(self) -> None:
        super().__init__()
        if self.p.tz is not None or self.p.tzinput is not None:
            raise ConfigError("KiteData is naive IST: leave tz and tzinput out")
        self._store = self.p.store
        self.p.fromdate, self.p.todate = moment(self.p.fromdate), moment(self.p.todate, end=True)
        self._candles: Candles | None = None
        self._given: Any = None
        self.instrument: Instrument | None = None
        self._initial: Instrument | None = None  # what a slot has at the beginning of each run
        self._again: tuple[Instrument | None] | None = None  # what it had when the last process ended
        self._left: dict[str, Left] = {}  # what it was bound to before, in this run
        self._running = False
        self.failing = False  # its history does not come: the others no longer wait for it
        self._waits = False  # for the first bar of the instrument that it was bound to during the run
        if self.p.dataname is None and self._store is not None:
            self.p.slot = True
            _ = self._store.master  # the instruments are read before the run
        elif isinstance(self.p.dataname, str):
            if self._store is None:
                raise ConfigError(f"KiteData({self.p.dataname!r}) needs a store: use store.getdata(...)")
            self.bind(self._store.instrument(self.p.dataname))
        else:
            self._given = _as_candles(self.p.dataname)
            self.bind(instrument_of(self._given.key, self._store))
            if self.p.interval is None and self.p.timeframe == bt.TimeFrame.Days and self.p.compression == 1:
                self.p.interval = self._given.interval
        if self.p.slot and self._given is not None:
            raise ConfigError("a slot takes its bars from a store: candles that are given cannot change")
        self._set_interval(self.p.interval)
        self._live_from: int | None = None
        self._reset()

    def bind(self, instrument: Instrument | str, *, spot: float | None = None) -> None:
        """From now on bars, orders and positions given through this data are ``instrument``'s.

        During a run that is for a *slot*: its next bar is the first of the new instrument's that ends after the
        last bar of any feed, in history as on a stream, and orders through it are denied until then. A position
        in the instrument before, and what rests of it, stay, and are traded through :attr:`left`. (Candles that
        were given stay what they are: only orders and positions change.)

        A slot may be told by meaning (``"NFO:NIFTY CE ATM weekly"``, or with its family ``"ATM weekly"``): of the
        day of the run's newest bar, at the last close of its feed of the underlying, or at ``spot`` ₹.

        :raises ConfigError: during a run, if it is no slot; if the price of the underlying is needed, and unknown.
        :raises UnknownSymbol: with suggestions, for a name that is none.
        """
        if isinstance(instrument, str):
            slot = self.p.slot and self._store is not None
            instrument = meant(self, instrument, spot) if slot else instrument_of(instrument, self._store)
        before = self.instrument
        if self._running and self._given is None and not self.p.slot:
            raise ConfigError(
                f"{self._name} cannot become {instrument.key} during a run: make it a slot, getdata(…, slot=True)"
            )
        named = self.p.name or (self._name and (before is None or self._name != before.key))
        self.instrument = instrument
        if not named:
            self._name = instrument.key
        if not self._running:
            self._initial = instrument
            return
        self._say_rebound()
        if self.p.slot and (before is None or before.key != instrument.key):
            self._move(before)

    def unbind(self) -> None:
        """A slot has no instrument any more: it ticks with the other feeds and holds NaN. See :meth:`bind`."""
        if not self.p.slot:
            raise ConfigError(f"{self._name} is no slot, and cannot be unbound")
        before, self.instrument = self.instrument, None
        if not self._running:
            self._initial = None
        elif before is not None:
            self._say_rebound()
            self._move(before)
            if self.is_stream:
                self.put_notification(self.DELAYED)

    def _say_rebound(self) -> None:
        broker = self._env.broker
        if hasattr(broker, "rebound"):
            broker.rebound(self)

    @property
    def unbound(self) -> bool:
        """Whether it is a slot that has no instrument now."""
        return bool(self.p.slot) and self.instrument is None

    @property
    def may_be_empty(self) -> bool:
        """Whether ``next()`` does not wait for its bars."""
        return bool(self.p.slot)

    @property
    def family(self) -> str:
        """What the words of :meth:`bind` leave out; empty if nothing."""
        return str(self.p.family or "")

    @property
    def left(self) -> tuple[Left, ...]:
        """Instruments that a slot was bound to before, oldest first, while a position or an order of ours is left in
        them. Each serves as ``data=`` for what closes it."""
        has = getattr(self._env.broker, "is_in", lambda key: True)
        return tuple(left for key, left in self._left.items() if has(key))

    def leaves(self, instrument: Instrument, price: float) -> Left:
        """Another instrument than that of now, of which something of ours is left, with its last price in ₹."""
        self._left.pop(instrument.key, None)
        left = self._left[instrument.key] = Left(self, instrument, price)
        return left

    def left_bar(self, key: str, bar: Bar) -> None:
        """A bar of an instrument that the slot was bound to before."""
        if key in self._left:
            self._left[key].take(to_seconds(bar.end), bar.close)

    def bound_again(self, key: str | None) -> None:
        """Before a run: what the slot had when the last process ended, it has again."""
        try:
            self._again = (None if key is None else self._store.instrument(key),)
        except UnknownSymbol as error:
            log.warning("what a slot was bound to is listed no more", slot=self._name, reason=str(error))

    def _move(self, before: Instrument | None) -> None:
        """Bars of the instrument just bound, from the last bar of any feed on."""
        ends = [seconds_of(data.datetime[0]) for data in self._env.datas if len(data)]
        left = None
        if before is not None:
            left = self.leaves(before, float(self.close[0]) if len(self) and not self._waits else float("nan"))
            if self._candles is not None:
                left.follow(as_seconds(self._ends(self._candles)), self._candles)
        if self.instrument is not None:
            self._left.pop(self.instrument.key, None)
        self._drop_ahead()
        self._reset()
        self._last_end = max(ends, default=-1)
        self._waits, self._live_from, self._candles = True, None, None
        moved = getattr(self._env.broker, "slot_moved", None)
        if moved is not None:
            moved(self, before, left)
        if self.is_stream:
            self._store.rebind(self)
        elif self.instrument is not None:
            self._candles = self._history()
            self._live_from = max(self._last_end, self._trading_starts(self._candles))

    def _drop_ahead(self) -> None:
        """Forget what was loaded and not delivered yet: it is another instrument's."""
        ahead = self.buflen() - len(self)
        for line in self.lines.lines:
            for _ in range(ahead):
                line.array.pop()

    @property
    def live_from(self) -> int | None:
        """The moment (seconds) up to which bars only warm up; None while that is not known."""
        return None if self._waits else self._live_from

    @live_from.setter
    def live_from(self, moment: int | None) -> None:
        self._live_from = moment

    def _set_interval(self, interval: str | None) -> None:
        if interval is None:
            name = bt.TimeFrame.getname(self.p.timeframe, 1).rstrip("s") + "s"
            self.interval = from_backtrader(name, self.p.compression)
        else:
            self.interval = parse_interval(interval)
        self.p.interval = str(self.interval)
        self.p.timeframe = self._timeframe = _TIMEFRAMES[self.interval.timeframe]
        self.p.compression = self._compression = self.interval.compression
        if self.p.decide_at is not None and self.interval.intraday:
            raise ConfigError(f"decide_at closes day bars early; {self.interval} bars have their own end")

    @property
    def decide_at(self) -> time | None:
        """When a day's bar closes early, if it does."""
        if self.interval.intraday:
            return None
        said = self.p.decide_at
        if said is None and self._store is not None:
            said = self._store.config.broker.decide_at
        return time.fromisoformat(said) if isinstance(said, str) else said

    def _reset(self) -> None:
        self._ready: deque[tuple[float, ...]] = deque()
        self._next_row = 0
        self._last_end = -1
        self._over = False
        self._repairs: deque[int] = deque()  # ends of bars that came from history after an outage
        self._built: deque[Bar] = deque(maxlen=_REMEMBERED)

    # -- what Cerebro asks ------------------------------------------------------------------------

    @property
    def is_stream(self) -> bool:
        """Whether bars come from the market as it happens."""
        return self._given is None and not self.p.historical and self._store is not None and self._store.streams

    def islive(self) -> bool:
        """For Cerebro: whether bars are to be taken one by one."""
        return self.is_stream or self.p.slot

    def haslivedata(self) -> bool:
        return bool(self._ready)

    @property
    def repaired(self) -> bool:
        """Whether the bar that the strategy sees now was missed on the stream and came from history later."""
        if not self._repairs or not len(self):
            return False
        now = seconds_of(self.datetime[0])
        while self._repairs and self._repairs[0] < now:
            self._repairs.popleft()
        return bool(self._repairs) and self._repairs[0] == now

    @property
    def nothing_new(self) -> bool:
        """Whether asking a stream for a bar would give none now, and cannot be its end."""
        return self.is_stream and not (self._ready or self._over or self._filters or self._ffilters)

    @property
    def awaits_first_bar(self) -> bool:
        """Whether, on a market that runs by itself, it is warmed up and its first bar to trade is still to come."""
        if self.live_from is None or not self.nothing_new or self._store.clock.complete:
            return False
        return bool(len(self)) and seconds_of(self.datetime[0]) <= self.live_from

    @property
    def patience(self) -> float | None:
        """Seconds of market time for which ``next()`` waits for its first bar; None: without end, as in backtrader."""
        if not self.is_stream or self._store.clock.complete:
            return None
        return cast("float | None", self._store.config.data.patience)

    def say_silent(self) -> None:
        """``next()`` no longer waits for it."""
        log.warning("next() goes on without a symbol", symbol=self._name)
        self._store.put_notification(f"{self._name} has no bar yet: next() goes on without it, its len() is 0")

    def setenvironment(self, env: Any) -> None:
        super().setenvironment(env)
        if self._given is not None and self._given.key == _NAMELESS:  # by now it has its name and number
            name = self._name if self._name not in ("", _NAMELESS) else f"frame{self._id}"
            self.bind(instrument_of(name if ":" in name else f"DATA:{name}", self._store))
        if self._store is not None:
            env.addstore(self._store)

    def start(self) -> None:
        super().start()
        self._reset()
        if self.p.slot:
            self.instrument = self._initial if self._again is None else self._again[0]
            self._again, self._left = None, {}
        self._running, self._waits = True, self.instrument is None
        if self.is_stream:
            self.live_from = None
            self._store.start(data=self)
            return
        self._candles = None
        if self.instrument is not None:
            self._candles = self._history()
            self.live_from = self._trading_starts(self._candles)

    def stop(self) -> None:
        super().stop()
        self._running = False
        if self.is_stream:
            self._store.detach(self)

    def preload(self) -> None:
        """All bars into the line buffers at once; with filters, bar by bar as backtrader does."""
        if self._filters or self._ffilters:
            super().preload()
            return
        columns = self._line_columns()
        values = dict(zip(("datetime", *_LINES), columns, strict=True))
        ours = {id(getattr(self.lines, name)): column for name, column in values.items()}
        nothing = np.full(len(columns[0]), np.nan) if len(self.lines.lines) > len(ours) else None
        for line in self.lines.lines:  # a subclass may have lines of its own
            borrow(line, ours.get(id(line), nothing))
        self._next_row = len(columns[0])
        self.__dict__.pop("_columns", None)  # the lines have them
        self.home()

    def advance_peek(self) -> float:
        """When the next bar ends, if that is known: also where bars of history are taken one by one."""
        if len(self) < self.buflen():
            return float(self.lines.datetime[1])
        if self.is_stream or self._filters or self._candles is None:
            return float("inf")
        stamps = self._line_columns()[0]
        return float(stamps[self._next_row]) if self._next_row < len(stamps) else float("inf")

    def _check(self, forcedata: Any = None) -> None:
        """Cerebro has a bar of another feed, and none of this one."""
        super()._check(forcedata=forcedata)
        if forcedata is not None and self.unbound and ticks_at(self, forcedata):
            self._ready.append((forcedata.datetime[0], *_NOTHING))

    def _load(self) -> bool | None:
        if self.unbound and self._ready:
            self._fill(self._ready.popleft())
            return True
        if self.is_stream:
            if self._ready:
                self._fill(self._ready.popleft())
                return True
            return False if self._over else None
        if self._candles is None:
            return False
        columns = self._line_columns()
        row = self._next_row
        if row >= len(columns[0]):
            return False
        self._next_row = row + 1
        self._fill(tuple(float(column[row]) for column in columns))
        return True

    def _tick_fill(self, force: bool = False) -> None:
        """As backtrader's, which looks every line up by its name: the bar is the tick."""
        lines = self.lines
        if len(lines.lines) != _OWN_LINES:  # a subclass has lines of its own
            super()._tick_fill(force=force)
        elif force or getattr(self, "tick_close", None) is None:
            self.tick_open, self.tick_high, self.tick_low = lines.open[0], lines.high[0], lines.low[0]
            self.tick_close = self.tick_last = lines.close[0]
            self.tick_volume, self.tick_openinterest = lines.volume[0], lines.openinterest[0]

    def _fill(self, row: tuple[float, ...]) -> None:
        self._waits = self.unbound
        lines = self.lines
        lines.datetime[0] = row[0]
        lines.open[0], lines.high[0], lines.low[0], lines.close[0] = row[1:5]
        lines.volume[0], lines.openinterest[0] = row[5:7]

    # -- history ----------------------------------------------------------------------------------

    def _history(self) -> Candles:
        warmup = self._warmup_bars()
        begin, end = self._range()
        if self._given is not None:
            candles = aggregate(self._given, str(self.interval), windows_of(self._given.key))
            found = candles.between(begin, end, warmup_bars=warmup)
            if not len(found.between(begin, None)):
                held = f"from {candles.first} to {candles.last}" if len(candles) else "of no time at all"
                raise DataError(
                    f"{self._name} has {self.interval} candles {held}; nothing between "
                    f"{begin or 'their start'} and {end or 'their end'}"
                )
            return found
        if self._last_end < 0:
            return self._store.candles(self.instrument, str(self.interval), begin, end, warmup)
        begin = from_seconds(self._last_end - self.interval.seconds)
        found = self._store.candles(self.instrument, str(self.interval), begin, end, 0)
        return found[int(np.searchsorted(as_seconds(self._ends(found)), self._last_end, side="right")) :]

    def _range(self) -> tuple[datetime | None, datetime | None]:
        """What is asked for, by bar *start*. backtrader's own filter on ``fromdate`` and ``todate``
        would see end stamps and drop the warm-up, so it is given nothing to do."""
        begin = self.p.fromdate
        if begin is not None and not self.interval.intraday:
            begin = datetime(begin.year, begin.month, begin.day)
        return begin, self.p.todate

    def _start_finish(self) -> None:
        super()._start_finish()
        self.fromdate, self.todate = float("-inf"), float("inf")

    def _warmup_bars(self) -> int:
        if self.p.warmup is not None:
            return int(self.p.warmup)
        return self._store.warmup if self._store is not None else 0

    def live_candles(self, instrument: Instrument, start: datetime, until: datetime) -> Candles:
        """History for the feed that is about to go live; a reader's thread."""
        found: Candles = self._store.live_history(instrument, str(self.interval), start, until)
        return found

    def _trading_starts(self, candles: Candles) -> int:
        """The moment (seconds) up to which bars only warm up."""
        begin, _ = self._range()
        if begin is None:
            return -1 if not self._warmup_bars() else self._after_warmup(candles)
        before = int(np.searchsorted(candles.start, np.datetime64(begin, "s"), side="left"))
        under_way = int(as_seconds(self._ends(candles[before - 1 : before]))[0]) if before else -1
        return max(to_seconds(begin), under_way)

    def _after_warmup(self, candles: Candles) -> int:
        count = min(self._warmup_bars(), len(candles))
        return int(as_seconds(self._ends(candles))[count - 1]) if count else -1

    def _ends(self, candles: Candles) -> Any:
        ends = self._closes(candles)
        if self.decide_at is None or not len(candles):
            return ends
        early = candles.start.astype("datetime64[D]") + _time_of_day(self.decide_at)
        # A session that lies wholly after it (muhurat) keeps its own close.
        return np.where(self._opens(candles) < early, np.minimum(ends, early), ends)

    def _closes(self, candles: Candles) -> Any:
        """When each bar's trading ends."""
        return ends_of(candles.key, str(self.interval))(candles.start)

    def seconds(self, candles: Candles | None = None) -> tuple[Any, Any, Any, Any, Any, Any]:
        """Start, end (seconds), open, high, low, close of all bars of history, for the simulator."""
        candles = self._candles if candles is None else candles
        assert candles is not None
        starts = as_seconds(candles.start)
        if not self.interval.intraday:
            starts = as_seconds(self._opens(candles))
        return starts, as_seconds(self._closes(candles)), candles.open, candles.high, candles.low, candles.close

    def _opens(self, candles: Candles) -> Any:
        windows = windows_of(candles.key)
        days = candles.start.astype("datetime64[D]").tolist()
        return np.array([windows(day)[0][0] for day in days], dtype="datetime64[s]")

    def _line_columns(self) -> tuple[Any, ...]:
        candles = self._candles
        assert candles is not None
        cached = self.__dict__.get("_columns")
        if cached is None or cached[0] is not candles:
            stamps = date_numbers(self._ends(candles))
            cached = (candles, (stamps, *(getattr(candles, name) for name in _COLUMNS)))
            self.__dict__["_columns"] = cached
        return cached[1]

    # -- the stream (called by the store, on Cerebro's thread) --------------------------------------

    def take_history(self, candles: Candles) -> None:
        """Bars that came before the stream, or while it was broken: they are delivered first, each once, in order."""
        stamps = as_seconds(self._ends(candles))
        numbers = date_numbers(stamps.astype("datetime64[s]"))
        columns = [numbers, *(getattr(candles, name) for name in _COLUMNS)]
        repair = self.live_from is not None
        if repair:
            self._compare(stamps, candles)
        for row in np.flatnonzero(stamps > self._last_end):
            self._ready.append(tuple(float(column[row]) for column in columns))
            self._last_end = int(stamps[row])
            if repair:
                self._repairs.append(self._last_end)

    def _compare(self, stamps: Any, candles: Candles) -> None:
        """Bars that were built from ticks and delivered, beside the exchange's own candles: what differs is said once
        of each bar. (What a strategy has seen stays as it was.)"""
        rows = {int(stamp): row for row, stamp in enumerate(stamps)}
        if self._is_rewritten(rows, candles):
            self._built.clear()
            return
        for bar in self._built:
            row = rows.get(to_seconds(bar.end))
            if row is None:
                continue
            theirs = {name: float(getattr(candles, name)[row]) for name in _COMPARED}
            other = {name: (getattr(bar, name), found) for name, found in theirs.items() if getattr(bar, name) != found}
            if other:
                words = ", ".join(f"{name} {ours:g} instead of {found:g}" for name, (ours, found) in other.items())
                log.warning(
                    "a bar built from ticks differs from the exchange's", symbol=self._name, end=bar.end, **other
                )
                self._store.put_notification(f"{self._name} {bar.end}: built from ticks with {words}")
        self._built.clear()

    def _is_rewritten(self, rows: dict[int, int], candles: Candles) -> bool:
        """Whether the exchange's prices of the past are others than those that were seen, all by one ratio: a corporate
        action while the run went on. What a strategy has seen cannot be taken back, which is said once."""
        seen = [(bar.close, rows[end]) for bar in self._built if (end := to_seconds(bar.end)) in rows]
        if len(seen) < _TELLING:
            return False
        theirs = candles.close[[row for _, row in seen]]
        ratio = ratio_of(np.array([close for close, _ in seen]), theirs)
        if ratio is None:
            return False
        words = (
            f"{self._name}: the exchange's past prices are {in_words(ratio)}; indicators of this run mix both until it "
            "is started again, and limits and stops in old prices are to be changed"
        )
        log.warning("a past that was seen has been rewritten", symbol=self._name, ratio=ratio)
        self._store.put_notification(words)
        alert = getattr(self._env.broker, "alert", None)
        if alert is not None:
            alert("critical", words, f"rewritten {self._name}")
        return True

    def take_bar(self, bar: Bar) -> None:
        """One bar that has just closed; an old or repeated one is dropped."""
        end = to_seconds(bar.end)
        if end <= self._last_end:
            return
        self._last_end = end
        self._built.append(bar)
        self._ready.append((_number(bar.end), bar.open, bar.high, bar.low, bar.close, bar.volume, bar.oi))

    def finish(self) -> None:
        """No more bars will come."""
        self._over = True

    # -- resampling ---------------------------------------------------------------------------------

    def clone(self, **kwargs: Any) -> Any:
        """Another KiteData of the same instrument: ``resampledata`` asks for one to change its interval."""
        params = {name: getattr(self.p, name) for name in self.p._getkeys()}
        return type(self)(**{**params, **kwargs})

    def resample(self, **kwargs: Any) -> None:
        """``cerebro.resampledata(kite_data, …)``: Kite's own interval instead of a filter.

        Intervals that Kite does not have (weeks, 45 minutes) are backtrader's Resampler on history, and
        refused on a stream.
        """
        timeframe, compression = kwargs.get("timeframe", bt.TimeFrame.Days), kwargs.get("compression", 1)
        name = bt.TimeFrame.getname(timeframe, 1).rstrip("s") + "s"
        own = self.interval.seconds
        if timeframe in _FINER or (timeframe == bt.TimeFrame.Minutes and 60 * compression < own):
            raise ConfigError(f"{self._name}: {self.interval} bars cannot be resampled to {compression} {name}")
        try:
            interval = from_backtrader(name, compression)
        except ConfigError:
            if self.is_stream:
                raise
            super().resample(**kwargs)
            return
        self._set_interval(str(interval))

    def replay(self, **kwargs: Any) -> None:
        """:raises ConfigError: always; replayed bars change after a strategy has seen them."""
        raise ConfigError(
            "replaydata is not offered for KiteData, because a bar that changes after the strategy saw it has no "
            "counterpart in live orders: add the fine interval and resampledata the coarse one"
        )


@lru_cache(maxsize=64)
def _number(end: datetime) -> float:
    """backtrader's number of a bar's end; bars of many feeds end together."""
    return float(bt.date2num(end))


def _time_of_day(moment: time) -> np.timedelta64:
    return np.timedelta64(moment.hour * 3600 + moment.minute * 60 + moment.second, "s")


def _as_candles(given: Any) -> Candles:
    if isinstance(given, Candles):
        return given
    from .files import read_frame

    if given is None:
        raise ConfigError("KiteData needs a dataname: an instrument such as NSE:INFY, candles, or a DataFrame")
    return read_frame(given, _NAMELESS)


def instrument_of(key: str, store: Any) -> Instrument:
    """The store's instrument of a name; without a store, what the name itself says."""
    if store is not None:
        return store.instrument(key)
    return named(key)
