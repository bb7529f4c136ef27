"""SimBroker: fills orders on candles (backtest) or on ticks (paper) by the conventions of docs/fills.md.

``SimBroker(rule="backtrader")`` is BackBroker with our gate in front, see :mod:`btkite.brokers.bars`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..linetime import DAY, seconds_of
from ..market.matching import Event, Quote, Working, next_event
from ..market.permitted import largest_order
from ..values import Instrument, Tick
from . import depth, hours, translate
from .book import BookBroker
from .cutting import is_many, pieces
from .tape import Growing, Print, Tape, span_of

if TYPE_CHECKING:
    from ..ticking import Quiet

_NOT_YET = 1 << 62  # an order's end while it has met no print of data without sessions
_END, _ARRIVAL, _SQUARE, _PRINT = range(4)  # what happens at one second, in this order


@dataclass(slots=True)
class _Market:
    """One instrument as the simulator sees it."""

    instrument: Instrument
    tape: Tape | None = None
    working: dict[int, Working] = field(default_factory=dict)
    met: int = -1  # what an order that arrives now has already met
    number: int = -1  # of the last tick (paper)
    here: float = 0.0  # where the last price is on its path; 0 if it is not known
    quote: Quote | None = None
    bar_end: int = -1
    walking: bool = False  # in the middle of a print: then ``met`` says more than the time does
    bids: depth.Side = None
    asks: depth.Side = None
    unread: tuple[Any, int, int] | None = None  # the last tick, while nothing has asked: columns, place, the bar's end

    def show(self, tick: Tick) -> Quote:
        """The book that a tick shows; its touch."""
        self.bids, self.asks = depth.sides(tick.bids, tick.asks)
        last = tick.last_price
        return Quote(last, self.bids[0].price if self.bids else last, self.asks[0].price if self.asks else last)

    def read(self) -> None:
        """Take the ticks that nothing of ours has met: only the last one of them leaves anything behind."""
        if self.unread is not None:
            columns, place, self.bar_end = self.unread
            self.unread = None
            self.quote = self.show(columns[place])
            self.met, self.here = self.number, self.quote.last


class _ChooseRule(type(BookBroker)):  # type: ignore[misc]
    """``SimBroker(rule="backtrader")`` gives the broker that is BackBroker."""

    def doprenew(cls, *args: Any, **kwargs: Any) -> Any:
        config = kwargs.get("config")
        rule = kwargs.pop("rule", None) or (config.broker.rule if config is not None else "path")
        if rule == "backtrader" and cls is SimBroker:
            from .bars import BarRuleBroker

            return BarRuleBroker, args, kwargs
        if rule not in ("path", "backtrader"):
            raise ValueError(f'rule={rule!r}: the simulator knows rule="path" and rule="backtrader"')
        return super().doprenew(*args, **kwargs)


class SimBroker(BookBroker, metaclass=_ChooseRule):
    """A broker that fills by itself.

    In a backtest with :class:`btkite.Cerebro` the prints of a bar are played *before* the strategy sees
    the bar, so an answer to a fill is given with the lines as they were then, as in live. On a stock
    Cerebro they are played when the bar is there; fills are the same, answers to them come a bar later.

    Params:
      - ``rule`` (``None``): ``"path"`` (docs/fills.md) or ``"backtrader"``; ``None`` takes ``broker.rule``.
      - ``config``, ``cash``: see :class:`~btkite.brokers.book.BookBroker`.
    """

    def init(self) -> None:
        super().init()
        self._markets: dict[str, _Market] = {}
        self._of: dict[int, _Market] = {}
        self._arrivals = 0
        self._moment: tuple[int, int, str] = (-1, _PRINT, "")
        self._seen: dict[int, int] = {}
        self._closes: dict[int, int] = {}
        self._foreseen = True
        self._answered_first: deque[tuple[Any, str]] = deque()  # what is being refused, and why
        self._judged: set[int] = set()  # by the last close, in ``unfit``, or as an after-market order

    def start(self) -> None:
        super().start()
        self._foreseen = all(hasattr(data, "seconds") for data in self.cerebro.datas)

    # -- time ---------------------------------------------------------------------------------------

    def play_until(self, until: int) -> None:
        """Play history: every print before ``until`` (seconds), every deadline up to it; Cerebro asks before its
        lines move. If some data does not know its bars beforehand, all is played once they are there."""
        if self._foreseen:
            self._play(until)

    def _play(self, until: int) -> None:
        if until <= self._now:
            return
        self.go_on_heeding()
        while self._of or self.held or self._squares_by(until):
            due = self._next_due()
            if due is None or due[0] > until or (due[0] == until and due[1] == _PRINT):
                break
            self._now, self._moment = due[0], due[:3]
            self._do(due)
            self.go_on_heeding()
        self._now, self._moment = until, (until, -1, "")
        self.roll(until)

    def next(self) -> None:
        """A turn of Cerebro: data that is not known beforehand hands over its new bars here."""
        if self._streams():
            super().next()
            return
        self.meet_strategies()
        latest = -1
        for data in self.cerebro.datas:
            if not len(data) or getattr(data, "unbound", False):
                continue
            stamp = seconds_of(data.datetime[0])
            latest = max(latest, stamp)
            self._take_bar(data, stamp)
        self._play(latest)
        self.heed()
        self.trail()
        self.expiring.turn()
        self.flush()

    def _streams(self) -> bool:
        return any(getattr(data, "is_stream", False) for data in self.cerebro.datas)

    def _take_bar(self, data: Any, stamp: int) -> None:
        market = self._market(data)
        tape = market.tape
        if self._seen.get(id(data), -1) == len(data) or tape is None or not isinstance(tape, Growing):
            return
        if tape.data is data:
            span = span_of(data)
            tape.add(stamp - span, stamp, data.open[0], data.high[0], data.low[0], data.close[0])
        self._seen[id(data)] = len(data)

    def _next_due(self) -> tuple[Any, ...] | None:
        """The next thing that happens: (second, kind, key, what)."""
        best = self._next_change()
        for market in self._of.values():
            assert market.tape is not None
            ahead = market.tape.peek()
            if ahead is not None and (best is None or (ahead.time, _PRINT, market.instrument.key) < best[:3]):
                best = (ahead.time, _PRINT, market.instrument.key, market, ahead)
        return best

    def _next_change(self) -> tuple[Any, ...] | None:
        """The next order that ends or arrives; at one second all ends, then arrivals as they were given."""
        best: tuple[Any, ...] | None = None
        for ref in self._of:
            end = self._end_of(ref)
            if best is None or end < best[0]:
                best = (end, _END, "", ref)
        for ref, at in self.held.items():
            deadline = self.terms[ref].deadline
            due = (at, _ARRIVAL, "", ref) if deadline is None or deadline > at else (deadline, _END, "", ref)
            if best is None or due < best:
                best = due
        moment = self.squaring.due()
        if moment is not None and (best is None or (moment, _SQUARE) < best[:2]):
            best = (moment, _SQUARE, "", None)
        return best

    def _squares_by(self, until: int) -> bool:
        """Whether something that is held may have to be squared off by then."""
        due = self.squaring.due()
        return due is not None and due <= until

    def _end_of(self, ref: int) -> int:
        deadline, close = self.terms[ref].deadline, self._closes[ref]
        return close if deadline is None else min(deadline, close)

    def _do(self, due: tuple[Any, ...]) -> None:
        if due[1] == _PRINT:
            self._print(due[3], due[4])
        elif due[1] == _ARRIVAL:
            self._arrive(self.orders[due[3]])
        elif due[1] == _SQUARE:
            self.squaring.turn()
        else:
            self._end_all()
        self.flush()

    def _end_all(self) -> None:
        """A deadline or the session's close: all orders that end now end together, none because of another."""
        due = [ref for ref in self._of if self._end_of(ref) <= self._now]
        due += [ref for ref in self.held if (self.terms[ref].deadline or self._now + 1) <= self._now]
        self.ending = {ref for ref in due if self._is_over(ref)}
        for ref in sorted(due):
            if ref in self._of or ref in self.held:  # else another's end has taken it along
                self._end(self.orders[ref])
        self.ending = set()

    def _is_over(self, ref: int) -> bool:
        """At a session's close: whether it lapses, and is not to be placed again."""
        terms = self.terms[ref]
        return not terms.carry if terms.deadline is None else terms.deadline <= self._now

    def _end(self, order: Any) -> None:
        self._withdraw(order.ref)
        if self._is_over(order.ref):
            self.ended(order, "expired")
            return
        self.hold_till_open(order, self._now)

    # -- orders ---------------------------------------------------------------------------------------

    def admit(self, order: Any) -> None:
        if order.parent is None and not self.is_midway and order.status == order.Submitted:
            self._judged.add(order.ref)
        super().admit(order)

    def modify(
        self, order: Any, size: float | None = None, price: float | None = None, plimit: float | None = None
    ) -> bool:
        changed = super().modify(order, size, price, plimit)
        if changed and self.is_midway:  # no close has judged what it is now; if it is held, its arrival will
            self._judged.discard(order.ref)
        return changed

    def route(self, order: Any) -> None:
        delay, amo = self.config.broker.latency, self.terms[order.ref].after_hours == "amo"
        at = self._now + (max(1, round(delay)) if delay else 0)
        if (delay or amo) and self._session_at(self.instrument_of_order(order), at) is None:
            if amo:  # the exchange keeps it for the open
                if order.ref not in self._judged and self._refused(order):
                    return
                self._judged.add(order.ref)
                self.accepted(order)
            self.hold_till_open(order, at)
            return
        if delay:
            self._judged.discard(order.ref)  # the price goes on while it is on its way
            self.hold(order, at)
        else:
            self._arrive(order)

    def _arrive(self, order: Any) -> None:
        """A new order is at the exchange: into its market, or refused."""
        self.held.pop(order.ref, None)
        self.pin(order)
        judged = order.ref in self._judged
        self._judged.discard(order.ref)
        reason = "" if judged else self._refusal(order)
        if not reason:
            self._enter(order)
        elif self._market(order.data, self.instrument_of_order(order)).walking or self._flushing:
            self._answered_first.append((order, reason))
        else:
            self.ended(order, "rejected", reason)

    def flush(self) -> None:
        """Tell the strategies; then what has come too late to the exchange is refused, unless an answer has taken it
        back: it is on its way while the strategy hears of the fill that sent it. A change comes behind it, and does
        not save it."""
        super().flush()
        while self._answered_first and not self._flushing:
            order, reason = self._answered_first.popleft()
            if order.alive():
                self.ended(order, "rejected", reason)
            super().flush()

    def _refused(self, order: Any) -> bool:
        """True if the exchange rejects an order by where its price is at this moment."""
        reason = self._refusal(order)
        if reason:
            self.ended(order, "rejected", reason)
        return bool(reason)

    def _refusal(self, order: Any) -> str:
        market = self._standing(order)
        return translate.refused_as_behind(order) if translate.is_behind(order, market.here) else ""

    def refuses_change(self, order: Any) -> str:
        return self._refusal(order) if order.ref in self._of and self.is_midway else ""

    def _standing(self, order: Any) -> _Market:
        """The order's market, at this moment."""
        market = self._market(order.data, self.instrument_of_order(order))
        if not market.working and market.tape is not None and not market.walking:
            second, kind, key = self._moment
            market.tape.seek(second, inclusive=kind == _PRINT and market.instrument.key <= key)
            market.met, market.here = market.tape.number, market.tape.last_price
        return market

    def _enter(self, order: Any) -> None:
        market = self._standing(order)
        order_type, price, trigger = translate.sent_as(order, market.instrument, self.config.broker)
        self._arrivals += 1
        working = Working(
            order.ref,
            1 if order.isbuy() else -1,
            order_type,
            price,
            trigger,
            self._arrivals,
            market.met,
            bool(order.triggered),
            (order.info.get("validity") or self.config.broker.default_validity) == "IOC",
        )
        market.working[order.ref] = working
        self._of[order.ref] = market
        self._closes[order.ref] = self.close_after(order) if hours.has_sessions(market.instrument) else _NOT_YET
        self.accepted(order)

    def recall(self, order: Any) -> None:
        self._withdraw(order.ref)
        self.ended(order, "canceled")

    def reroute(self, order: Any) -> None:
        if order.ref in self._of:
            self._enter(order)

    def _withdraw(self, ref: int) -> None:
        market = self._of.pop(ref, None)
        if market is not None:
            market.working.pop(ref, None)
        self._closes.pop(ref, None)

    # -- prints ---------------------------------------------------------------------------------------

    def _print(self, market: _Market, ahead: Print) -> None:
        assert market.tape is not None
        if not hours.has_sessions(market.instrument):
            self._close_with_the_day(market, ahead)
        market.met = ahead.number - 1
        self._walk(market, ahead.before, ahead.quote, ahead.number)
        market.met = ahead.number
        if market.tape.number < ahead.number:
            market.tape.advance()

    def _close_with_the_day(self, market: _Market, ahead: Print) -> None:
        """Where no session is known, an order is good for the day, or the longer bar, of the first print it meets."""
        assert market.tape is not None
        end = max((ahead.time // DAY + 1) * DAY, market.tape.end_of(ahead.number))
        for ref in market.working:
            if self._closes[ref] == _NOT_YET:
                self._closes[ref] = end

    def _walk(self, market: _Market, before: Quote | None, now: Quote, number: int) -> None:
        market.walking = True
        while True:
            event = next_event(market.working.values(), before, now, number)
            if event is None:
                market.walking, market.here = False, now.last
                return
            at_print = event.on_print or before is None
            market.met = number if at_print else number - 1
            market.here = event.where.last
            before = event.where  # the path goes on from there, also from the print itself
            self._carry_out(market, event, number)
            self.flush()

    def _carry_out(self, market: _Market, event: Event, number: int) -> None:
        working = event.working
        order = self.orders[working.ref]
        if not event.trades and working.ioc:
            self.recall(order)
            return
        if not event.trades:
            working.triggered = order.triggered = True
            return
        quantity = int(abs(order.executed.remsize))
        for part, price in self._executions(market, working, event, quantity):
            for piece in self._cut(market, order, part):
                quantity -= piece
                if not quantity:
                    self._withdraw(order.ref)
                self.filled(order, piece, price, self._now)
        if quantity and working.ioc:
            self.recall(order)
        elif quantity:
            working.met = number  # the rest waits for the next print

    def _cut(self, market: _Market, order: Any, units: int) -> Iterable[int]:
        """An execution of an order that goes to Kite in slices is one of each of them."""
        most = largest_order(market.instrument, self._today) if is_many(order) else None
        return pieces(int(abs(order.executed.size)), units, most) if most else (units,)

    def _executions(self, market: _Market, working: Working, event: Event, quantity: int) -> list[tuple[int, float]]:
        """Units and price of each execution, with depth and slippage as configured."""
        settings = self.config.broker
        side = market.asks if working.sign > 0 else market.bids
        parts = depth.take(None if settings.depth == "unlimited" else side, working, event, quantity)
        slippage = settings.slippage_ticks * market.instrument.tick_size
        return [(part, depth.slipped(working, price, slippage)) for part, price in parts] if slippage else parts

    # -- paper: prints are ticks ------------------------------------------------------------------------

    def take_tick(self, data: Any, tick: Tick, now: int, bar_end: int, instrument: Instrument | None = None) -> None:
        """A tick at ``now`` (seconds) in the bar that ends at ``bar_end``, of ``data``'s instrument, or of one that it
        was bound to before."""
        self.on_time(now)
        market = self._market(data, instrument)
        quote = market.show(tick)
        market.number += 1
        before = market.quote if market.bar_end == bar_end else None
        market.met = market.number - 1
        self._walk(market, before, quote, market.number)
        market.met, market.quote, market.bar_end = market.number, quote, bar_end

    def heeded(self) -> Collection[str]:
        """The instruments whose ticks may have an order of ours trade."""
        held = {self.instrument_of_order(self.orders[ref]).key for ref in self.held}
        return held.union(market.instrument.key for market in self._of.values())

    def take_quiet(self, ticks: Quiet, first: int, stop: int) -> int:
        """Ticks of instruments that are not :meth:`heeded`, from ``first`` to before ``stop``. How far we have come: a
        tick that begins a second, or at whose time something is due, is to be taken by itself."""
        markets, columns = self._markets, ticks.columns
        for at in range(first, stop):
            now = ticks.times[at]
            if now > self._now:
                return at
            if self._of or self.held:
                due = self._next_change()
                if due is not None and due[0] <= now:
                    return at
            feeding = ticks.feeds[at]
            market = markets.get(feeding.key) or self._market(feeding.data, feeding.instrument)
            market.number += 1
            market.unread = columns, ticks.places[at], ticks.ends[at]
        return stop

    def on_time(self, now: int) -> None:
        """Paper: market time is ``now``; orders end and arrive."""
        self.go_on_heeding()
        while self._of or self.held or self._squares_by(now):
            due = self._next_change()
            if due is None or due[0] > now:
                break
            self._now, self._moment = max(self._now, due[0]), due[:3]
            self._do(due)
        if now > self._now:
            self._now, self._moment = now, (now, -1, "")
            self.roll(now)

    def next_due(self) -> int | None:
        """The next second at which :meth:`on_time` has something to do."""
        ends = [self._end_of(ref) for ref in self._of] + self.held_due()
        at = self.squaring.due()
        return min([*ends, *([] if at is None else [at])], default=None)

    # -- instruments ------------------------------------------------------------------------------------

    def _market(self, data: Any, instrument: Instrument | None = None) -> _Market:
        instrument = instrument or self.instrument(data)
        market = self._markets.get(instrument.key)
        if market is None:
            market = self._markets[instrument.key] = _Market(instrument)
            if not getattr(data, "is_stream", False):
                market.tape = self._tape_of(instrument)
        elif market.unread is not None:
            market.read()
        return market

    def _tape_of(self, instrument: Instrument) -> Tape:
        """From the finest data of the instrument: candles that are known beforehand, or none yet."""
        feeds = [data for data in self.cerebro.datas if self.instrument(data).key == instrument.key]
        feeds = feeds or [self._datas[instrument.key]]  # of a slot that has gone on
        finest = min(feeds, key=lambda data: (data._timeframe, data._compression))
        if hasattr(finest, "seconds"):
            return Tape.of_columns(*finest.seconds())
        return Growing(finest)

    def _candle_days(self, instrument: Instrument) -> frozenset[int]:
        market = self._markets.get(instrument.key)
        return market.tape.days if market is not None and market.tape is not None else frozenset()
