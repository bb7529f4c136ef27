"""KiteStore: one account's connection. It owns client, stream, desk and inbox, and waits for all feeds.

Cerebro asks the store for notifications at the top of each turn, before any feed: there the store takes
everything that Kite's threads have left in the inbox, hands ticks to bar builders and order events to the
broker, and, if there is nothing to do, waits once for all. No feed ever waits on its own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import backtrader as bt

from . import sources
from .candles import CandleCache
from .clock import Clock, ExchangeClock, SystemClock
from .config import Config, load
from .errors import ConfigError, DataError, SessionExpired, UnknownSymbol
from .feeding import Asked, Feeding
from .kite import endpoints, history, instruments
from .kite.inbox import Answer, DeskReply, Inbox, Link, LinkChange, Ticks
from .linetime import to_seconds
from .log import get_logger
from .modes import Mode, mode
from .series import Candles, lookback
from .values import Instrument, OrderUpdate

log = get_logger(__name__)
_IDLE = timedelta(seconds=0.5)


class _ManyStores(bt.store.MetaSingleton):
    """backtrader allows one store per class and process; accounts are many."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return super(bt.store.MetaSingleton, cls).__call__(*args, **kwargs)


class KiteStore(bt.Store, metaclass=_ManyStores):
    """A connection to Kite, or to candles only.

    ``store.getdata("NSE:INFY", interval="5minute")`` and ``store.getbroker()`` give what a Cerebro needs in
    this mode; ``store.quote(...)`` and its kin serve research scripts without any Cerebro.

    Params:
      - ``mode`` (``"backtest"``): a name or a row of :data:`btkite.modes.MODES`.
      - ``config`` (``None``): a :class:`~btkite.config.Config`; ``None`` reads config.yaml and environment.
      - ``confirm`` (``None``): the account's user id, said aloud; without it a live store sends no order.
      - ``clock`` (``None``): market time; ``None`` is the machine's, or the exchange's own on a simulator.
      - ``cache`` (``None``): a folder or :class:`~btkite.candles.CandleCache` instead of ``data.cache``.
    """

    params = (("mode", "backtest"), ("config", None), ("confirm", None), ("clock", None), ("cache", None))

    def __init__(self) -> None:
        super().__init__()
        self.config: Config = self.p.config if self.p.config is not None else load()
        self.mode: Mode = mode(self.p.mode)
        cache = self.p.cache if self.p.cache is not None else self.config.data.cache
        self.cache = cache if isinstance(cache, CandleCache) else CandleCache(Path(str(cache)).expanduser())
        self.endpoint = endpoints.resolve(self.config.broker.kite_connect.endpoint)
        self.notifs: deque[Any] = deque()
        self.broker: Any = None
        self.inbox = Inbox()
        self._client: Any = None
        self._clock: Clock | None = self.p.clock
        self._master: instruments.InstrumentMaster | None = None
        self._kites: instruments.InstrumentMaster | None = None
        self._feeds: list[Feeding] = []
        self._by_token: dict[int, list[Feeding]] = {}
        self.stream: Any = None
        self.reader: Any = None
        self.desk: Any = None
        self._running = False
        self._asked_desk = False
        self._expired: SessionExpired | None = None

    def __getstate__(self) -> dict[str, Any]:
        """For ``optstrategy`` in several processes: what was read, without connections."""
        state = vars(self).copy()
        for name in ("_client", "stream", "reader", "desk", "inbox", "_clock", "broker"):
            state[name] = None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.inbox = Inbox()

    # -- facts --------------------------------------------------------------------------------------

    @property
    def streams(self) -> bool:
        """Whether bars come from the market as it happens."""
        return self.mode.bars == "stream"

    @property
    def armed(self) -> bool:
        """Whether real orders may leave: the mode allows it and the account was named."""
        user = self.config.broker.kite_connect.user_id
        return self.mode.arm and bool(self.p.confirm) and self.p.confirm == user

    @property
    def warmup(self) -> int:
        return int(self.config.data.warmup)

    @property
    def clock(self) -> Clock:
        """Market time: given, or the simulated exchange's own, or the machine's."""
        if self._clock is None:
            simulated = self.endpoint.rest_root.startswith("http://")
            self._clock = ExchangeClock(self.endpoint.rest_root) if simulated else SystemClock()
        return self._clock

    @property
    def client(self) -> Any:
        """The one door to Kite's REST interface, opened when first used."""
        if self._client is None:
            from .kite.client import KiteClient

            kite = self.config.broker.kite_connect
            self._client = KiteClient(
                self.endpoint,
                kite.api_key,
                self._token(),
                user_id=kite.user_id,
                armed=self.armed,
                clock=self.clock,
                timeout=kite.timeout,
                debug=kite.debug,
                ipv4=kite.ip_family == "ipv4",
            )
        return self._client

    def _token(self) -> str:
        kite = self.config.broker.kite_connect
        given = kite.access_token.get_secret_value()
        if given:
            return str(given)
        if not kite.api_key:
            raise ConfigError(
                "no api_key: set KITE_API_KEY (or broker.kite_connect.api_key), or use --endpoint simulator"
            )
        from .kite.session import TokenStore

        stored = TokenStore(Path(self.config.paths.state), kite.api_key, self.endpoint.name).load(SystemClock().now())
        if stored is None:
            raise SessionExpired("there is no access token of today: run `btkite login`")
        return str(stored.access_token.reveal())

    # -- what Cerebro needs -------------------------------------------------------------------------

    def getdata(self, dataname: str, **kwargs: Any) -> Any:
        """A :class:`~btkite.feed.KiteData` of ``EXCHANGE:TRADINGSYMBOL``; keyword arguments are its params."""
        from .feed import KiteData

        return KiteData(dataname=dataname, store=self, **kwargs)  # type: ignore[call-arg]  # its params

    def getbroker(self, **kwargs: Any) -> Any:
        """The broker of this mode: simulated, or Kite's."""
        if self.mode.fills == "kite":
            from .brokers.kite import KiteBroker

            self.broker = KiteBroker(store=self, config=self.config, **kwargs)
        else:
            from .brokers.sim import SimBroker

            self.broker = SimBroker(config=self.config, **kwargs)
        return self.broker

    # -- instruments and candles --------------------------------------------------------------------

    def instrument(self, text: str) -> Instrument:
        """The instrument of ``NSE:INFY`` (or ``INFY``, on the default exchange).

        :raises UnknownSymbol: with suggestions.
        """
        key = instruments.parse_key(text, self.config.broker.default_exchange)
        try:
            return self.master.find(key)
        except UnknownSymbol as error:
            if self.streams:
                raise
            raise UnknownSymbol(f"{error}; candles are fetched with `btkite data fetch -s {key}`") from None

    @property
    def master(self) -> instruments.InstrumentMaster:
        """All instruments: Kite's dump of the day, or those of the candle cache where nothing comes from Kite."""
        if self.streams or self.config.data.source == "kite":
            return self._dump
        if self._master is None:
            self._master = instruments.from_candles(self.cache)
        return self._master

    @property
    def _dump(self) -> instruments.InstrumentMaster:
        """Kite's dump of the day, asked for once."""
        if self._kites is None:
            now = self.clock.now()
            if isinstance(self.clock, ExchangeClock):
                # Another exchange may serve there tomorrow, with the same date: nothing to keep.
                self._kites = instruments.InstrumentMaster(self.client.instruments(), instruments.dump_day(now))
            else:
                self._kites = instruments.current(self._dumps, self.client, now)
        return self._kites

    @property
    def _dumps(self) -> Path:
        """Each endpoint has instruments of its own."""
        return Path(self.cache.instruments_folder) / self.endpoint.name.replace(":", "-")

    def candles(self, instrument: Instrument, interval: str, start: Any, end: Any, warmup_bars: int = 0) -> Candles:
        """History from the configured source, never from the network unless that source is ``kite``.

        :raises DataError: if there is none in the range; the message says what there is.
        """
        from_kite = self.config.data.source == "kite"
        found = sources.load(
            self.config.data.source,
            instrument.key,
            interval,
            start,
            end,
            warmup_bars=warmup_bars,
            cache=self.cache,
            instrument=instrument,
            path=self.config.data.path,
            **({"client": self.client, "clock": self.clock} if from_kite else {}),
        )
        if not len(found):
            raise DataError(f"{instrument.key} has no {interval} candles between {start} and {end}")
        return found

    def history(self, symbol: str, interval: str = "day", start: Any = None, end: Any = None) -> Any:
        """Candles as a pandas DataFrame, straight from Kite (cached), for research.

        :raises UnknownSymbol: with suggestions.
        """
        instrument = self._dump.find(instruments.parse_key(symbol, self.config.broker.default_exchange))
        found = sources.load(
            "kite",
            instrument.key,
            interval,
            start,
            end,
            cache=self.cache,
            instrument=instrument,
            client=self.client,
            clock=self.clock,
        )
        return found.frame()

    # -- research ------------------------------------------------------------------------------------

    def quote(self, *symbols: str) -> dict[str, Any]:
        """Kite's full quotes by ``EXCHANGE:TRADINGSYMBOL``; unknown ones are absent. 500 at most."""
        return dict(self.client.quote(*self._keys(symbols)))

    def ohlc(self, *symbols: str) -> dict[str, Any]:
        """Open, high, low, close and last price."""
        return dict(self.client.ohlc(*self._keys(symbols)))

    def ltp(self, *symbols: str) -> dict[str, float]:
        """Last prices in ₹."""
        return {key: float(row["last_price"]) for key, row in self.client.ltp(*self._keys(symbols)).items()}

    def _keys(self, symbols: Any) -> list[str]:
        return [instruments.parse_key(text, self.config.broker.default_exchange) for text in symbols]

    def orders(self) -> Any:
        """The day's order book."""
        return self.client.orders()

    def trades(self) -> Any:
        return self.client.trades()

    def positions(self) -> Any:
        """Net positions."""
        return self.client.positions()

    def holdings(self) -> Any:
        return self.client.holdings()

    def margins(self, segment: str | None = None) -> Any:
        return self.client.margins(segment)

    def profile(self) -> Any:
        return self.client.profile()

    def instruments(self, exchange: str | None = None) -> Any:
        """Kite's dump as a DataFrame."""
        return self.client.instruments(exchange)

    # -- a run ---------------------------------------------------------------------------------------

    def start(self, data: Any = None, broker: Any = None) -> None:
        """Called by Cerebro (nothing given) and by each feed and broker of a run."""
        if data is not None:
            self._attach(data)
        elif broker is not None:
            self.broker = broker
        elif self.streams and not self._running:
            self._open()

    def _open(self) -> None:
        from .kite.reader import Reader
        from .kite.stream import KiteStream

        client = self.client
        self.inbox = Inbox()
        self._feeds, self._by_token = [], {}
        self.reader = Reader(self.inbox)
        kite = self.config.broker.kite_connect
        self.stream = KiteStream(
            self.endpoint,
            kite.api_key,
            lambda: client.access_token,
            self.inbox,
            self.clock,
            user_id=kite.user_id,
            ipv4=kite.ip_family == "ipv4",
        )
        if isinstance(self.clock, ExchangeClock):
            self.clock.idle = self._idle
            self.clock.frames_read = lambda: self.stream.frames_read
        self.stream.start()
        self._running = True

    def open_desk(self, before_send: Callable[[Any], str | None]) -> Any:
        """The order worker. :raises ConfigError: if this store is not armed."""
        if not self.armed:
            raise ConfigError(
                "live orders need the account said aloud: pass confirm=USER_ID "
                f"(--confirm {self.config.broker.kite_connect.user_id or 'USER_ID'}); nothing was sent"
            )
        from .kite.desk import Desk

        self.desk = Desk(self.client, self.inbox, self.clock, before_send)
        return self.desk

    def _attach(self, data: Any) -> None:
        self._env = data._env
        feeding = Feeding(self, data)
        self._feeds.append(feeding)
        self._by_token.setdefault(feeding.token, []).append(feeding)
        if self.broker is not None and hasattr(self.broker, "data_started"):
            self.broker.data_started(data)
        self.stream.subscribe({feeding.token: "full"})
        feeding.begin()

    def detach(self, data: Any) -> None:
        """A feed ends."""
        self._feeds = [feeding for feeding in self._feeds if feeding.data is not data]
        for token, feeds in self._by_token.items():
            self._by_token[token] = [feeding for feeding in feeds if feeding.data is not data]

    def stop(self) -> None:
        """End the threads; may be called again."""
        if not self._running:
            return
        self._running = False
        if self.desk is not None:
            self.desk.stop()
            self.desk = None
        self.stream.stop()
        self.reader.stop()

    def finish(self) -> None:
        """No more bars: feeds end, and with them the run."""
        for feeding in self._feeds:
            feeding.data.finish()

    # -- the pump (Cerebro's thread) --------------------------------------------------------------------

    def get_notifications(self) -> list[Any]:
        if self._running:
            self.pump()
        notifications = list(self.notifs)
        self.notifs.clear()
        return notifications

    def pump(self) -> None:
        """Take what has come; if there is nothing to do, wait until there is."""
        if self._expired is not None:
            raise self._expired
        events = self._events()
        if not events and not self._ready():
            if self.clock.done and self._idle():
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
            feeding.on_time(now)
        if not any(feeding.state in ("joining", "history") for feeding in self._feeds):
            for feeding in self._feeds:  # together, so that bars are aligned
                feeding.deliver_history()
        if self.broker is not None and hasattr(self.broker, "on_time"):
            self.broker.on_time(to_seconds(now))
        # Order events reach the strategy before the bar that ended at the same moment.
        if not orders_moved and not (self.clock.complete and (len(self.inbox) or not self._idle())):
            self._release(now)

    def _join(self) -> None:
        """Feeds that wait for their subscription join when the stream has it; all at one moment."""
        if self._may_join():
            self.clock.settle(self.inbox.bell)  # a moment that is surely not before the subscription
            now = self._now()
            for feeding in self._feeds:
                if feeding.state == "joining":
                    feeding.join(now)

    def _may_join(self) -> bool:
        joining = any(feeding.state == "joining" for feeding in self._feeds)
        return bool(joining and self.stream.connected and not self.stream.busy)

    def _events(self) -> list[Any]:
        events = self.inbox.take()
        if not events and self._asked_desk and self._idle():
            # What our own orders made the exchange say is to be read before time goes on (lock step only).
            self._asked_desk = False
            self.clock.settle(self.inbox.bell)
            events = self.inbox.take()
        return events

    def _dispatch(self, event: Any) -> bool:
        if isinstance(event, Ticks):
            for tick in sorted(event.ticks, key=self._tick_order):
                for feeding in self._by_token.get(tick.instrument_token, ()):
                    feeding.take(tick)
            return False
        if isinstance(getattr(event, "error", None), SessionExpired):
            # The strategy still hears of what came with it; then the run ends.
            self._expired = SessionExpired(
                f"{event.error}: the session ended during the run; what is open at Kite stays open. "
                "Run `btkite login`, then start again"
            )
        if isinstance(event, OrderUpdate):
            self.broker.take_update(event)
        elif isinstance(event, DeskReply):
            self._asked_desk = True
            self.broker.take_reply(event)
        elif isinstance(event, LinkChange):
            self._link(event)
            return False
        elif isinstance(event, Answer):
            if isinstance(event.subject, Asked):
                event.subject.feeding.take_answer(event.subject, event)
            else:
                self.broker.take_answer(event)
            return False
        return True

    def _tick_order(self, tick: Any) -> str:
        feeds = self._by_token.get(tick.instrument_token)
        return feeds[0].key if feeds else ""

    def _link(self, change: LinkChange) -> None:
        self.put_notification(f"stream {change.link}", change.reason)
        log.info("stream", link=str(change.link), reason=change.reason)
        for feeding in self._feeds:
            feeding.take_link(change)
        if change.link is Link.REFUSED:
            log.error("the stream was refused: log in again", reason=change.reason)
        if self.broker is not None and hasattr(self.broker, "take_link"):
            self.broker.take_link(change)

    def _release(self, now: datetime, *, final: bool = False) -> None:
        """Closed bars to their feeds: all bars of one end together, so that ``next()`` sees them aligned."""
        heard = now if final else self.clock.heard()
        for feeding in self._feeds:
            feeding.close(heard, self.config.data.grace, complete=self.clock.complete or final)
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
        if over is not None and now >= over and not self._ready():
            self.finish()

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
            (self.desk is not None and self.desk.busy)
            or (self.reader is not None and self.reader.busy)
            or (self.stream is not None and self.stream.busy)
            or self._may_join()
            or len(self.inbox)
        )

    def _until(self) -> datetime:
        """When something is due although nothing comes."""
        from .linetime import from_seconds

        now = self._now()
        due = [feeding.due for feeding in self._feeds] + [self._over()]
        due += [feeding.early_end for feeding in self._feeds]
        due += [self.stream.due, self.desk.due if self.desk else None]
        if self.broker is not None and hasattr(self.broker, "next_due"):
            second = self.broker.next_due()
            due.append(None if second is None else from_seconds(second))
        if not self.clock.complete:
            due.append(now + _IDLE)
        moments = [moment for moment in due if moment is not None and moment > now]
        return min(moments, default=now + timedelta(days=3650))

    def put_notification(self, msg: Any, *args: Any, **kwargs: Any) -> None:
        self.notifs.append((msg, args, kwargs))

    def live_history(self, instrument: Instrument, interval: str, start: datetime, end: datetime) -> Candles:
        """Candles from Kite for a feed that is about to go live; called on a reader's thread. A candle that is
        still forming at ``end`` is dropped by the caller."""
        import numpy as np

        parts = [
            self.client.historical(instrument.instrument_token, first, last, interval)
            for first, last in history.chunks(start, end, interval)
        ]
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return Candles.of(instrument.key, interval, columns, source="kite", tidy=True)

    def lookback(self, interval: str, bars: int) -> timedelta:
        return lookback(interval, bars)
