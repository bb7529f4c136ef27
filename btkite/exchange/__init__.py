"""A simulated exchange that speaks Kite's wire: REST, WebSocket, and a control surface beside them.

The unmodified ``kiteconnect`` client, ``KiteTicker`` and clients in other languages can use it. It shares
no code with the rest of btkite: two independent readings of one protocol check each other.

Start one::

    from btkite.exchange import CandleSeries, Exchange, ExchangeSettings

    settings = ExchangeSettings(
        candles={"NSE:INFY": CandleSeries(interval="minute", start=..., open=..., high=..., low=...,
                                          close=..., volume=...)},
        start=datetime(2026, 11, 20, 9, 0),   # naive IST; candles before it are history
        speed="lockstep",                     # or "realtime", or 60.0
        auto_token="any-token-you-like",      # valid from the start; else log in, or issue_token()
    )
    with Exchange(settings) as exchange:
        exchange.url       # http://127.0.0.1:PORT for KiteConnect(root=...)
        exchange.ws_url    # ws://127.0.0.1:PORT   for KiteTicker(root=...)
        exchange.reset(other_settings)        # another market on the same port, in milliseconds

``start`` and column times are naive IST wall time. Other sources of prices: ``cache_dir`` (Parquet), or
``seed`` (generated); see :class:`~btkite.exchange.settings.ExchangeSettings` for every setting.

Lock step: ``POST /_exchange/clock {"next": "bar", "until": ISO?}`` plays on to the next stop and answers
``{"status": "success", "data": {"now", "speed", "done", "sent": {"127.0.0.1:PORT": frames}}}``. It stops
right after an order event (fill, trigger, expiry, the lapse of the day's orders at the close), at the end
of a candle, at a session's open before its first print, at ``until``, or at the end of the data
(``done``). All frames that ``sent`` counts have been written when it answers.

Displayed depth, unless the ``depth`` setting says otherwise: one level of 10,000,000 on each side at the
touch. With ``spread_ticks`` = s the ask is ``(s + 1) // 2`` ticks above the last price and the bid ``s // 2``
ticks below it.
"""

from __future__ import annotations

from datetime import date
from types import TracebackType

from .candles import CandleSeries
from .clock import day_number
from .errors import BadCandles, BadSettings, ExchangeError, MarketBroke, PortInUse
from .instruments import InstrumentRow
from .server import Server
from .settings import ExchangeSettings
from .status import Status
from .ticks import TickSeries
from .venue import Venue

__all__ = [
    "BadCandles",
    "BadSettings",
    "CandleSeries",
    "Exchange",
    "ExchangeError",
    "ExchangeSettings",
    "InstrumentRow",
    "MarketBroke",
    "PortInUse",
    "Status",
    "TickSeries",
]


class Exchange:
    """A simulated exchange in a background thread of this process."""

    def __init__(self, settings: ExchangeSettings) -> None:
        self.settings = settings
        self._server = Server(settings)

    def start(self) -> str:
        """Listen and return the root URL. Raises :class:`PortInUse`."""
        self._server.start()
        return self.url

    def stop(self) -> None:
        """Close the port; harmless when it is not running."""
        self._server.stop()

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the market's end, at most ``seconds``; True if it has ended. Raises MarketBroke if it broke."""
        return self._server.wait(seconds)

    def reset(self, settings: ExchangeSettings) -> None:
        """Load another market on the same port; sockets are cut, tokens and the request log start anew.

        ``host`` and ``port`` of ``settings`` are ignored.
        """
        venue = Venue(settings)
        self._server.exchange_venue(venue)
        self.settings = settings

    def issue_token(self) -> str:
        """An access token without a login; the one before it is dead."""
        venue = self._server.venue
        return self._server.call(lambda: venue.sessions.issue(venue.now))

    def plays_on(self, day: date) -> bool:
        """True if ``day`` is one of those that are played; may be asked before it starts."""
        return self._server.venue.market.plays_on(day_number(day))

    def status(self) -> Status:
        """How the market stands, in a few figures."""
        return self._server.call(lambda: Status.of(self._server.venue))

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://{self._server.host}:{self.port}"

    @property
    def ws_url(self) -> str:
        """``ws://127.0.0.1:PORT``."""
        return f"ws://{self._server.host}:{self.port}"

    def __enter__(self) -> Exchange:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
