"""How a run stands with Kite: is there a session, do prices come? While either is missing, entries pause.

Each cause pauses and unpauses the gate by itself; exits, cancels and what rests at Kite are left alone. Told once,
to the strategy (``notify_store``), to the log, and to a person (the broker's ``on_alert``). Cerebro's thread.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from . import almanac
from .clock import ExchangeClock, SystemClock
from .connection import Connection
from .errors import FeedSilent, SessionExpired
from .feeding import Feeding
from .kite.desk import Place
from .kite.inbox import Answer, Link, LinkChange, Refused
from .linetime import to_seconds
from .log import get_logger
from .market.calendar import calendar
from .renewal import Renewal
from .silence import Silence
from .values import OrderType

log = get_logger(__name__)
STALE = timedelta(seconds=60)
"""After so long without a session, an entry at market is not sent any more: its price is another by now."""
STOPPING = "Stopping"
CALENDAR = "Calendar"
_LISTEN = timedelta(seconds=1)
_QUOTES = 500  # in one question


class Standing(Connection):
    """The session and the feed of one run."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.notifs: deque[Any] = deque()
        self.broker: Any = None
        self.stream: Any = None
        self.desk: Any = None
        self.renewal: Any = None
        self.silence: Any = None
        self._feeds: list[Feeding] = []
        self._reader: Any = None
        self._expired: SessionExpired | None = None
        self._listened = datetime.min
        self._page: tuple[date, frozenset[str]] = (date.min, frozenset())
        self._silent = ""
        self._stale: frozenset[int] = frozenset()
        self._causes: dict[str, tuple[str, str]] = {}
        self._probation: tuple[str, datetime] | None = None

    def _stand(self, client: Any, reader: Any) -> None:
        """A run begins, with a session and a feed."""
        for cause in set(self._causes) - {self._probation[0] if self._probation else "", STOPPING}:
            del self._causes[cause]
        self._expired, self._silent, self._stale, self._listened = None, "", frozenset(), datetime.min
        self._page = (date.min, frozenset())
        self._reader = reader
        self.silence = Silence(self.config.data.silence)
        self.renewal = Renewal(
            client,
            self.tokens,
            reader.ask,
            minutes=self.config.run.renew_within,
            exchanges=lambda: {feeding.instrument.exchange for feeding in self._feeds},
            lockstep=self.clock.complete,
            now=self.clock.now(),
        )

    def _take_own(self, answer: Answer) -> None:
        """The answer to a question of ours."""
        if isinstance(answer.subject, Silence):
            rows = None if answer.error is not None else answer.value
            answer.subject.answered(rows, self.clock.now())
            self._show_exits(rows or {}, answer.subject.asked)
        elif self.renewal.take_answer(answer, self.clock.now()):
            self._session_is_back()

    def on_probation(self, cause: str, reason: str, until: datetime) -> None:
        """Entries pause until the machine's clock shows ``until``."""
        self._probation = cause, until
        self._pause(cause, reason)
        self._alert("error", f"entries pause: {reason}", cause)

    def _end_probation(self) -> None:
        if self._probation is not None and SystemClock().now() >= self._probation[1]:
            self._unpause(self._probation[0])
            self._probation = None

    # -- the session ----------------------------------------------------------------------------------

    def _refused(self, event: Refused) -> None:
        if self.renewal.refused(event.reason, self.clock.now()):
            self._session_is_lost()
        elif self.renewal.lost is None and self.desk is not None:  # it was believed again before it was missed
            self.desk.wake()

    def _renew(self, now: datetime) -> None:
        self._end_probation()
        self._turn_page(now.date())
        warning = self.renewal.on_time(now)
        if warning:
            self._alert("warning", f"the session ends soon: {warning}", "session ends")
        if self.renewal.over(now) and self._expired is None:
            self._expired = SessionExpired(
                f"{self.renewal.reason} Nobody had logged in by {now:%d %b %H:%M:%S}: the run ends, and what is open "
                "at Kite stays open. Run `btkite login`, then start again"
            )
            self.put_notification("session over", str(self._expired))
            self._alert("critical", f"the run ends without a session: {self._expired}", "session over")

    def _turn_page(self, day: date) -> None:
        """Once a day, if orders may leave: does the calendar still know the holidays of what is traded?"""
        page = day, frozenset(feeding.instrument.exchange for feeding in self._feeds)
        if page == self._page or not page[1] or not self.mode.arm:
            return
        self._page = page
        unknown = almanac.beyond(*page)
        if unknown and self.config.calendar.unverified == "refuse":
            self._pause(CALENDAR, f"{unknown}: {almanac.HOW}, and start again")
            self._alert("error", f"entries pause: {unknown}: {almanac.HOW}, and start again", CALENDAR)
        elif unknown:
            self._alert("warning", f"{day} is taken for a session: {unknown}; {almanac.HOW}", f"{CALENDAR} {day}")
        elif warning := almanac.soon_over(*page):
            self._alert("warning", warning, f"{CALENDAR} {day}")

    def _session_is_lost(self) -> None:
        """What was to be sent waits at the desk; exits go first when there is a session again."""
        renewal = self.renewal
        text = f"{renewal.reason} Entries pause; a new token is waited for until {renewal.deadline:%d %b %H:%M:%S}"
        self._pause(SessionExpired.__name__, "the session is over: btkite login")
        self.put_notification("session lost", text)
        self._alert("error", f"the session is over: {text}", "session lost")

    def _session_is_back(self) -> None:
        self._drop_stale(self.renewal.missed)
        self._unpause(SessionExpired.__name__)
        if self.desk is not None:
            self.desk.wake()
        if not self.stream.connected:
            self.stream.renew()
        elif hasattr(self.broker, "take_link"):  # Kite looks at the token only when connecting: nothing was cut
            self.broker.take_link(LinkChange(Link.CONNECTED, "there is a session again"))
        self.put_notification("session renewed")
        self._alert("warning", "there is a session again: entries go on", "session renewed")

    def _drop_stale(self, missed: timedelta) -> None:
        """Entries at market that have waited for too long end here; what has a price of its own is sent."""
        for request in self.desk.waiting() if self.desk is not None and missed >= STALE else ():
            if not isinstance(request, Place) or request.proposal.reduces:
                continue
            order = self.broker.orders.get(request.ref)
            if request.proposal.order_type is OrderType.MARKET and order is not None:
                order.addinfo(reason=f"there was no session for {missed.total_seconds():.0f} s: the price is another")
                self.broker.cancel(order)

    # -- the feed -------------------------------------------------------------------------------------

    def _listen(self, now: datetime) -> None:
        """Once a second: do prices come? In lock step the market waits for us, and silence means nothing."""
        if self.clock.complete or now - self._listened < _LISTEN:
            return
        self._listened = now
        speed = self.clock.speed if isinstance(self.clock, ExchangeClock) else 1.0
        tokens = self.silence.judge(now, self._opened(now), self.stream.heard, speed)
        if tokens and not self.renewal.lost:
            keys = {feeding.token: feeding.key for feeding in self._feeds}
            wanted = {keys[token]: token for token in tokens[:_QUOTES]}
            self._reader.ask("quotes", self.silence, lambda: _by_token(self.client.quote(*wanted), wanted))
        elif tokens:
            self.silence.answered({}, now)
        if bool(self.silence.reason) != bool(self._silent):
            self._silent = self.silence.reason
            if self._silent:
                self._feed_is_silent(self._silent)
            else:
                self._feed_flows()
        stale = frozenset(self.silence.stale)
        if stale != self._stale:
            self._tell_stale(stale)
        if (exits := getattr(self.broker, "exits", None)) is not None:
            quiet = {feeding.key for feeding in self._feeds if feeding.token in stale}
            ask = not self.renewal.lost
            exits.look(to_seconds(now), silent=bool(self._silent), stale=quiet, speed=speed, ask=ask)

    def _show_exits(self, rows: Mapping[int, Mapping[str, Any]], asked: datetime) -> None:
        """What was asked of Kite's quotes is a price like a tick's."""
        if (exits := getattr(self.broker, "exits", None)) is not None:
            told = [(feeding.key, rows[feeding.token]) for feeding in self._feeds if feeding.token in rows]
            quotes = {key: float(row.get("last_price") or 0.0) for key, row in told}
            exits.take_quotes(quotes, to_seconds(asked))

    def _opened(self, now: datetime) -> dict[int, datetime]:
        """The instruments whose exchange is open, by token, and since when."""
        known, opened = calendar(), {}
        for feeding in self._feeds:
            session = known.session_at(feeding.instrument.exchange, now)
            if session is not None and session.is_open(now):
                opened[feeding.token] = max(start for start, _ in session.parts if start <= now)
        return opened

    def _feed_is_silent(self, reason: str) -> None:
        self._pause(FeedSilent.__name__, reason)
        self.put_notification("feed silent", reason)
        for feeding in self._feeds:
            feeding.data.put_notification(feeding.data.DELAYED, reason)
        self._alert("error", f"the feed is silent: {reason}; entries pause until prices come again", "feed silent")
        if self.stream.connected:
            self.stream.reconnect("silent in market hours")

    def _feed_flows(self) -> None:
        self._unpause(FeedSilent.__name__)
        self.put_notification("feed flows")
        for feeding in self._feeds:
            if feeding.state == "flowing":
                feeding.data.put_notification(feeding.data.LIVE)
        self._alert("warning", "the feed flows again: entries go on", "feed flows")

    def _tell_stale(self, stale: frozenset[int]) -> None:
        for feeding in self._feeds:
            cause = f"{FeedSilent.__name__} {feeding.key}"
            if feeding.token in stale - self._stale:
                reason = f"{feeding.key}: {self.silence.stale[feeding.token]}, and Kite has newer prices"
                self._pause(cause, reason, feeding.key)
                self.put_notification("feed silent", reason)
                self._alert("warning", f"{feeding.key} is silent: {reason}", cause)
            elif feeding.token in self._stale - stale:
                self._unpause(cause)
        self._stale = stale

    # -- what follows ---------------------------------------------------------------------------------

    def _pause(self, cause: str, reason: str, key: str = "") -> None:
        self._causes[cause] = reason, key
        self._pause_again()
        log.warning("entries pause", cause=cause, reason=reason)

    def _pause_again(self) -> None:
        """A broker that starts has a new gate."""
        gate = getattr(self.broker, "gate", None)
        if gate is not None:
            for cause, (reason, key) in self._causes.items():
                gate.pause(cause, reason, key)

    def _unpause(self, cause: str) -> None:
        self._causes.pop(cause, None)
        gate = getattr(self.broker, "gate", None)
        if gate is not None:
            gate.unpause(cause)
        log.info("entries go on", cause=cause)

    def _alert(self, level: str, sentence: str, key: str) -> None:
        """A person should know; the strategy was told by :meth:`put_notification`."""
        log.warning(sentence)
        tell = getattr(self.broker, "on_alert", None)
        if tell is not None:
            tell(level, sentence, key)

    def put_notification(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.notifs.append((msg, args, kwargs))


def _by_token(rows: dict[str, Any], wanted: dict[str, int]) -> dict[int, Any]:
    return {token: rows[key] for key, token in wanted.items() if key in rows}
