"""A run from start to end: lock, market, broker, Cerebro, result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import simulator, unclean
from ..clock import SystemClock
from ..config import Config
from ..errors import BtkiteError, JournalBroken
from ..journal import AccountLock
from ..log import get_logger, writing
from ..report.result import RunResult
from ..risk.gate import KillSwitch
from . import delivered, words
from .checks import check_market
from .ending import Ending, stoppable
from .keeping import account_record, held
from .markets import config_on
from .outcome import cut_short, outcome
from .telling import telling
from .waiting import set_off_when_live
from .watchdog import watched

if TYPE_CHECKING:
    from ..store import KiteStore
    from .alerting import Alerting
    from .plan import Run

log = get_logger(__name__)


def go(plan: Run) -> RunResult:
    """Run to the end of the candles, of the sessions, or to Ctrl-C, and say what came of it.

    An error that ends a run that had begun carries the result as its ``result``, and leaves the folder too.

    :raises AccountLocked: if another process runs this account.
    """
    with stoppable(on=plan.mode.bars == "stream") as ending:
        return _go(plan, ending)


def _go(plan: Run, ending: Ending) -> RunResult:
    folder: Any = None

    def kept(result: RunResult) -> RunResult:
        return result if folder is None else folder.write(result, report=plan.report)

    with ExitStack() as stack:
        stack.push(lambda kind, error, trace: _keep_what_was(error, kept))  # last of all, when the log is closed
        if plan.mode.journal:
            stack.enter_context(held(AccountLock(plan.folder / "lock", SystemClock())))
        config = plan.config
        if plan.starts_exchange:
            assert plan.begin is not None
            market = stack.enter_context(simulator.started(config, plan.candles, plan.instruments, plan.begin))
            config = config_on(config, market)
        store, broker, alerting = _open_market(plan, config, stack, ending)
        cerebro = _cerebro(plan, store, broker)
        if alerting is not None:
            alerting.watch(cerebro)
        if plan.starts_exchange and not market.lockstep:
            set_off_when_live(cerebro, market.set_off)
        folder = _open_folder(plan, config, stack) if plan.save else None
        if folder is not None:  # also of a run that fails
            stack.callback(lambda: folder.note_events(broker.record.lines()))
        if plan.mode.journal:
            stack.enter_context(telling(plan, store, broker, cerebro))
            stack.enter_context(watched(plan, store))
        if folder is not None and not plan.candles:  # also of a run that fails
            stack.callback(lambda: folder.note_data(delivered.entries(delivered.candles_of(cerebro.datas))))
        result = _run(plan, cerebro, broker, ending)
        if alerting is not None:
            alerting.last_words()
            portfolio = alerting.evening(result.portfolio)
            result = replace(result, alerts=dict(alerting.alerts.counts), portfolio=portfolio)
    return kept(result)


def _keep_what_was(error: BaseException | None, kept: Callable[[RunResult], RunResult]) -> None:
    if isinstance(error, BtkiteError) and isinstance(error.result, RunResult):
        error.result = kept(error.result)


def _open_market(plan: Run, config: Config, stack: ExitStack, ending: Ending) -> tuple[KiteStore, Any, Alerting | None]:
    from ..brokers.record import Jotter, Record
    from ..store import KiteStore

    store = KiteStore(mode=plan.mode, config=config, confirm=plan.confirm)  # type: ignore[call-arg]  # its params
    ending.store = store
    stack.callback(store.stop)
    lasting: dict[str, Any] = {"kill": KillSwitch(plan.folder / "kill")} if plan.mode.journal else {}
    if plan.mode.journal and not plan.starts_exchange:  # an exchange of our own begins anew, and so its account
        lasting["record"] = stack.enter_context(account_record(plan.folder / "journal.sqlite", store.clock))
    elif plan.save:
        lasting["record"] = Jotter()
    broker = store.getbroker(cash=config.broker.capital, **lasting)
    check_market(plan, store, broker)
    alerting = _alerting(plan, config, store, broker, stack)
    if isinstance(record := lasting.get("record"), Record):
        _count_ends(record.journal, store, broker, stack, ending)
    return store, broker, alerting


def _count_ends(journal: Any, store: KiteStore, broker: Any, stack: ExitStack, ending: Ending) -> None:
    """This run is written down as begun; entries pause if the ones before it ended badly again and again."""
    wall = SystemClock()
    found = unclean.begin(journal, wall.now())
    why = unclean.sentence(found)
    if why:
        store.on_probation(unclean.CAUSE, f"{why}: btkite resume, or ten minutes", wall.now() + unclean.WITHIN)

    def ended(kind: type[BaseException] | None, error: BaseException | None, *_: Any) -> None:
        if isinstance(error, Exception) and (not isinstance(error, BtkiteError) or isinstance(error, JournalBroken)):
            return  # nobody knows how
        failed = type(error) is BtkiteError  # the strategy's error, say; all the rest was stopped in good order
        why = ending.why or (str(error) if error else "as planned")
        unclean.end(journal, wall.now(), why, found if failed else ())

    ending.last_words = lambda reason: unclean.end(journal, wall.now(), f"{reason}, in haste")
    stack.push(ended)


def _alerting(plan: Run, config: Config, store: KiteStore, broker: Any, stack: ExitStack) -> Alerting | None:
    """A person hears of what happens, if addresses are given; it is kept in any case. History tells nobody."""
    if not plan.mode.journal:
        return None
    from .alerting import Alerting

    found = Alerting(plan, config, store, broker)
    stack.push(found.ended)
    return found


def _open_folder(plan: Run, config: Config, stack: ExitStack) -> Any:
    import yaml

    from ..report.folder import RunFolder

    folder = RunFolder.create(
        Path(config.paths.runs),
        now=SystemClock().now(),
        mode=plan.mode.name,
        strategy=plan.strategy.__name__,
        symbols=plan.symbols,
    )
    text = yaml.safe_dump(plan.config.snapshot(), sort_keys=False, allow_unicode=True)
    folder.snapshot(config=text, data=delivered.entries(plan.traded))
    stack.enter_context(writing(folder.log, config.log.level))
    return folder


def _cerebro(plan: Run, store: KiteStore, broker: Any) -> Any:
    from ..analyzers import Equity, Orders, Trades
    from ..engine import Cerebro

    cerebro = Cerebro(stdstats=False, warmup=plan.config.run.warmup, engine=plan.config.run.engine)
    cerebro.shelf = plan.shelf
    for data in _feeds(plan, store):
        cerebro.adddata(data)
    cerebro.setbroker(broker)
    cerebro.addstrategy(plan.strategy, **plan.params)
    for analyzer in (Orders, Trades, Equity):
        cerebro.addanalyzer(analyzer)
    for analyzer, params in plan.analyzers:
        cerebro.addanalyzer(analyzer, **params)
    if plan.tell is not None:
        cerebro.addanalyzer(words.Told, tell=plan.tell)
    return cerebro


def _run(plan: Run, cerebro: Any, broker: Any, ending: Ending) -> RunResult:
    log.info("run", **dict(plan.banner()))
    ending.cerebro = cerebro
    cerebro.addstorecb(ending.heard)
    try:
        (strategy,) = cerebro.run()
    except Exception as error:
        failure = words.failed(error, plan.strategy)
        failure.result = cut_short(plan, cerebro, broker, failure)
        raise words.with_open(failure, broker, cerebro.datas) from error
    result = outcome(plan, strategy, broker, ending)
    figures = {str(key): str(value) for key, value in result.stats.items()}
    log.info("end", left_open=result.left_open, **figures)
    return result


def _feeds(plan: Run, store: KiteStore) -> Iterator[Any]:
    for key in plan.symbols:
        if plan.mode.bars == "stream":
            yield store.getdata(key, interval=plan.interval)
            continue
        from ..feed import KiteData

        feed = KiteData(  # type: ignore[call-arg]  # backtrader's params
            dataname=plan.candles[key],
            interval=plan.interval,
            fromdate=plan.begin,
            todate=plan.end,
            warmup=plan.config.data.warmup,
            decide_at=plan.config.broker.decide_at if plan.interval == "day" else None,
        )
        feed.bind(plan.instruments[key])
        yield feed
