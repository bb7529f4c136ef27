"""What of a run is worth a person's attention: the run's events as alerts, and a summary of the day at its close.

Everything is heard on Cerebro's thread and only put into a queue there; whatever goes wrong with it is a line in the
log, and the run goes on. History tells nobody.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any

import backtrader as bt

from ..alerts import Alerts
from ..carried import was_held
from ..kite.inbox import Link
from ..linetime import from_seconds, seconds_of
from ..log import get_logger
from ..market.calendar import calendar
from ..report.table import inr, number
from ..risk.gate import State
from ..watch.places import Place
from . import words

if TYPE_CHECKING:
    from ..config import Config
    from ..portfolio import Portfolio
    from .plan import Run

log = get_logger(__name__)
_LOOK = 0.2
"""Real seconds between two looks at gate and clock."""
_SETTLED = timedelta(minutes=1)
"""Market time after the close at which the day's last bar and last fills are surely there."""
_LEVELS = {State.ACTIVE: "warning", State.REDUCING: "error", State.HALTED: "critical"}
_KINDS = (  # beginnings of the keys under which brokers and stores speak
    ("session", "token"),
    ("feed", "disconnect"),
    ("FeedSilent", "disconnect"),
    ("Calendar", "calendar"),
    ("kill", "risk"),
    ("stuck", "risk"),
    ("risk", "risk"),
    ("UncleanEnds", "run"),
)


def kind_of(key: str) -> str:
    """What an alert of this key is about; an order, if nothing else."""
    if "square-off" in key:
        return "square-off"
    return next((kind for start, kind in _KINDS if key.startswith(start)), "order")


def quiet(method: Callable[..., None]) -> Callable[..., None]:
    """Trading goes on, whatever an alert trips over."""

    @wraps(method)
    def tried(*args: Any, **kwargs: Any) -> None:
        try:
            method(*args, **kwargs)
        except Exception as error:  # noqa: BLE001 - nothing that is only told may end a run
            log.warning("an alert failed", of=method.__name__, error=f"{type(error).__name__}: {error}")

    return tried


