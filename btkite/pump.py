"""The pump: a live run's turn of the wheel, on Cerebro's thread.

Kite's threads leave what they hear in the inbox. Here it is taken out, ticks go to bar builders and order events
to the broker, and, if there is nothing to do, one wait serves all feeds: no feed ever waits on its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from . import timing
from .clock import ExchangeClock
from .feeding import Asked, Feeding, RollAsked
from .kite.inbox import Answer, DeskReply, Inbox, Link, LinkChange, Refused, Ticks
from .linetime import from_seconds, to_seconds
from .log import get_logger
from .renewal import Renewal
from .silence import Silence
from .standing import STOPPING
from .ticking import Ticking
from .values import OrderUpdate

log = get_logger(__name__)
_IDLE = timedelta(seconds=0.5)
_TURN = 0.05  # real seconds in which a wait of lock step looks up
_MOMENT, _MOMENT_IN_HASTE = 3.0, 0.8
"""Real seconds in which the last changes are waited for when a run ends, and when the process has no time."""


class Pump(Ticking):
    """A connection that is being run: its stream, its threads, its feeds and their broker."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.inbox = Inbox()
        self.reader: Any = None
        self.postbacks: Any = None
        self.rolling: list[Any] = []  # continuous futures of the run
        self._running = False
        self.looks: list[Callable[[], None]] = []  # called at every turn, on Cerebro's thread
        self.ticked: datetime | None = None  # market time of the last tick that was taken
        self.turns = 0  # of the pump, for who watches from another thread whether Cerebro's goes on
        self._asked_desk = False
        self._hurried = False
        self._released: datetime | None = None  # up to which bars were closed

    # -- a run ---------------------------------------------------------------------------------------

    def _open(self) -> None:
        from .kite.reader import Reader
        from .kite.stream import KiteStream

        client = self.client
        self.inbox, self._released = Inbox(), None
        self._forget_feeds()
        self.reader = Reader(self.inbox)
        kite = self.config.broker.kite_connect
        self.stream = KiteStream(
            self.endpoint,
            client.api_key,
            client.token_for_stream,
            self.inbox,
            self.clock,
            on_refused=client.refuse,
            user_id=kite.user_id,
            ipv4=self.config.network.ipv4_only,
            proxy=self.config.network.proxy.get_secret_value(),
        )
        client.guard(lambda reason: self.inbox.put(Refused(reason)))
        self._stand(client, self.reader)
        if isinstance(self.clock, ExchangeClock):
            self.clock.idle = self._idle
            self.clock.frames_read = lambda: self.stream.frames_read
        self.postbacks = self._hear_postbacks()
        self.stream.start()
        self._running = True

    def _hear_postbacks(self) -> Any:
        """The listener for Kite's posts, if orders go there and a port is said; closed again with the run."""
        kite = self.config.broker.kite_connect
        if kite.postback_port is None or self.mode.fills != "kite":
            return None
        from .kite.postbacks import Postbacks

        secret = kite.api_secret.get_secret_value()
        return Postbacks(kite.postback_host, kite.postback_port, secret, self.inbox, user_id=kite.user_id)

    def _attach(self, data: Any) -> None:
        if data.instrument is None:
            self._slots.append(data)
            return
        feeding = Feeding(self, data)
        self._feeds.append(feeding)
        self._enter(feeding)
        if self.broker is not None and hasattr(self.broker, "data_started"):
            self.broker.data_started(data)
        self._pause_again()
        self.stream.subscribe({feeding.token: "full"})
        feeding.begin()

    def rebind(self, data: Any) -> None:
        """A slot has another instrument than before; of the one before only ticks are still heard."""
        leaving = [feeding for feeding in self._feeds if feeding.data is data]
        for feeding in leaving:
            feeding.only_ticks()
        self._left += leaving
        self._feeds = [feeding for feeding in self._feeds if feeding.data is not data]
        self._slots = [slot for slot in self._slots if slot is not data]
        self._attach(data)
        self._let_go()

    def _let_go(self) -> None:
        """Nobody listens any more to what slots have left and nothing of ours is in."""
        has = getattr(self.broker, "is_in", None)
        gone = [feeding for feeding in self._left if has is not None and not has(feeding.key)]
        self._left = [feeding for feeding in self._left if feeding not in gone]
        for feeding in gone:
            self._leave(feeding)
            if not self._by_token[feeding.token]:
                self.stream.unsubscribe([feeding.token])

    def watch(self, data: Any, instrument: Any) -> None:
        """An instrument that a slot had in the run before, and something of ours is left in: its ticks are heard."""
        if any(feeding.data is data and feeding.key == instrument.key for feeding in self._left):
            return
        feeding = Feeding(self, data, instrument)
        feeding.only_ticks()
        self._left.append(feeding)
        self._enter(feeding)
        self.stream.subscribe({feeding.token: "full"})

    def stop(self) -> None:
        """End the threads; may be called again."""
        if not self._running:
            return
        self._running = False
        if self.desk is not None:
            if self._hurried:
                self.desk.stop(1.5, patience=0.5, entries=False)
            else:
                self.desk.stop()
            self.desk = None
        self.stream.stop()
        if self.postbacks is not None:
            self.postbacks.stop()
        self.reader.stop()
        self.client.guard(None)

    def hurry(self, why: str) -> None:
        """The process is to end at once: no more entries, and nothing that hangs is waited for. Cerebro's thread."""
        self._hurried = True
        self._pause(STOPPING, f"the run is ending ({why})")

    def finish(self) -> None:
        """No more bars: feeds end, and with them the run."""
        for data in (*self._slots, *(feeding.data for feeding in self._feeds)):
            data.finish()

    # -- the pump (Cerebro's thread) --------------------------------------------------------------------

    def get_notifications(self) -> list[Any]:
        if self._running:
            self.pump()
        for data in self.rolling:
            data.turn()
        notifications = list(self.notifs)
        self.notifs.clear()
        return notifications

    def pump(self) -> None:
        """Take what has come; if there is nothing to do, wait until there is."""
        self.turns += 1
        for look in self.looks:
            look()
        if self._expired is not None:
            raise self._expired
        if self._working():
            return
        events = self._events()
        if self.clock.complete and not events and self._idle():
            self._release(self._now())  # no bar that is whole waits for the market's next move
        if not events and not self._ready() and not self._begins():
            if self.clock.done and self._idle() and not self._catching_up(self._now()):
                self._release(self._now(), final=True)
                if not self._ready():
                    self.finish()
                return
            self.clock.wait(self.inbox.bell, self._until())
            events = self._events()
        orders_moved = False
        for event in events:
            orders_moved = self._dispatch(event) or orders_moved
        self._join()
        now = self._now()
        for feeding in self._feeds:
            if feeding.due is not None and feeding.due <= now:
                feeding.on_time(min(now, self.clock.heard()))  # history has no more than the market has reached
        for data in self.rolling:
            data.on_time(now)
        if not any(feeding.waited_for for feeding in self._feeds):
            for feeding in self._feeds:  # together, so that bars are aligned
                feeding.deliver_history()
        self._renew(now)
        self._listen(now)
        if self.broker is not None and hasattr(self.broker, "on_time"):
            self.broker.on_time(to_seconds(now))
        # Order events reach the strategy before the bar that ended at the same moment.
        if not orders_moved and not (self.clock.complete and (len(self.inbox) or not self._idle())):
            self._release(now)

    def _working(self) -> bool:
        """Lock step goes by turns: what the last turn asked for is done before anything of it is heard, or what a
        strategy meets would depend on how quick our threads are."""
        if not self.clock.complete:
            return False
        if self.desk is not None and not (self.reader is not None and self.reader.busy):  # first what was asked
            self._asked_desk = self.desk.send_off() or self._asked_desk
        if not self._occupied:
            return False
        if self.desk is not None and self.renewal.lost is None:
            self.desk.wake()  # it may wait for a session that was not even missed; else what is stale goes first
        self.inbox.bell.wait(_TURN)
        return True

    @property
    def _occupied(self) -> bool:
        return (self.desk is not None and self.desk.busy) or (self.reader is not None and self.reader.busy)

    def hear_out(self) -> None:
        """What has come by now, without waiting and without another bar: the run is being stopped."""
        if self._running:
            for event in self._events():
                self._dispatch(event)

    def hear_desk(self, waits: Callable[[], bool]) -> None:
        """Before the end: what the desk sends is waited for while ``waits``, for a moment of real time at most."""
        end = time.monotonic() + (_MOMENT_IN_HASTE if self._hurried else _MOMENT)
        while self._running and waits() and time.monotonic() < end:
            if self.desk is not None:
                self.desk.send_off()
            self.inbox.bell.wait(_TURN)
            self.hear_out()

    def timers_due(self) -> datetime | None:
        """The moment up to which timers are due, bar or no bar; None in lock step, where bars tell the time, outside
        the sessions of all feeds, and while bars wait to be seen."""
        if not self._running or self.clock.complete or not self._feeds or self._ready():
            return None
        if not any(feeding.state == "flowing" for feeding in self._feeds):
            moment = self._now()
        elif self._released is not None:
            moment = self._released
        else:
            return None  # it has just begun to flow
        moment -= timedelta(seconds=self.config.data.grace)  # a bar of that end comes first
        return timing.due(moment, {feeding.instrument.exchange for feeding in self._feeds})

    def _join(self) -> None:
        """Feeds that wait for their subscription join when the stream has it; all at one moment."""
        if self._may_join():
            now = self.clock.settle(self.inbox.bell)  # surely not before the subscription, and not ahead of history
            for feeding in self._feeds:
                if feeding.state == "joining":
                    feeding.join(now)

    def _begins(self) -> bool:
        """Whether the broker's first turn comes next, in which it asks what the account holds."""
        return self.stream.connected and not getattr(self.broker, "begun", True)

    def _may_join(self) -> bool:
        joining = getattr(self.broker, "in_step", True) and any(feeding.state == "joining" for feeding in self._feeds)
        return bool(joining and self.stream.connected and not self.stream.busy)

    def _events(self) -> list[Any]:
        if self._asked_desk and not (self.desk is not None and self.desk.busy):
            # What our own orders made the exchange say is to be read before a bar is (lock step only), whatever
            # else has come in the meantime.
            self._asked_desk = False
            self.clock.settle(self.inbox.bell)
        return self.inbox.take()

    def _dispatch(self, event: Any) -> bool:
        if isinstance(event, Ticks):
            self.ticked = now = self._now()
            self.take_ticks(event.ticks, now)
            return False
        if isinstance(event, OrderUpdate):
            self.broker.take_update(event)
        elif isinstance(event, DeskReply):
            self._asked_desk = True
            self.broker.take_reply(event)
        elif isinstance(event, LinkChange):
            self._link(event)
            return False
        elif isinstance(event, Refused):
            self._refused(event)
            return False
        elif isinstance(event, Answer):
            if isinstance(event.subject, Renewal | Silence):
                self._take_own(event)
            elif isinstance(event.subject, RollAsked):
                event.subject.data.take_roll(event.subject, event)
            elif isinstance(event.subject, Asked):
                event.subject.feeding.take_answer(event.subject, event)
            else:
                self.broker.take_answer(event)
            return False
        return True

    def _link(self, change: LinkChange) -> None:
        self.put_notification(f"stream {change.link}", change.reason)
        log.info("stream", link=str(change.link), reason=change.reason)
        self.silence.link(change.link is Link.CONNECTED, change.reason, self._now())
        for feeding in self._feeds:
            feeding.take_link(change)
        if self.broker is not None and hasattr(self.broker, "take_link"):
            self.broker.take_link(change)

    # -- bars -----------------------------------------------------------------------------------------

    def _release(self, now: datetime, *, final: bool = False) -> None:
        """Closed bars to their feeds: all bars of one end together, so that ``next()`` sees them aligned."""
        self._released = heard = now if final else self.clock.heard()
        grace, complete = self.config.data.grace, self.clock.complete or final
        for feeding in self._closing(heard, grace, complete=complete):
            feeding.close(heard, grace, complete=complete)
        for feeding in self._left:
            for bar in feeding.pending:
                feeding.data.left_bar(feeding.key, bar)
            feeding.pending.clear()
        while True:
            ends = [feeding.pending[0].end for feeding in self._feeds if feeding.pending]
            if not ends:
                break
            end = min(ends)
            if not final and any(feeding.forming_until(end) for feeding in self._feeds):
                break
            for feeding in self._feeds:
                feeding.release(end)
        self._count_sessions(now)

    def _count_sessions(self, now: datetime) -> None:
        over = self._over()
        if over is not None and now >= over and not self._ready() and not self._catching_up(now):
            self.finish()

    def _catching_up(self, now: datetime) -> bool:
        """Whether bars that an outage took are still to come from history."""
        missing = [feeding for feeding in self._feeds if feeding.catch_up(now)]
        return bool(missing)

    def _over(self) -> datetime | None:
        """When the last session of the run has closed, and the last bars; None if nobody said how many."""
        ends = [feeding.over for feeding in self._feeds if feeding.over is not None]
        if not ends or len(ends) < len(self._feeds):
            return None
        return max(ends) + timedelta(seconds=self.config.data.grace)

    def _ready(self) -> bool:
        return any(feeding.data.haslivedata() for feeding in self._feeds) or bool(
            self.broker is not None and getattr(self.broker, "has_news", False)
        )

    def _now(self) -> datetime:
        return self.clock.now()

    def _idle(self) -> bool:
        """Nothing is under way on our side."""
        return not (
            self._occupied or (self.stream is not None and self.stream.busy) or self._may_join() or len(self.inbox)
        )

    def _until(self) -> datetime:
        """When something is due although nothing comes."""
        now = self._now()
        due = [feeding.due for feeding in self._feeds] + [self._over()]
        due += [feeding.early_end for feeding in self._feeds] + [data.roll_due for data in self.rolling]
        due += [self.stream.due, self.desk.due if self.desk else None, self.renewal.due]
        if self.broker is not None and hasattr(self.broker, "next_due"):
            second = self.broker.next_due()
            due.append(None if second is None else from_seconds(second))
        if not self.clock.complete:
            due.append(now + _IDLE)
        moments = [moment for moment in due if moment is not None and moment > now]
        return min(moments, default=now + timedelta(days=3650))
