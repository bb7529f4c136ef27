"""``btkite.run``: one strategy on history, on paper or live; and the checks that come before it.

:func:`prepare` says no to whatever is wrong, in one sentence, before anything has been started or asked of
anybody; :meth:`Run.go` then runs. What differs between modes is read from :mod:`btkite.modes`.
"""

from __future__ import annotations

import inspect
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import backtrader as bt

from . import simulator
from .clock import Bell, Clock, SystemClock
from .config import Config, load
from .errors import BtkiteError, ConfigError, DataError, RiskHalt, SessionExpired, UnknownSymbol
from .grid import ends_of
from .journal import AccountLock
from .kite import endpoints, instruments
from .kite.inbox import Link
from .linetime import from_seconds, seconds_of
from .loading import check_params, load_strategy
from .log import get_logger, writing
from .modes import Mode
from .modes import mode as mode_of
from .report.result import RunResult
from .report.table import inr, number, when
from .risk.gate import KillSwitch, State
from .risk.rules import EXCHANGE_RULES, build_rules, can_ever_pass
from .series import Candles, check_interval, moment
from .sources import SOURCES
from .values import Instrument

if TYPE_CHECKING:
    from .brokers.record import Record
    from .store import KiteStore

Moment = datetime | date | str | None
Tell = Callable[[datetime, str], None]

log = get_logger(__name__)
_BEAT = timedelta(seconds=30)
_BUILT_IN = "simulator"
MADE_UP = "made-up"
"""As a run's ``source``: candles from ``exchange.seed``, for trying things out where nothing is stored."""
_SIGNALLED = 128  # and the signal's number, as shells count


def run(
    strategy: type[bt.Strategy] | str,
    symbols: Sequence[str] | str,
    *,
    mode: str | Mode = "backtest",
    interval: str = "minute",
    start: Moment = None,
    end: Moment = None,
    params: Mapping[str, Any] | None = None,
    config: Config | str | Path | None = None,
    warmup: int | None = None,
    endpoint: str | None = None,
    confirm: str | None = None,
    capital: float | None = None,
    sessions: int | None = None,
    source: Any = None,
    save: bool = False,
    report: bool = True,
    tell: Tell | None = None,
) -> RunResult:
    """Run ``strategy`` on ``symbols`` and give back what came of it.

    ``strategy``: a class, ``"path/file.py:Class"`` or ``"module:Class"`` · ``symbols``: ``NSE:INFY``, one or
    several · ``start``, ``end``: naive IST, a date as ``end`` includes that day; on a stored or built-in market
    only · ``params``: the strategy's · ``config``: a :class:`~btkite.config.Config`, a file, or None for what
    the working folder and the environment say · ``warmup``: bars before the start that only warm indicators ·
    ``endpoint``: kite, sandbox, simulator or a URL · ``confirm``: the account's user id, without which a live
    run does not start · ``capital``: ₹ allotted · ``sessions``: end a paper or live run after so many ·
    ``source``: a name for ``data.source``, ``"made-up"``, or DataFrames by symbol · ``save``: keep the run in a
    folder of ``paths.runs``, with its page unless ``report`` is False · ``tell``: called with market time and a
    line of text when something happens to an order.

    On ``endpoint="simulator"``, where nobody serves an exchange, one is started for the run and ended with it.

    :raises ConfigError: if something asked for is wrong; nothing was started.
    :raises DataError: if candles asked for are not there.
    :raises AccountLocked: if another process runs this account.
    """
    prepared = prepare(
        strategy,
        symbols,
        mode=mode,
        interval=interval,
        start=start,
        end=end,
        params=params,
        config=config,
        warmup=warmup,
        endpoint=endpoint,
        confirm=confirm,
        capital=capital,
        sessions=sessions,
        source=source,
    )
    return prepared.go(save=save, report=report, tell=tell)


