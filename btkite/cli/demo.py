"""``btkite demo``: the three modes side by side on the built-in exchange, and a walk through what they share."""

from __future__ import annotations

import sys
import tempfile
from datetime import datetime
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import BtkiteError, ConfigError

if TYPE_CHECKING:
    from ..config import Config
    from ..report.result import RunResult

SYMBOL = "NSE:RELIANCE"
INTERVAL = "5minute"
STRATEGY = "sma_cross.py"
PARAMS = {"fast": 8, "slow": 21}
WARMUP = 75  # one session
PRODUCT = "CNC"  # it holds overnight, for which MIS is not made
TOO_MUCH = 25.0  # per cent of the capital, where the limit is 10
TOO_LITTLE = 1_000.0  # ₹ of one order, where a share costs more
MODES = ("backtest", "paper", "live")


def demo(
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Another seed, another market.")] = 7,
) -> None:
    """Run one strategy on history, on paper and live, on the built-in exchange. Needs no account and no network.

    Works in temporary folders; only the reports stay, in ./runs. Fails if the three modes differ.
    """
    from ..config import Config
    from ..report import table as tables

    with tempfile.TemporaryDirectory(prefix="btkite-demo-", ignore_cleanup_errors=True) as folder:
        # Neither the working folder's settings nor a real account have a part in this.
        config = Config().with_(
            **{
                "data.cache": str(Path(folder, "candles")),
                "paths.state": str(Path(folder, "state")),
                "paths.runs": "runs",
                "data.warmup": WARMUP,
                "broker.default_product": PRODUCT,
                "exchange.seed": seed,
                "exchange.port": 0,
            }
        )
        begin = _make_market(config, seed)
        strategy = find_strategy(STRATEGY)
        _head("One strategy, three modes")
        given = ", ".join(f"{name}={value}" for name, value in PARAMS.items())
        _say(f"{_shown(strategy)}:SmaCross({given}) on {SYMBOL}, {INTERVAL} candles made up from seed {seed}.")
        _say("backtest reads them; paper and live get them as ticks from the built-in exchange, which speaks")
        _say("Kite's wire; live places its orders there over REST and hears of its fills over the WebSocket.")
        _say("Nothing leaves this machine.")
        results = [_run(config, strategy, mode, begin) for mode in MODES]
        _say("")
        _print(tables.comparison_table(results))
        same = _verdict(results)
        _show_gate(config, strategy, begin)
        _show_lifecycle(config, begin)
        _head("Where to look")
        _say("reports (they open in a browser, without a network):")
        for result in results:
            assert result.folder is not None
            _say(f"  {result.mode:<9} {result.folder / 'report.html'}")
        _say("next: README.md, `btkite run --help`, `btkite data import FILE` for candles of your own")
        if not same:
            raise typer.Exit(BtkiteError.exit_code)


def _make_market(config: Config, seed: int) -> datetime:
    """Candles in the demo's own cache: some sessions to warm up, then five that are traded."""
    from .. import simulator
    from ..candles import CandleCache

    candles, begin = simulator.made_up([SYMBOL], INTERVAL, seed=seed, warmup=WARMUP)
    cache = CandleCache(Path(config.data.cache))
    for one in candles.values():
        cache.write(one)
    return begin


def find_strategy(name: str) -> Path:
    """One of the shipped strategies: in the repository, or where the installation has put them.

    :raises ConfigError: if it is in neither.
    """
    here = Path(__file__).resolve().parents[2] / "strategies" / name
    if here.is_file():
        return here
    try:
        shipped = [file for file in files("btkite") or () if file.match(f"share/btkite/strategies/{name}")]
    except PackageNotFoundError:
        shipped = []
    for file in shipped:
        path = Path(str(file.locate())).resolve()
        if path.is_file():
            return path
    raise ConfigError(f"strategies/{name} is neither in the repository nor installed: install btkite again")


