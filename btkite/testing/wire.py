"""``KiteExchange``: the simulated exchange as a test wants it, with a configuration that points at it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from ..exchange import Exchange, ExchangeSettings
from ..exchange.clock import day_of, stamp
from ..exchange.contract_note import unrounded
from ..market.calendar import calendar
from ..series import moment
from ..simulator import candle_series
from .outcome import Outcome
from .run import Given, equip, plain_config, series_of
from .steering import Steering

if TYPE_CHECKING:
    from ..config import Config
    from ..series import Candles

API_KEY = "testing"
TOKEN = "token-of-the-testing-exchange"  # noqa: S105 - opens nothing but play money
USER = "SIM001"
_EARLY = timedelta(minutes=15)
_EPOCH = datetime(2026, 11, 18, 9)  # of the empty market before the first reset

LENIENT: Mapping[str, Any] = {
    "check_margin": False,
    "check_holdings": False,
    "check_trigger_side": False,
    "expire_tokens": False,
    "cash": 1e9,
}
"""What a strategy test does not speak of is not checked; pass these to ``reset`` to switch them on."""


class KiteExchange:
    """A started simulated exchange in lock step: the market moves when the client asks, so a day takes seconds.

    ``reset`` loads a market; ``config()`` and ``store()`` point at it; ``run_strategy`` does it all. What
    happened is to be asked of the exchange itself: ``orders()``, ``positions()``, ``requests()``.
    """

    def __init__(self, folder: Path | str) -> None:
        self._root = Path(folder)
        self._markets = 0
        self.candles: dict[str, Candles] = {}
        self._exchange = Exchange(_settings({}, _EPOCH))

    def __enter__(self) -> Self:
        self._exchange.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exchange.stop()
        shutil.rmtree(self._root, ignore_errors=True)

    # -- the market -----------------------------------------------------------------------------------

    def reset(
        self,
        bars: Given = "flat",
        *,
        start: datetime | str | None = None,
        interval: str = "minute",
        **settings: Any,
    ) -> Self:
        """Load a market of ``bars`` (as for ``run_strategy``) and begin a quarter of an hour before its first open,
        or at ``start`` (naive IST; what lies before it is history). Orders, positions, tokens and the request log
        start anew.

        ``settings`` are fields of :class:`btkite.exchange.ExchangeSettings`; see also :data:`LENIENT`.
        """
        self.candles = series_of(bars, interval=interval)
        begin = moment(start) if start is not None else self._before_open()
        self._markets += 1
        self._exchange.reset(_settings(self.candles, begin, **settings))
        return self

    def _before_open(self) -> datetime:
        key, first = min(self.candles.items(), key=lambda item: item[1].first)
        session = calendar().session(key.partition(":")[0], first.first.date())
        opens = session.open if session is not None and session.parts else first.first
        return opens - _EARLY

    @property
    def url(self) -> str:
        """Root of REST, for ``KiteConnect(root=...)``."""
        return self._exchange.url

    @property
    def ws_url(self) -> str:
        """Root of the WebSocket, for ``KiteTicker(root=...)``."""
        return self._exchange.ws_url

    @property
    def steer(self) -> Steering:
        """Its control surface: time, prices by hand, orders from outside, faults, tokens, days."""
        return Steering(self.url)

    @property
    def api_key(self) -> str:
        return API_KEY

    @property
    def access_token(self) -> str:
        """A token that is valid from the start."""
        return TOKEN

    @property
    def user_id(self) -> str:
        """The account; what ``confirm=`` must say in live."""
        return USER

    def at(self, when: datetime, action: Callable[[Any], bool]) -> None:
        """Do ``action(venue)`` on the exchange's thread when the market comes to ``when`` (naive IST); true if an
        order changed by it, which ends a pull of the lock step."""
        server = self._exchange._server
        server.call(lambda: server.venue.market.at(stamp(when), lambda _: action(server.venue)))

    # -- a client of it -------------------------------------------------------------------------------

    def config(self, *, risk: bool | Mapping[str, Any] = False, charges: bool = False, **changes: Any) -> Config:
        """A configuration that points here: no limits and no charges unless asked for, folders of its own.

        ``changes`` are dotted keys (``**{"broker.carry": True}``) or the same with two underscores
        (``broker__carry=True``).
        """
        folder = self._root / f"market{self._markets}"
        own = {
            "broker.kite_connect.endpoint": self.url,
            "broker.kite_connect.api_key": API_KEY,
            "broker.kite_connect.access_token": TOKEN,
            "broker.kite_connect.user_id": USER,
            "data.cache": str(folder / "candles"),
            "paths.state": str(folder / "state"),
        }
        return plain_config(risk=risk, charges=charges, config=own).with_(**changes)

    def store(self, mode: Literal["paper", "live"] = "live", *, config: Config | None = None) -> Any:
        """A :class:`~btkite.store.KiteStore` of this exchange, in live armed for its account."""
        from ..store import KiteStore

        made: Any = KiteStore  # its params come from backtrader's metaclass, which mypy does not read
        return made(mode=mode, config=config or self.config(), confirm=USER)

    def run_strategy(
        self,
        strategy: Any,
        bars: Given = None,
        /,
        *,
        mode: Literal["paper", "live"] = "live",
        cash: float = 100_000.0,
        risk: bool | Mapping[str, Any] = False,
        config: Mapping[str, Any] | None = None,
        charges: bool = False,
        warmup: int = 0,
        start: datetime | str | None = None,
        interval: str | None = None,
        cerebro: Any = None,
        sizer: Any = None,
        analyzers: Iterable[Any] = (),
        params: Mapping[str, Any] | None = None,
        settings: Mapping[str, Any] | None = None,
        **more: Any,
    ) -> Outcome:
        """As ``run_strategy`` of the backtest, through the wire, to the end of the market's data.

        ``bars`` loads a market first (with ``start`` and ``settings``, see :meth:`reset`); without it, what is
        loaded is traded. ``interval``: of the feeds, and of bars that do not say; None is the candles' own.
        """
        from ..engine import Cerebro

        if bars is not None or start is not None or settings:
            market = bars if bars is not None else self.candles
            self.reset(market, start=start, interval=interval or "minute", **(settings or {}))
        keys = {"broker.capital": cash, "data.warmup": warmup, **(config or {})}
        store = self.store(mode, config=self.config(risk=risk, charges=charges, **keys))
        engine = Cerebro(stdstats=False) if cerebro is None else cerebro
        for key, candles in self.candles.items():
            engine.adddata(store.getdata(key, interval=interval or candles.interval), name=key)
        engine.setbroker(store.getbroker())
        equip(engine, strategy, {**(params or {}), **more}, sizer, analyzers)
        return Outcome.of(engine.run()[-1], engine)

    # -- what the exchange knows ------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        server = self._exchange._server
        found: dict[str, Any] = server.call(lambda: server.venue.state())
        return found

    def orders(self) -> list[dict[str, Any]]:
        """The exchange's order book of the day, as ``kite.orders()`` gives it."""
        return list(self._state()["orders"])

    def positions(self) -> list[dict[str, Any]]:
        """Net positions, as ``kite.positions()["net"]``."""
        return list(self._state()["positions"]["net"])

    def charges(self) -> dict[str, float]:
        """₹ that each order of the day that traded costs by the exchange's tables, nothing rounded, by its id."""
        server = self._exchange._server

        def totals() -> dict[str, float]:
            venue = server.venue
            day = day_of(venue.now)
            done = venue.account.executed
            return {str(order_id): float(unrounded(order, day)) for order_id, order in done.items()}

        found: dict[str, float] = server.call(totals)
        return found

    def requests(self) -> list[dict[str, Any]]:
        """Every request since the reset: method, path, status …"""
        server = self._exchange._server
        found: list[dict[str, Any]] = server.call(lambda: list(server.venue.requests))
        return found


def _settings(candles: Mapping[str, Candles], start: datetime | None, **more: Any) -> ExchangeSettings:
    series = {key: candle_series(one) for key, one in candles.items()}
    return ExchangeSettings(
        **{
            **LENIENT,
            "candles": series,
            "start": start,
            "api_key": API_KEY,
            "auto_token": TOKEN,
            "user_id": USER,
            **more,
        }
    )