def prepare(
    strategy: type[bt.Strategy] | str,
    symbols: Sequence[str] | str,
    *,
    mode: str | Mode = "backtest",
    interval: str = "minute",
    start: Moment = None,
    end: Moment = None,
    params: Mapping[str, Any] | None = None,
    config: Config | str | Path | None = None,
    warmup: int | None = None,
    endpoint: str | None = None,
    confirm: str | None = None,
    capital: float | None = None,
    sessions: int | None = None,
    source: Any = None,
) -> Run:
    """A checked run that has not been started; the arguments are those of :func:`run`."""
    facts = mode_of(mode)
    found = load_strategy(strategy)
    given = dict(params or {})
    check_params(found, given)
    settings = _settings(
        config,
        {
            "broker.kite_connect.endpoint": endpoint,
            "data.warmup": warmup,
            "broker.capital": capital,
            "run.sessions": sessions,
            "data.source": source if isinstance(source, str) and source != MADE_UP else None,
        },
    )
    check_interval(interval)
    exchange = settings.broker.default_exchange
    named = [symbols] if isinstance(symbols, str) else list(symbols)
    keys = tuple(dict.fromkeys(instruments.parse_key(text, exchange) for text in named))
    if not keys:
        raise ConfigError("no symbol was named: give one, such as NSE:INFY")
    begin, finish = moment(start), moment(end, end=True)
    if begin is not None and finish is not None and begin >= finish:
        raise ConfigError(f"the range from {when(begin)} to {when(finish)} is empty: the end must come after the start")
    plan = Run(facts, found, given, keys, interval, settings, begin=begin, end=finish, confirm=confirm)
    return _on_history(plan, source) if facts.bars == "history" else _on_stream(plan, source)


def account_of(config: Config) -> str:
    """The client id that the configured endpoint's account has; empty if it is not said."""
    kite = config.broker.kite_connect
    return config.exchange.user_id if kite.endpoint == _BUILT_IN else kite.user_id


def _settings(config: Config | str | Path | None, overrides: Mapping[str, Any]) -> Config:
    given = {key: value for key, value in overrides.items() if value is not None}
    if isinstance(config, Config):
        return config.with_(**given)
    return load(config, overrides=given)