class Alerting:
    """Hears a run and tells of it."""

    def __init__(self, plan: Run, config: Config, store: Any, broker: Any) -> None:
        said = config.alerts
        self._store, self._broker = store, broker
        self._exchanges = sorted({key.partition(":")[0] for key in plan.symbols})
        self.who = f"{plan.strategy.__name__} ({plan.mode.name})"
        self.alerts = Alerts(
            said.urls,
            said.level,
            said.dedupe,
            said.queue,
            store.clock,
            per_minute=said.per_minute,
            also=said.also,
            mute=said.mute,
            history=Place(plan.account, plan.mode.name, plan.endpoint, plan.folder).alerts,
        )
        self._counts: Counter[str] = Counter()
        self._looked = float("-inf")
        self._state: tuple[State, str] = (State.ACTIVE, "")
        self._cut = False
        self._began: Any = None
        self._told: date | None = None
        self._datas: Sequence[Any] = ()
        self._evening: Portfolio | None = None
        self._day: tuple[date, Any] = (date.min, (None, None))
        broker.on_denied = self.denied
        broker.on_alert = self.alert
        broker.on_night = self.night

    def watch(self, cerebro: Any) -> None:
        """Hear the strategy's orders and trades, the store, and look at each turn of the pump."""
        self._datas = cerebro.datas
        cerebro.addanalyzer(Heard, alerting=self)
        cerebro.addstorecb(self.stored)
        self._store.looks.append(self.look)

    def tell(self, kind: str, level: str, title: str, body: str = "", key: str = "") -> None:
        self.alerts.send(level, f"{self.who}: {title}", body, key=key or title, kind=kind)

    # -- what others tell -----------------------------------------------------------------------------

    @quiet
    def denied(self, order: Any, denial: Any) -> None:
        self._counts["denied"] += 1
        self.tell("denial", "warning", "order denied", f"{words.order_text(order)}: {denial}", denial.rule)

    @quiet
    def alert(self, level: str, sentence: str, key: str) -> None:
        self.tell(kind_of(key), level, sentence.partition(":")[0], sentence, key)

    @quiet
    def order(self, order: Any) -> None:
        """It is over: filled, in part or in whole, or the market did not take it."""
        if was_held(order) or order.alive():
            return
        text = words.order_text(order)
        if order.executed.size:
            self._counts["filled"] += 1
            squares = "squar" in f"{order.info.get('tag') or ''} {order.info.get('because') or ''}".lower()
            done, part = abs(order.executed.size), order.status != order.Completed
            what = f"filled {number(done, 0)} at {inr(order.executed.price)}" + (", and is over" if part else "")
            kind, level = ("square-off", "warning") if squares else ("trade", "info")
            self.tell(kind, level, f"{text} {what}", "", f"filled {order.ref}")
        elif order.status in (order.Rejected, order.Margin) and not order.info.get("denied"):
            self._counts["rejected"] += 1
            reason = str(order.info.get("reason") or "no reason was given")
            if not reason.startswith("unresolved"):  # that was told when it was given up
                self.tell("rejection", "warning", "order rejected", f"{text}: {reason}", f"rejected {reason}")

    @quiet
    def trade(self, trade: Any) -> None:
        if not trade.isclosed:
            return
        self._counts["closed"] += 1
        key = str(getattr(getattr(trade.data, "instrument", None), "key", trade.data._name))
        body = f"{inr(trade.pnlcomm)} after charges of {inr(trade.commission)}"
        self.tell("trade", "info", f"{key} closed: {body}", "", f"closed {trade.ref}")

    @quiet
    def stored(self, message: Any, *args: Any, **kwargs: Any) -> None:
        """A notification of the store: the stream was cut, or is there again."""
        if message == f"stream {Link.BROKEN}" and not self._cut:
            self._cut = True
            level = "warning" if self._store._opened(self._store._now()) else "info"
            self.tell("disconnect", level, "the stream is cut", str(args[0]) if args else "", "stream cut")
        elif message == f"stream {Link.CONNECTED}" and self._cut:
            self._cut = False
            self.tell("disconnect", "info", "the stream is there again", "", "stream again")

    # -- what is looked at ----------------------------------------------------------------------------

    def look(self) -> None:
        """At each turn of the pump."""
        now = time.monotonic()
        if now - self._looked < _LOOK and not self._store.clock.complete:
            return
        self._looked = now
        self._look_at_the_gate()
        self._look_at_the_clock()

    @quiet
    def _look_at_the_gate(self) -> None:
        gate = self._broker.gate
        state, reason = gate.state, gate.reason
        paused = tuple(gate.paused.values())
        if state is State.REDUCING and gate.ledger.latched is None and paused and reason.startswith(paused):
            return  # entries pause for a cause that tells of itself
        if (state, reason) == self._state:
            return
        before, self._state = self._state, (state, reason)
        if state is State.ACTIVE and before[0] is State.ACTIVE:
            return
        text = f"the gate is {state.upper()}"
        self.tell("risk", _LEVELS[state], text, reason or f"it was {before[0].upper()}", f"{text} {reason}")

    @quiet
    def _look_at_the_clock(self) -> None:
        now = self._store._now()
        if self._began is None:
            self._began = now
        if self._told == now.date():
            return
        closes = self._hours(now.date())[1]
        if closes is not None and self._began < closes and now >= closes + _SETTLED:
            self._sum_up(now.date(), self._broker.portfolio)

    @quiet
    def night(self, day: date, portfolio: Portfolio) -> None:
        """The books turn over: in lock step the clock may have leapt from the last bar into the next morning."""
        if self._last_bar() is None or self._last_bar().date() != day:
            return
        self._evening = replace(portfolio, time=self._last_bar())
        if self._told != day and self._began is not None and self._hours(day)[1] is not None:
            self._sum_up(day, portfolio)

    def _last_bar(self) -> Any:
        """When the newest bar of any feed ended; None if there is none."""
        return max((from_seconds(seconds_of(data.datetime[0])) for data in self._datas if len(data)), default=None)

    def evening(self, now: Portfolio | None) -> Portfolio | None:
        """The portfolio of the last bar's day: ``now``, or, if the clock has leapt into another day, that of the night
        before."""
        last = self._last_bar()
        if now is None or last is None or self._evening is None or last.date() == now.time.date():
            return now
        return self._evening if self._evening.time == last else now

    def _hours(self, day: date) -> tuple[datetime | None, datetime | None]:
        """First open and last close of what is traded; None if it is no session."""
        if self._day[0] != day:
            sessions = [calendar().session(exchange, day) for exchange in self._exchanges]
            found = [session for session in sessions if session is not None and session.parts]
            ends = (min(one.open for one in found), max(one.close for one in found)) if found else (None, None)
            self._day = (day, ends)
        return self._day[1]  # type: ignore[no-any-return]

    def _sum_up(self, on: date, day: Portfolio) -> None:
        """What the day has come to."""
        self._told = on
        counts, self._counts = self._counts, Counter()
        held = [
            f"{number(line.quantity, 0)} {line.symbol} {line.product} at {inr(line.average_price)}, now "
            f"{inr(line.last_price)} ({inr(line.unrealized)})"
            for line in day.open
        ]
        kinds = ", ".join(f"{kind} {count}" for kind, count in self.alerts.counts.most_common())
        orders = f"{counts['filled']} orders filled, {counts['rejected']} rejected, {counts['denied']} denied"
        made = f"realized {inr(day.realized)}, unrealized {inr(day.unrealized)}, charges {inr(day.charges)}"
        lines = [
            f"{inr(day.day_pnl)} after charges of {inr(day.day_charges)}; value {inr(day.total_value)}",
            f"since the start {inr(day.total_pnl)}: {made}",
            f"{orders}; {counts['closed']} trades closed",
            f"open: {'; '.join(held) or 'nothing'}",
            f"alerts: {kinds or 'none'}",
        ]
        self.tell("summary", "info", f"the day {on:%d %b %Y}", "\n".join(lines), f"summary {on}")

    def ended(self, kind: type[BaseException] | None, error: BaseException | None, *_: Any) -> None:
        """The run is over; to be pushed on its stack."""
        if isinstance(error, Exception):
            self.tell("run", "critical", "the run failed", f"{type(error).__name__}: {error}")
        self._broker.on_denied = self._broker.on_alert = self._broker.on_night = None
        self.alerts.close(5.0)

    @quiet
    def last_words(self) -> None:
        """The run ends: what its day has come to, if nobody was told."""
        last = self._last_bar()
        if self._began is None or last is None or self._told == last.date() or last <= self._began:
            return
        now = self.evening(self._broker.portfolio)
        if now is not None:
            self._sum_up(last.date(), now)


class Heard(bt.Analyzer):
    """Hands a strategy's orders and trades on.

    Params:
      - ``alerting``: an :class:`Alerting`.
    """

    params = (("alerting", None),)

    def notify_order(self, order: Any) -> None:
        self.p.alerting.order(order)

    def notify_trade(self, trade: Any) -> None:
        self.p.alerting.trade(trade)