def _shown(path: Path) -> str:
    """Short where it can be, so that it can be typed."""
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _run(config: Config, strategy: Path, mode: str, begin: datetime) -> RunResult:
    from .. import runs

    user = config.exchange.user_id
    result = runs.run(
        f"{strategy}:SmaCross",
        [SYMBOL],
        mode=mode,
        interval=INTERVAL,
        start=begin,
        params=PARAMS,
        config=config,
        confirm=user,
        save=True,
    )
    _say(f"  {mode:<9} done, {result.stats['orders']} orders")
    return result


def _verdict(results: list[RunResult]) -> bool:
    """Says whether the modes gave the same orders and trades, and returns it."""
    same = len({(one.orders_digest, one.trades_digest) for one in results}) == 1
    if same:
        _say("Order by order and trade by trade the three are the same.")
    else:
        _say("The three differ: see the column 'same'.")
    for line in dict.fromkeys(line for one in results for line in (*one.remarks, one.still_open)):
        _say(f"{line[:1].upper()}{line[1:]}")
    return same


# ---- the gate -----------------------------------------------------------------------------------


def _show_gate(config: Config, strategy: Path, begin: datetime) -> None:
    from .. import runs

    _head("The gate")
    _say(
        f"The same strategy asks for {TOO_MUCH:g} % of the capital in one position, and its sizer is held to the limit:"
    )
    greedy = {**PARAMS, "percent": TOO_MUCH}
    runs.run(f"{strategy}:SmaCross", [SYMBOL], interval=INTERVAL, start=begin, params=greedy, config=config)
    _say(f"Where not even one share can pass, here with orders of at most ₹{TOO_LITTLE:,.0f}, the gate says why:")
    tight = config.with_(**{"risk.max_order_value": TOO_LITTLE})
    result = runs.run(f"{strategy}:SmaCross", [SYMBOL], interval=INTERVAL, start=begin, params=PARAMS, config=tight)
    _say(f"  {result.denied}")
    reason = next((text for text in result.denials.counts), "")
    _say(f"  for example: {reason}")


# ---- one order's life ---------------------------------------------------------------------------


def _show_lifecycle(config: Config, begin: datetime) -> None:
    """A live run made of its pieces, as a script would make it, and the account as the exchange sees it."""
    from .. import runs, simulator
    from ..engine import Cerebro
    from ..report.table import inr, number
    from ..store import KiteStore

    _head("An order's life, live")
    plan = runs.prepare(
        "btkite.cli.demo_orders:OneOfEach",
        [SYMBOL],
        mode="live",
        interval=INTERVAL,
        start=begin,
        end=begin.date(),
        config=config,
        confirm=config.exchange.user_id,
    )
    with simulator.started(config, plan.candles, plan.instruments, begin) as market:
        settings = runs.config_on(config, market)
        store = KiteStore(mode="live", config=settings, confirm=plan.account)  # type: ignore[call-arg]  # its params
        cerebro = Cerebro(stdstats=False)
        cerebro.adddata(store.getdata(SYMBOL, interval=INTERVAL))
        cerebro.setbroker(store.getbroker())
        cerebro.addstrategy(plan.strategy, say=_say)
        cerebro.run()
        _say("and at the exchange, asked with store.orders(), store.positions() and store.margins():")
        for row in store.orders():
            price = f" at {inr(row.average_price)}" if row.average_price else ""
            side = f"{row.transaction_type:<4} {number(row.quantity, 0)}"
            _say(f"  order {row.order_id}  {side} {row.order_type:<6} {row.status}{price}")
        net = {str(row["tradingsymbol"]): row for row in store.client.call("positions")["net"]}
        for name, row in net.items():
            _say(f"  position {name}: {number(row['quantity'], 0)}, P&L before charges {inr(row['pnl'])}")
        _say(f"  available {inr(store.margins()['equity']['net'])}")


# ---- lines --------------------------------------------------------------------------------------


def _head(text: str) -> None:
    typer.echo(f"\n{text}\n{'=' * len(text)}")


def _say(line: str) -> None:
    typer.echo(line)


def _print(table: Any) -> None:
    from rich.console import Console

    Console(file=sys.stdout, highlight=False).print(table)


__all__: list[str] = ["demo", "find_strategy"]