@dataclass(frozen=True, slots=True)
class Run:
    """One run, checked and not started.

    ``candles`` are those that will be traded, if they are known beforehand: with history before ``begin``,
    up to ``end``. ``market`` is an exchange that serves already, ``starts_exchange`` says that one is to be
    started. ``origin`` says in words where prices come from.
    """

    mode: Mode
    strategy: type[bt.Strategy]
    params: Mapping[str, Any]
    symbols: tuple[str, ...]
    interval: str
    config: Config
    begin: datetime | None = None
    end: datetime | None = None
    confirm: str | None = None
    candles: Mapping[str, Candles] = field(default_factory=dict)
    instruments: Mapping[str, Instrument] = field(default_factory=dict)
    market: simulator.Served | None = None
    starts_exchange: bool = False
    origin: str = ""

    # -- what it is -----------------------------------------------------------------------------------

    @property
    def endpoint(self) -> str:
        """Its name: kite, sandbox, simulator, or HOST:PORT."""
        return _BUILT_IN if self.starts_exchange else endpoints.resolve(self.config.broker.kite_connect.endpoint).name

    @property
    def account(self) -> str:
        """The client id whose money it is, or would be."""
        return self.config.exchange.user_id if self.starts_exchange else account_of(self.config)

    @property
    def folder(self) -> Path:
        """Where this account's lock, kill switch and journal are."""
        place = self.endpoint.replace(":", "-")
        return Path(self.config.paths.state) / place / (self.account or "account") / self.mode.name

    @property
    def traded(self) -> dict[str, Candles]:
        """What is traded, with the bars that warm up, by symbol; empty if it is not known beforehand."""
        warmup = self.config.data.warmup
        return {
            key: one.between(self.begin, self.end, warmup_bars=warmup if self.begin is not None else 0)
            for key, one in self.candles.items()
        }

    def banner(self) -> list[tuple[str, str]]:
        """What is about to happen, as labels and texts."""
        broker, warmup = self.config.broker, self.config.data.warmup
        given = ", ".join(f"{name}={value}" for name, value in self.params.items())
        rows = [
            ("mode", self._what()),
            ("strategy", f"{self.strategy.__name__}({given})"),
            ("symbols", ", ".join(self.symbols)),
            ("interval", self.interval),
            ("range", self._range()),
            ("endpoint", self._where()),
            ("account", self._whose()),
            ("product", broker.default_product),
            ("capital", inr(broker.capital)),
            ("limits", self._limits()),
        ]
        if warmup:
            rows.insert(5, ("warm-up", f"{number(warmup, 0)} bars before the start"))
        return rows

    def _what(self) -> str:
        fills = {"simulator": "simulated fills, no order leaves this machine", "kite": "orders are sent"}
        return f"{self.mode.name} ({fills[self.mode.fills]})"

    def _range(self) -> str:
        if not self.candles:
            sessions = self.config.run.sessions
            more = f", {number(sessions, 0)} session{'s' if sessions > 1 else ''}" if sessions else ""
            return f"from now on{more or ', until it is stopped'}"
        cut = [one.between(self.begin, self.end) for one in self.candles.values()]
        first = min(one.first for one in cut)
        last = max(ends_of(one.key, self.interval)(one.start[-1:]).tolist()[0] for one in cut)
        text = (lambda at: f"{at:%Y-%m-%d}") if self.interval == "day" else when
        bars = number(sum(len(one) for one in cut), 0)
        return f"{text(first)} to {text(last)}, {bars} bars"

    def _where(self) -> str:
        if self.mode.bars == "history":
            return f"none: {self.origin}, no network"
        if self.starts_exchange:
            speed = self.config.exchange.speed
            pace = {"lockstep": "lock step", "realtime": "real time"}.get(str(speed)) or f"{speed:g} x market time"
            return f"simulator, started for this run, {pace}, {self.origin}"
        root = endpoints.resolve(self.config.broker.kite_connect.endpoint).rest_root
        return f"{self.endpoint} ({root})" if self.endpoint not in root else root

    def _whose(self) -> str:
        if self.mode.bars == "history":
            return "none"
        name = self.account or "of the access token"
        real = self.endpoint == endpoints.KITE.name
        if self.mode.fills == "kite":
            return f"{name} ({'real money' if real else 'play money'})"
        return f"{name} (its quotes; money is simulated)"

    def _limits(self) -> str:
        if not self.config.risk.enabled:
            return "none: risk.enabled is false"
        return "; ".join(rule.title for rule in build_rules(self.config.risk.model_dump()) if rule.key)

    # -- before the start -------------------------------------------------------------------------------

    def _check_account(self) -> None:
        """Real orders need the account said aloud. Asks nobody."""
        if not self.mode.arm:
            return
        user = self.account
        if not user:
            raise ConfigError(
                f"{self.mode.name} on {self.endpoint} needs to know whose account it is: set "
                "broker.kite_connect.user_id (KITE_USER_ID); nothing was sent"
            )
        if not self.confirm:
            raise ConfigError(
                f"{self.mode.name} sends orders for the account {user}: say so with --confirm {user} "
                f'(confirm="{user}" in Python); nothing was sent'
            )
        if self.confirm != user:
            raise ConfigError(f"the account is {user}, not {self.confirm}: nothing was sent")

    def _check_market(self, store: KiteStore, broker: Any) -> None:
        """Whether the session lives; and before orders may leave, whose it is, and whether one lot could ever pass.

        :raises SessionExpired: if the token is dead.
        """
        if not store.streams:
            return
        user = str(store.profile().get("user_id", ""))
        if not self.mode.arm:
            return
        if user != self.confirm:
            raise ConfigError(f"the access token is {user}'s, not {self.confirm}'s: log in as {self.confirm}")
        prices = store.ltp(*self.symbols)
        for key in self.symbols:
            instrument = store.instrument(key)
            price = prices.get(key, 0.0) or self._first_price(key)
            if price <= 0:
                log.info("no price yet: the limits were not tried", symbol=key)
                continue
            product = self.config.broker.default_product
            denial = can_ever_pass(instrument, price, broker.gate.rules, broker.ledger, product=product)
            if denial is not None:
                lot = f"{number(instrument.lot_size, 0)} at {inr(price)}"
                raise ConfigError(f"not even one lot of {key} ({lot}) can pass: {denial}; nothing was started")

    def _first_price(self, key: str) -> float:
        known = self.candles.get(key)
        return float(known.between(self.begin, None).open[0]) if known is not None else 0.0

    # -- the run ----------------------------------------------------------------------------------------

    def go(self, *, save: bool = False, report: bool = True, tell: Tell | None = None) -> RunResult:
        """Run to the end of the candles, of the sessions, or to Ctrl-C, and say what came of it.

        :raises AccountLocked: if another process runs this account.
        """
        with ExitStack() as stack:
            if self.mode.journal:
                stack.enter_context(_held(AccountLock(self.folder / "lock", SystemClock())))
            config = self.config
            if self.starts_exchange:
                assert self.begin is not None
                market = stack.enter_context(simulator.started(config, self.candles, self.instruments, self.begin))
                config = config_on(config, market)
            store, broker = self._open_market(config, stack)
            folder = self._open_folder(stack, config) if save else None
            result = self._run(store, broker, tell)
        return result if folder is None else folder.write(result, report=report)

    def _open_market(self, config: Config, stack: ExitStack) -> tuple[KiteStore, Any]:
        from .store import KiteStore

        store = KiteStore(mode=self.mode, config=config, confirm=self.confirm)  # type: ignore[call-arg]  # its params
        stack.callback(store.stop)
        lasting: dict[str, Any] = {"kill": KillSwitch(self.folder / "kill")} if self.mode.journal else {}
        if self.mode.journal and not self.starts_exchange:  # an exchange of our own begins anew, and so its account
            lasting["record"] = stack.enter_context(account_record(self.folder / "journal.sqlite", store.clock))
        broker = store.getbroker(cash=config.broker.capital, **lasting)
        self._check_market(store, broker)
        self._alert(config, store, broker, stack)
        return store, broker

    def _alert(self, config: Config, store: KiteStore, broker: Any, stack: ExitStack) -> None:
        """A person hears of what the gate denies and of an error that ends the run, if addresses are given."""
        if not config.alerts.urls or not self.mode.journal:
            return
        from .alerts import Alerts

        said = config.alerts
        alerts = Alerts(said.urls, said.level, said.dedupe, said.queue, store.clock)
        who = f"{self.strategy.__name__} ({self.mode.name})"

        def denied(order: Any, denial: Any) -> None:
            alerts.send("warning", f"{who}: order denied", f"{_order_text(order)}: {denial}", key=denial.rule)

        def ended(kind: type[BaseException] | None, error: BaseException | None, *_: Any) -> None:
            if isinstance(error, Exception):
                alerts.send("critical", f"{who}: the run failed", f"{type(error).__name__}: {error}")
            alerts.close(10.0)

        broker.on_denied = denied
        stack.push(ended)

    def _open_folder(self, stack: ExitStack, config: Config) -> Any:
        import yaml

        from .report.folder import RunFolder

        folder = RunFolder.create(
            Path(config.paths.runs),
            now=SystemClock().now(),
            mode=self.mode.name,
            strategy=self.strategy.__name__,
            symbols=self.symbols,
        )
        text = yaml.safe_dump(self.config.snapshot(), sort_keys=False, allow_unicode=True)
        folder.snapshot(config=text, data={key: one.digest() for key, one in self.traded.items()})
        stack.enter_context(writing(folder.log, config.log.level))
        return folder

    def _run(self, store: KiteStore, broker: Any, tell: Tell | None) -> RunResult:
        from .analyzers import Equity, Orders, Trades
        from .engine import Cerebro

        cerebro = Cerebro(stdstats=False, warmup=self.config.run.warmup)
        for data in self._feeds(store):
            cerebro.adddata(data)
        cerebro.setbroker(broker)
        cerebro.addstrategy(self.strategy, **self.params)
        for analyzer in (Orders, Trades, Equity):
            cerebro.addanalyzer(analyzer)
        if tell is not None:
            cerebro.addanalyzer(_Told, tell=tell, store=store)
        log.info("run", **dict(self.banner()))
        with _stoppable(cerebro, on=self.mode.bars == "stream") as stopped:
            try:
                (strategy,) = cerebro.run()
            except Exception as error:
                if _in_init(error, self.strategy):
                    raise ConfigError(f"{self.strategy.__name__} does not start: {error}") from error
                raise _crashed(error, self.strategy, broker, cerebro.datas) from error
        result = RunResult.collect(
            strategy,
            mode=self.mode.name,
            symbols=self.symbols,
            interval=self.interval,
            engine=self._engine(broker),
        )
        gate = getattr(broker, "gate", None)
        halted, mistake = _halted(gate), _mistake(broker)
        codes = (stopped.code, RiskHalt.exit_code if halted else 0, BtkiteError.exit_code if mistake else 0)
        result = replace(
            result,
            denied=gate.summary() if gate is not None else "",
            halted=halted,
            mistake=mistake,
            left_open=tuple(_left_open(broker, strategy.datas)),
            stopped=stopped.why,
            exit_code=next((code for code in codes if code), 0),
        )
        figures = {str(key): str(value) for key, value in result.stats.items()}
        log.info("end", left_open=result.left_open, **figures)
        return result

    def _feeds(self, store: KiteStore) -> Iterator[Any]:
        for key in self.symbols:
            if self.mode.bars == "stream":
                yield store.getdata(key, interval=self.interval)
                continue
            from .feed import KiteData

            feed = KiteData(  # type: ignore[call-arg]  # backtrader's params
                dataname=self.candles[key],
                interval=self.interval,
                fromdate=self.begin,
                todate=self.end,
                warmup=self.config.data.warmup,
                decide_at=self.config.broker.decide_at if self.interval == "day" else None,
            )
            feed.bind(self.instruments[key])
            yield feed

    def _engine(self, broker: Any) -> str:
        if self.mode.fills == "kite":
            return f"orders on {self.endpoint}"
        return f"simulated fills, rule {self.config.broker.rule}"


