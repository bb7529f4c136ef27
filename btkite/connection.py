"""One account at Kite, or candles only: what may be asked of it at any time, with or without a run.

Instruments, candles, quotes and the account's own books, for feeds and brokers, for the command line and for
research scripts. Every request goes through the one client, which keeps Kite's pace.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from . import almanac, modes, served, sources
from .candles import CandleCache, encode
from .clock import Clock, ExchangeClock, SystemClock
from .config import Config, load
from .contracts import valued
from .errors import BtkiteError, ConfigError, DataError, SessionExpired, UnknownSymbol
from .grid import windows_of
from .kite import archive, endpoints, history, instruments, made, meaning
from .log import get_logger
from .modes import Mode
from .series import Candles
from .values import Instrument

log = get_logger(__name__)


def unstored(key: str) -> str:
    """What to say, and to do, where no candle of ``key`` is in the cache."""
    return (
        f"no candles of {key} are stored: `btkite data fetch -s {key} --from DATE` gets Kite's (after `btkite login`), "
        "`btkite data import FILE` takes a file's, and `btkite run --made-up` trades made-up ones"
    )


class Connection:
    """What a :class:`~btkite.store.KiteStore` knows without a run. The client is opened when first used."""

    def __init__(
        self, mode: str | Mode, config: Config | None, confirm: str | None, clock: Clock | None, cache: Any
    ) -> None:
        given = config if config is not None else load()
        self._built_in = given if served.is_built_in(given) else None
        self.config: Config = served.addressed(given)
        almanac.observe(self.config)
        self.mode: Mode = modes.mode(mode)
        cache = cache if cache is not None else self.config.data.cache
        self.cache = cache if isinstance(cache, CandleCache) else CandleCache(Path(str(cache)).expanduser())
        self.endpoint = endpoints.resolve(self.config.broker.kite_connect.endpoint)
        self._confirm = confirm
        self._client: Any = None
        self._clock = clock
        self._master: instruments.InstrumentMaster | None = None
        self._kites: instruments.InstrumentMaster | None = None
        self._dumped = date.min

    # -- facts --------------------------------------------------------------------------------------

    @property
    def streams(self) -> bool:
        """Whether bars come from the market as it happens."""
        return self.mode.bars == "stream"

    @property
    def armed(self) -> bool:
        """Whether real orders may leave: the mode allows it and the account was named."""
        user = self.config.broker.kite_connect.user_id
        return self.mode.arm and bool(self._confirm) and self._confirm == user

    @property
    def warmup(self) -> int:
        return int(self.config.data.warmup)

    @property
    def clock(self) -> Clock:
        """Market time: given, or the simulated exchange's own, or the machine's."""
        if self._clock is None:
            if self._built_in is not None and not self._built_in.exchange.port:
                raise ConfigError(
                    "exchange.port is 0, where nobody can be found: set a port, and start `btkite exchange`"
                )
            simulated = self.endpoint.rest_root.startswith("http://")
            self._clock = ExchangeClock(self.endpoint.rest_root) if simulated else SystemClock()
        return self._clock

    @property
    def client(self) -> Any:
        """The one door to Kite's REST interface, opened when first used."""
        if self._client is None:
            from .kite.client import KiteClient

            kite = self.config.broker.kite_connect
            clock = self.clock  # a simulated exchange that nobody serves is told before any key is missed
            key, token = self._credentials()
            self._client = KiteClient(
                self.endpoint,
                key,
                token,
                user_id=kite.user_id,
                armed=self.armed,
                clock=clock,
                timeout=kite.timeout,
                debug=kite.debug,
                ipv4=self.config.network.ipv4_only,
                proxy=self.config.network.proxy.get_secret_value(),
            )
        return self._client

    def _credentials(self) -> tuple[str, str]:
        """Key and token: the simulated exchange's own, those that are configured, or the token of the day's login."""
        kite = self.config.broker.kite_connect
        if self._built_in is not None:
            pair = served.credentials(self._built_in)
            if pair is not None:
                return pair
        elif token := kite.access_token.get_secret_value():
            return kite.api_key, str(token)
        if not kite.api_key:
            raise ConfigError(
                "no api_key is known: set KITE_API_KEY (or broker.kite_connect.api_key), or use --endpoint simulator"
            )
        from .kite.session import TokenStore

        stored = TokenStore(Path(self.config.paths.state), kite.api_key, self.endpoint.name).load(SystemClock().now())
        if stored is None:
            raise SessionExpired("there is no access token of today: run `btkite login`")
        return kite.api_key, str(stored.access_token.reveal())

    def tokens(self) -> list[str]:
        """The access tokens that lie ready at this moment, the likeliest first: of the last `btkite login`, and of
        ``.env``, which is read anew. Whether they live is not asked."""
        from .kite.session import TokenStore
        from .settings.reading import read_dotenv

        kite = self.config.broker.kite_connect
        found = []
        try:
            stored = TokenStore(self.config.paths.state, kite.api_key, self.endpoint.name).load(SystemClock().now())
            found += [stored.access_token.reveal()] if stored is not None else []
            found.append(read_dotenv(Path(".env")).get("KITE_ACCESS_TOKEN", "").strip())
        except ConfigError as error:
            log.warning("a token cannot be read", reason=str(error))
        return [token for token in found if token]

    # -- instruments and candles --------------------------------------------------------------------

    def instrument(self, text: str, *, on: date | None = None, spot: float | None = None) -> Instrument:
        """The instrument of ``NSE:INFY`` (or ``INFY``, on the default exchange), of an ISIN where it is known, or by
        meaning: ``NFO:NIFTY FUT near``, ``NFO:NIFTY CE ATM+2 weekly`` (:mod:`btkite.kite.meaning`).

        What a meaning means depends on the day and on the underlying's price: ``on`` and ``spot``; without them it is
        today, and the last price that Kite knows.

        :raises UnknownSymbol: with suggestions.
        :raises DataError: if history comes from the cache, and nothing of it is stored; if the rupees that a commodity
            or currency contract moves are not known.
        """
        today = on or self.clock.now().date() if self.streams else on
        meant = meaning.parse(text)
        if meant is None:
            return valued(self._find(text), today or date.max)
        return self._meant(meant, today or SystemClock().now().date(), spot)

    def _meant(self, meant: meaning.Meaning, on: date, spot: float | None) -> Instrument:
        master = self._listed(on)
        if meant.needs_spot and spot is None and self.streams:
            where = meant.underlying or meaning.find(master, replace(meant, kind="FUT", when="near"), on).key
            spot = self.ltp(where).get(where)
        return valued(meaning.find(master, meant, on, spot), on)

    def _listed(self, on: date) -> instruments.InstrumentMaster:
        """What was listed on a day: Kite's dump of today, or the archive's of that day."""
        if self.streams or self.config.data.source == "kite":
            return self._dump
        try:
            return archive.as_of(self._dumps, on)
        except DataError:
            stored = self.master  # contracts that were fetched while they lived are known with their candles
            if not stored.expiring_from(on):
                raise
            return stored

    def expiries(self, name: str, *, on: date | None = None, kind: str = "") -> list[date]:
        """The expiries of contracts on ``NFO:NIFTY``, oldest first, from ``on`` on (today): of futures (``FUT``),
        options (``CE``, ``PE``) or all."""
        exchange, _, underlying = instruments.parse_key(name, "NFO").partition(":")
        day = on or self.clock.now().date()
        return meaning.expiries(self._listed(day), exchange, underlying, kind=kind, on=day)

    def chain(self, name: str, expiry: date | None = None, *, on: date | None = None) -> Any:
        """The options on ``NFO:NIFTY`` of one expiry (the nearest) as a DataFrame, a row a strike.

        :raises UnknownSymbol: if there are none.
        """
        exchange, _, underlying = instruments.parse_key(name, "NFO").partition(":")
        day = on or self.clock.now().date()
        if expiry is None:
            expiry = next(iter(self.expiries(name, on=day, kind="CE")), day)
        return meaning.chain(self._listed(day), exchange, underlying, expiry)

    def _find(self, text: str) -> Instrument:
        key = instruments.parse_key(text, self.config.broker.default_exchange)
        try:
            return self.master.find(key)
        except UnknownSymbol as error:
            if self.streams or key.partition(":")[0] not in instruments.EXCHANGES:
                raise
            if (gone := archive.expired(self._dumps)) is not None and key in gone:
                return gone.find(key)  # a contract of the past: lot, tick and expiry as they were last seen
            if self.config.data.source in ("csv", "parquet"):  # the file need not be in the cache
                return made.from_keys([key]).find(key)
            if self.config.data.source == "cache" and not self.master.suggest(key):
                raise DataError(unstored(key)) from None
            raise UnknownSymbol(f"{error} (candles are fetched with `btkite data fetch -s SYMBOL`)") from None

    @property
    def master(self) -> instruments.InstrumentMaster:
        """All instruments: Kite's dump of the day, or those of the candle cache where nothing comes from Kite."""
        if self.streams or self.config.data.source == "kite":
            return self._dump
        if self._master is None:
            self._master = made.from_candles(self.cache)
        return self._master

    @property
    def _dump(self) -> instruments.InstrumentMaster:
        """Kite's dump of the day, asked for once a day."""
        if self._kites is None:
            now = self.clock.now()
            if isinstance(self.clock, ExchangeClock):
                # Another exchange may serve there tomorrow, with the same date: nothing to keep.
                self._kites = instruments.InstrumentMaster(self.client.dump(), archive.dump_day(now))
            else:
                self._kites = archive.current(self._dumps, self.client, now)
            self._dumped = archive.dump_day(now)
        elif not isinstance(self.clock, ExchangeClock) and (day := archive.dump_day(self.clock.now())) != self._dumped:
            self._dumped = day  # a run that outlives its day; a dump that cannot be had is asked for once
            try:
                self._kites = archive.current(self._dumps, self.client, self.clock.now())
            except BtkiteError as error:
                log.warning("the instruments of the new day cannot be had; the old ones serve", reason=str(error))
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

    def futures(self, family: str) -> list[Instrument]:
        """The futures of ``NFO:NIFTY FUT`` by expiry: those of the dump, those whose candles are stored, and those
        that have expired, as they were last seen."""
        exchange, _, name = family.upper().removesuffix(" FUT").partition(":")
        stored = made.from_candles(self.cache, f"{exchange}/{encode(name)}*FUT")
        masters = [archive.expired(self._dumps), stored, self.master]
        if not self.streams and self.config.data.source != "kite" and archive.archived(self._dumps):
            masters.append(archive.load(self._dumps))
        found: dict[str, Instrument] = {}
        for master in masters:
            for one in [] if master is None else master.contracts(exchange, name):
                if one.is_future and one.expiry is not None:
                    found[one.key] = valued(one, one.expiry)
        return sorted(found.values(), key=lambda one: (one.expiry or date.max, one.key))

    def fetch(self, instrument: Instrument, interval: str, start: Any, end: Any) -> Candles:
        """As :meth:`candles`; ``end`` is exclusive. What has expired is in the cache, or not to be had."""
        gone = instrument.expiry is not None and instrument.expiry < SystemClock().now().date()
        if gone and self.config.data.source == "kite":
            return self.cache.read(instrument.key, interval, start, end, windows=windows_of(instrument.key))
        return self.candles(instrument, interval, start, end)

    def live_fetch(self, instrument: Instrument, interval: str, start: Any, end: Any) -> Candles:
        """As :meth:`live_history`, up to now; what has expired is in the cache, or not to be had."""
        now = self.clock.now()
        if instrument.expiry is not None and instrument.expiry < now.date():
            return self.cache.read(instrument.key, interval, start, end, windows=windows_of(instrument.key))
        return self.live_history(instrument, interval, start, min(end or now, now))

    def live_history(self, instrument: Instrument, interval: str, start: datetime, end: datetime) -> Candles:
        """Candles from Kite for a feed that is about to go live; called on a reader's thread. A candle that is
        still forming at ``end`` is dropped by the caller."""
        contract = instrument.is_future or instrument.is_option  # also of warm-up bars open interest is what it was
        parts = [
            self.client.historical(instrument.instrument_token, first, last, interval, oi=contract)
            for first, last in history.chunks(start, end, interval)
        ]
        columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return Candles.of(instrument.key, interval, columns, source="kite", tidy=True)

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
