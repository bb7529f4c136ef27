"""Whether prices still come: the judge of the feed's silence. No I/O; Cerebro's thread.

Three things can be wrong, in market hours: the link is down; it stands, and no frame comes, not even a
heartbeat; frames come, and no news of any instrument. The last one alone says nothing: the market may be halted,
in the freeze before the closing auction, or asleep. Then Kite is asked for its quotes, and only if they are newer
than our last ticks is the feed silent. One instrument that is quiet while others trade is asked for much later,
and pauses nobody but itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from .values import Tick

BROKEN = 3.0
"""Seconds for which a link may be down before entries pause: a reconnect takes one."""
ALONE = 10
"""One instrument that is quiet among others is asked for after so many times the limit."""
HEARTBEATS = 3.0
"""Real seconds: however fast the market's clock, its heartbeat comes once in a real second."""
NEVER = datetime.min


@dataclass(slots=True)
class Seen:
    """The last news of one instrument, and when it was heard."""

    at: datetime
    price: float
    volume: int
    exchange_time: int


class Silence:
    """Says in :attr:`reason` why the feed as a whole is not to be trusted (empty if it is), and in :attr:`stale` the
    same of single instruments, by token. ``limit`` is in seconds of market time."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.reason = ""
        self.stale: dict[int, str] = {}
        self._mute_since: datetime | None = None  # ticks are missing, and only a tick or Kite's word can end that
        self._news = NEVER
        self._seen: dict[int, Seen] = {}
        self._down: tuple[datetime, str] | None = None
        self._stands: datetime | None = None
        self._asked: tuple[datetime, tuple[int, ...]] | None = None
        self._waits = False
        self._watched = 0
        self._newer: tuple[datetime, frozenset[int]] | None = None

    # -- what happened --------------------------------------------------------------------------------

    def link(self, up: bool, reason: str, now: datetime) -> None:
        """The stream stands, or does not."""
        if up:
            self._down, self._stands = None, now
        elif self._stands is not None and self._down is None:
            self._down = now, reason

    def ticked(self, ticks: Iterable[Tick], now: datetime) -> None:
        """A frame of ticks was read. A tick whose time stands still is no news."""
        for tick in ticks:
            before = self._seen.get(tick.instrument_token)
            stamp = tick.exchange_time
            if before is not None and stamp and stamp <= before.exchange_time:
                if stamp == before.exchange_time:
                    before.price, before.volume = tick.last_price, tick.volume
                continue
            self._news = now
            self._seen[tick.instrument_token] = Seen(now, tick.last_price, tick.volume, stamp)

    def answered(self, rows: Mapping[int, Mapping[str, Any]] | None, now: datetime) -> None:
        """Kite's quotes of what was asked for; None if there was no answer, which counts as newer."""
        self._waits = False
        if self._asked is None:
            return
        asked, tokens = self._asked
        newer = frozenset(token for token in tokens if rows is None or self._is_newer(token, rows.get(token), asked))
        self._newer = (now, newer) if newer else None
        if not newer and self._mute_since is not None and len(tokens) == self._watched:
            self._clear()  # nobody has traded what we have not seen: the market rests

    def _is_newer(self, token: int, row: Mapping[str, Any] | None, asked: datetime) -> bool:
        seen = self._seen.get(token)
        if row is None or seen is None or seen.at > asked:
            return False
        return float(row.get("last_price") or 0.0) != seen.price or int(row.get("volume") or 0) > seen.volume

    @property
    def asked(self) -> datetime:
        """When quotes were asked for last."""
        return NEVER if self._asked is None else self._asked[0]

    # -- the judgement --------------------------------------------------------------------------------

    def judge(
        self, now: datetime, opened: Mapping[int, datetime], heard: datetime, speed: float = 1.0
    ) -> tuple[int, ...]:
        """Look at it all again. ``opened``: the tokens whose market is open, and since when; ``heard``: when the
        last frame of any kind came; ``speed``: market seconds a real second. What to ask Kite's quotes of."""
        if not opened or self._stands is None:
            self._clear()
            self.stale, self._newer = {}, None
            return ()
        self._watched = len(opened)
        first, moment = min(opened.values()), timedelta(seconds=max(1.0, 0.25 * speed))
        if self._down is not None:
            since, why = self._down
            if not self.reason and now - max(since, first) > max(timedelta(seconds=BROKEN), moment):
                self.reason = f"the stream is down ({why})" if why else "the stream is down"
            return ()
        if self._mute_since is None or self._news > self._mute_since:
            self._clear()
        mute = now - max(heard, self._stands, first)
        if mute > timedelta(seconds=max(self.limit, HEARTBEATS * speed)) + moment:
            self._mute(now, f"the stream stands, and nothing has come on it for {mute.total_seconds():.0f} s")
            return ()
        return self._judge_ticks(now, opened, max(self.limit, speed), moment)

    def _judge_ticks(
        self, now: datetime, opened: Mapping[int, datetime], limit: float, moment: timedelta
    ) -> tuple[int, ...]:
        assert self._stands is not None
        quiet = {token: now - max(since, self._stands, self._heard_of(token)) for token, since in opened.items()}
        length = timedelta(seconds=limit)
        together = all(one > length for one in quiet.values())
        alone = [token for token, one in quiet.items() if one > ALONE * length]
        self.stale = {token: why for token, why in self.stale.items() if token in alone}
        silent = tuple(quiet) if together else tuple(alone)
        if self._newer is not None and now - self._newer[0] >= moment:
            behind = self._newer[1].intersection(silent)
            if together and behind:
                longest = max(quiet.values()).total_seconds()
                self._mute(now, f"no tick has come for {longest:.0f} s, and Kite has newer prices")
            else:
                self.stale |= {token: f"no tick for {quiet[token].total_seconds():.0f} s" for token in behind}
            self._newer = None
        if not silent or self._waits or (self._asked is not None and now - self._asked[0] < length):
            return ()
        self._asked, self._waits = (now, silent), True
        return silent

    def _mute(self, now: datetime, reason: str) -> None:
        if self._mute_since is None:
            self.reason, self._mute_since = reason, now

    def _clear(self) -> None:
        self.reason, self._mute_since = "", None

    def _heard_of(self, token: int) -> datetime:
        seen = self._seen.get(token)
        return seen.at if seen is not None else NEVER