# ---- where prices come from ---------------------------------------------------------------------


def _on_history(plan: Run, source: Any) -> Run:
    if isinstance(source, str) and source == MADE_UP:
        return _invented(plan)
    candles, known, origin = _stored(plan, source)
    for key, one in candles.items():
        if not len(one.between(plan.begin, plan.end)):
            raise DataError(f"{key} has no {plan.interval} candles from {plan.begin} to {plan.end}")
    return replace(plan, candles=candles, instruments=known, origin=origin)


def _invented(plan: Run, why: str = "") -> Run:
    if plan.begin is not None or plan.end is not None:
        raise ConfigError("made-up candles have days of their own: leave the start and the end of the run out")
    seed, warmup = plan.config.exchange.seed, plan.config.data.warmup
    candles, begin = simulator.made_up(plan.symbols, plan.interval, seed=seed, warmup=warmup)
    return replace(
        plan,
        candles=candles,
        instruments=simulator.described(plan.symbols),
        begin=begin,
        origin=f"MADE-UP candles, seed {seed}{why}",
    )


def _on_stream(plan: Run, source: Any) -> Run:
    settings = plan.config
    if settings.broker.rule != "path":
        raise ConfigError(f"broker.rule {settings.broker.rule!r} is for candles that are known beforehand: use path")
    plan._check_account()  # before anybody is asked anything
    url, ours, market = _market(settings)
    if market is None and ours:
        return _built_in(plan, source)
    if market is None and url.startswith("http://"):
        raise _nobody(url)
    if plan.begin is not None or plan.end is not None:
        raise ConfigError(f"{url} goes by its own clock: leave the start and the end of the run out")
    if source is not None and (not isinstance(source, str) or source == MADE_UP):
        raise ConfigError(f"prices come from {url}: leave the candles out")
    return replace(plan, config=_config_at(settings, url, ours, market), market=market, origin=url)


def reached(config: Config) -> Config:
    """The settings for asking the configured endpoint something: a simulated exchange's address and credentials.

    :raises ConfigError: if it is a simulated exchange that nobody serves.
    """
    url, ours, market = _market(config)
    if market is None and url.startswith("http://"):
        raise _nobody(url)
    return _config_at(config, url, ours, market)


def _market(config: Config) -> tuple[str, bool, simulator.Served | None]:
    """The endpoint's root, whether it is the one called simulator, and the exchange that serves there."""
    endpoint = config.broker.kite_connect.endpoint
    ours = endpoint == _BUILT_IN
    url = f"http://{config.exchange.host}:{config.exchange.port}" if ours else endpoints.resolve(endpoint).rest_root
    asked = url.startswith("http://") and (config.exchange.port or not ours)
    return url, ours, simulator.find(url) if asked else None


def _nobody(url: str) -> ConfigError:
    return ConfigError(f"nobody serves an exchange on {url}: start it with `btkite exchange`")


def _config_at(settings: Config, url: str, ours: bool, market: simulator.Served | None) -> Config:
    """The credentials and the pace for a market that is served already."""
    changes: dict[str, Any] = {}
    kite = settings.broker.kite_connect
    if ours:
        changes["broker.kite_connect.endpoint"] = url
        changes["broker.kite_connect.user_id"] = settings.exchange.user_id
        key = changes["broker.kite_connect.api_key"] = kite.api_key or settings.exchange.api_key
        token = settings.exchange.access_token
        if market is not None and not kite.access_token.get_secret_value() and simulator.opens(url, key, token):
            changes["broker.kite_connect.access_token"] = token  # else the one of `btkite login`
    if market is not None:
        changes["exchange.speed"] = "lockstep" if market.lockstep else "realtime"
    return settings.with_(**changes) if changes else settings


def _built_in(plan: Run, source: Any) -> Run:
    """No exchange serves: one is to be started, on what a backtest would read, or on made-up candles."""
    warmup = plan.config.data.warmup
    asked = isinstance(source, str) and source == MADE_UP
    if asked or (source is None and plan.begin is None and plan.end is None and _may_make_up(plan)):
        return replace(_invented(plan, "" if asked else " (none are stored)"), starts_exchange=True)
    candles, known, origin = _stored(plan, source)
    # Without a start the first bars warm up, as they do in a backtest.
    starts = plan.begin or max(one[min(warmup, len(one) - 1) :].first for one in candles.values())
    return replace(
        plan, candles=candles, instruments=known, begin=starts, starts_exchange=True, origin=f"candles from {origin}"
    )


def _may_make_up(plan: Run) -> bool:
    """Nothing is stored of any of the symbols, and the exchange is said to trade them all.

    :raises UnknownSymbol: if nothing is stored and the exchange does not trade them either.
    """
    from .candles import CandleCache

    cache = CandleCache(Path(plan.config.data.cache).expanduser())
    stored = {row.key for row in cache.list()}
    if any(key in stored for key in plan.symbols):
        return False
    trades = set(plan.config.exchange.symbols)
    unknown = [key for key in plan.symbols if key not in trades]
    if not unknown:
        return True
    master = instruments.InstrumentMaster(_columns(sorted(stored | trades)))
    near = master.suggest(unknown[0])
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    raise UnknownSymbol(
        f"{unknown[0]} is neither stored nor one of exchange.symbols{hint} "
        f"(candles are fetched with `btkite data fetch -s {unknown[0]}`)"
    )


def _columns(keys: Sequence[str]) -> dict[str, list[str]]:
    pairs = [key.split(":", 1) for key in keys]
    return {"exchange": [pair[0] for pair in pairs], "tradingsymbol": [pair[1] for pair in pairs]}


def _stored(plan: Run, source: Any) -> tuple[dict[str, Candles], dict[str, Instrument], str]:
    """Candles up to the end of the run, all that there are before it, and what is known of the instruments."""
    from .store import KiteStore

    if source is not None and not isinstance(source, str):
        return _framed(plan, source)
    shelf = KiteStore(config=plan.config)  # type: ignore[call-arg]  # backtrader's params
    known = {key: shelf.instrument(key) for key in plan.symbols}
    candles = {}
    for key, instrument in known.items():
        candles[key] = shelf.candles(instrument, plan.interval, plan.begin, plan.end, plan.config.data.warmup)
        if plan.mode.bars == "stream" and plan.config.data.source == "cache":
            # An exchange has all the history, not only what the warm-up asks for.
            candles[key] = shelf.candles(instrument, plan.interval, None, plan.end)
    return candles, known, f"the {plan.config.data.source}"


def _framed(plan: Run, source: Any) -> tuple[dict[str, Candles], dict[str, Instrument], str]:
    """Candles that the caller brought: a DataFrame, or one for each symbol."""
    given = dict(source) if isinstance(source, Mapping) else {plan.symbols[0]: source}
    exchange = plan.config.broker.default_exchange
    frames = {instruments.parse_key(key, exchange): frame for key, frame in given.items()}
    missing = [key for key in plan.symbols if key not in frames]
    if missing:
        raise ConfigError(f"source has no candles of {missing[0]}: give a DataFrame for each symbol")
    candles: dict[str, Candles] = {}
    for key in plan.symbols:
        frame = frames[key]
        if isinstance(frame, Candles):
            candles[key] = frame.between(plan.begin, plan.end, warmup_bars=plan.config.data.warmup)
        else:
            warmup = plan.config.data.warmup
            read = SOURCES["frame"]
            candles[key] = read(key, plan.interval, plan.begin, plan.end, warmup_bars=warmup, frame=frame)
    known = {}
    for key in plan.symbols:
        where, _, symbol = key.partition(":")
        known[key] = Instrument(exchange=where, tradingsymbol=symbol, name=symbol, segment=where)
    return candles, known, "the given candles"


def config_on(config: Config, market: simulator.Served) -> Config:
    """The same settings, for an exchange that was started for this run."""
    return config.with_(
        **{
            "broker.kite_connect.endpoint": market.url,
            "broker.kite_connect.api_key": config.exchange.api_key,
            "broker.kite_connect.access_token": market.token,
            "broker.kite_connect.user_id": config.exchange.user_id,
        }
    )


# ---- while it runs ------------------------------------------------------------------------------


@contextmanager
def account_record(path: Path, clock: Clock) -> Iterator[Record]:
    """The account's journal. One whose last event lies in the future belongs to a market that has begun anew (a
    simulated exchange was started again): it is put aside, and the account begins anew too.

    :raises JournalBroken: if the file is damaged.
    """
    from .brokers.record import Record
    from .journal import Journal

    with Journal(path, clock) as journal:
        events = journal.events()
        stale = bool(events) and events[-1].time > clock.now()
    if stale:
        aside = path.with_name(f"{path.stem}-{events[-1].time:%Y%m%d-%H%M%S}{path.suffix}")
        for suffix in ("", "-wal", "-shm"):
            side = Path(f"{path}{suffix}")
            if side.exists():
                side.replace(f"{aside}{suffix}")
        log.warning("the market began anew, and so does the account", journal=str(aside))
    with Journal(path, clock) as journal:
        yield Record(journal)


@contextmanager
def _held(lock: AccountLock) -> Iterator[AccountLock]:
    """The account's lock, with a sign of life every half minute."""
    clock, bell = SystemClock(), Bell()

    def beat() -> None:
        while not clock.wait(bell, clock.now() + _BEAT):
            try:
                lock.beat()
            except OSError as error:
                log.warning("the lock's note cannot be renewed", error=repr(error))

    with lock:
        thread = threading.Thread(target=beat, name="btkite-lock", daemon=True)
        thread.start()
        try:
            yield lock
        finally:
            bell.ring()
            thread.join()


@dataclass(slots=True)
class _Stopped:
    """Why a run ended early, and the exit code for that."""

    why: str = ""
    code: int = 0


@contextmanager
def _stoppable(cerebro: Any, *, on: bool) -> Iterator[_Stopped]:
    """The first Ctrl-C (or SIGTERM) ends the run cleanly, a second one at once; so does a dead session."""
    stopped = _Stopped()
    if not on:
        yield stopped
        return

    def heard(message: Any, *args: Any, **kwargs: Any) -> None:
        if message == f"stream {Link.REFUSED}" and not stopped.code:
            reason = f": {args[0]}" if args and args[0] else ""
            stopped.why, stopped.code = f"the session is over{reason}; log in again", SessionExpired.exit_code
            cerebro.runstop()

    cerebro.addstorecb(heard)
    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield stopped
        return

    def stop(number: int, frame: FrameType | None) -> None:
        if stopped.code:
            raise KeyboardInterrupt
        name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
        stopped.why, stopped.code = name, _SIGNALLED + number
        cerebro.runstop()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _in_init(error: BaseException, strategy: type[bt.Strategy]) -> bool:
    """Whether the strategy's own ``__init__`` raised it: its word on its parameters."""
    code = getattr(strategy.__init__, "__code__", None)
    frames = [frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and frames[-1] is code


class _Told(bt.Analyzer):
    """Says a line for each thing that happens to an order.

    Params:
      - ``tell``: called with market time and the line.
      - ``store``: whose clock it is.
    """

    params = (("tell", None), ("store", None))

    def notify_order(self, order: Any) -> None:
        if order.status in (order.Submitted, order.Accepted):
            return
        store = self.p.store
        if order.status in (order.Completed, order.Partial):  # a fill has a time of its own
            at = from_seconds(seconds_of(order.executed.dt))
        else:
            at = store.clock.now() if store.streams else self.strategy.datetime.datetime(0)
        self.p.tell(at, f"{_order_text(order)}: {_outcome(order)}")


def _outcome(order: Any) -> str:
    if order.executed.size and order.status in (order.Completed, order.Partial):
        word = "filled" if order.status == order.Completed else f"filled {number(abs(order.executed.size), 0)} so far"
        return f"{word} at {inr(order.executed.price)}"
    why = order.info.get("denied") or order.info.get("reason") or ""
    return ("denied" if order.info.get("denied") else order.getstatusname().lower()) + (f", {why}" if why else "")


def _order_text(order: Any) -> str:
    side = "BUY" if order.isbuy() else "SELL"
    symbol = order.info.get("instrument") or order.data._name
    price = order.created.price if order.exectype != order.Market and order.created.price else None
    return f"{side} {number(abs(order.size), 0)} {symbol} {order.getordername()}" + (f" {inr(price)}" if price else "")


# ---- what came of it ----------------------------------------------------------------------------


def _halted(gate: Any) -> str:
    """Why the gate lets nothing be opened any more; empty if it does."""
    if gate is None:
        return ""
    halted = gate.state is State.HALTED or gate.ledger.latched is not None
    return str(gate.reason) if halted else ""


_MISTAKES = {type(rule).__name__ for rule in EXCHANGE_RULES} | {"quantity", "exectype"}


def _mistake(broker: Any) -> str:
    """The first denial of what no market takes, such as a quantity off the lot size: the strategy's mistake."""
    orders = broker.orders.values() if isinstance(broker.orders, Mapping) else broker.orders
    for order in orders:
        if order.info.get("denied_by") in _MISTAKES:
            return str(order.info["denied"])
    return ""


def _crashed(error: Exception, strategy: type, broker: Any, datas: Sequence[Any]) -> BtkiteError:
    """What to say of a run that an error ended: which line of the strategy, and what is still open."""
    open_now = list(_left_open(broker, datas))
    left = f"; still open: {'; '.join(open_now)}" if open_now else ""
    if isinstance(error, BtkiteError):
        if left:
            error.args = (f"{error}{left}", *error.args[1:])
        return error
    source = inspect.getsourcefile(strategy)
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == source]
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return BtkiteError(f"{strategy.__name__} failed{where} with {type(error).__name__}: {error}{left}")


def _left_open(broker: Any, datas: Sequence[Any]) -> Iterator[str]:
    """Orders that still work, and positions."""
    for order in broker.get_orders_open():
        done = f", {number(abs(order.executed.size), 0)} filled" if order.executed.size else ""
        kite = order.info.get("order_id")
        yield f"order {_order_text(order)} ({order.getstatusname()}{done}{f', Kite {kite}' if kite else ''})"
    seen = set()
    for data in datas:
        position = broker.getposition(data)
        key = data.instrument.key
        if position.size and key not in seen:
            seen.add(key)
            yield f"position {number(position.size, 0)} {key} at {inr(position.price)}"
