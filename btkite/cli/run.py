"""``btkite run``: one strategy on history, on paper or live."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import BtkiteError
from .app import Call, call_of

if TYPE_CHECKING:
    from ..config import Config
    from ..report.result import RunResult
    from ..runs import Run


_INSTEAD = {"--sessions": ": --to ends it", "--confirm": ": it sends no order"}


def run(
    ctx: typer.Context,
    strategy: Annotated[str, typer.Argument(metavar="STRATEGY", help="path/file.py:Class, or module:Class.")],
    symbols: Annotated[
        list[str],
        typer.Option("--symbol", "-s", metavar="SYMBOL", help="NSE:INFY, or INFY on NSE; may be given several times."),
    ],
    interval: Annotated[
        str, typer.Option("--interval", "-i", metavar="INTERVAL", help="minute, 5minute, day …")
    ] = "minute",
    start: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First day (or moment) that is traded, IST.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last day, included.")] = None,
    params: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="A parameter of the strategy; may be repeated."),
    ] = None,
    mode: Annotated[
        str, typer.Option("--mode", metavar="MODE", help="backtest, paper (no order is sent) or live (orders are).")
    ] = "backtest",
    confirm: Annotated[
        str | None,
        typer.Option("--confirm", metavar="USER_ID", help="The account's client id: live does not start without it."),
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", metavar="NAME", help="kite, sandbox, simulator or an address.")
    ] = None,
    warmup: Annotated[
        int | None, typer.Option("--warmup", metavar="N", help="Bars before the start that only warm indicators up.")
    ] = None,
    capital: Annotated[
        float | None, typer.Option("--capital", metavar="RUPEES", help="Money allotted to the strategy.")
    ] = None,
    product: Annotated[
        str | None,
        typer.Option("--product", metavar="PRODUCT", help="Kite's product of orders that open: MIS, CNC, NRML, MTF."),
    ] = None,
    sessions: Annotated[
        int | None, typer.Option("--sessions", metavar="N", help="End a paper or live run after N sessions.")
    ] = None,
    made_up: Annotated[
        bool, typer.Option("--made-up", help="Trade made-up candles, to try things out; they have days of their own.")
    ] = False,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", min=0, help="Other made-up candles, instead of those of exchange.seed."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Configuration file, instead of ./config.yaml.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON, and nothing else.")] = False,
    save: Annotated[bool, typer.Option("--save/--no-save", help="Keep the run in a folder of paths.runs.")] = True,
) -> None:
    """Run a strategy on stored candles (backtest), on a market with simulated fills (paper), or live.

    On the endpoint simulator, where nobody serves an exchange, one is started for the run.
    """
    from .. import runs
    from ..loading import load_strategy, parse_params
    from ..modes import mode as mode_of
    from ..report.result import RunResult

    call = call_of(ctx)
    settings = (Call(config, call.debug) if config is not None else call).config(
        {
            "broker.kite_connect.endpoint": endpoint,
            "data.warmup": warmup,
            "broker.capital": capital,
            "broker.default_product": product,
            "run.sessions": sessions,
            "exchange.seed": seed,
        }
    )
    quiet = settings.run.quiet
    say = _to_stderr if as_json else _to_stdout
    facts = mode_of(mode)
    found = load_strategy(strategy)
    given = parse_params(found, params or [])
    if facts.arm and confirm is None and sys.stdin.isatty() and runs.account_of(settings):
        confirm = _ask(settings, facts.name)
    plan = runs.prepare(
        found,
        symbols,
        mode=facts,
        interval=interval,
        start=start,
        end=end,
        params=given,
        config=settings,
        confirm=confirm,
        source=runs.MADE_UP if made_up else None,
        save=save,
        tell=None if quiet or not facts.journal else lambda at, line: say(f"{at:%Y-%m-%d %H:%M:%S}  {line}"),
    )
    for option, given_ in (("--sessions", sessions), ("--confirm", confirm)):
        if given_ is not None and not facts.journal:
            typer.echo(f"note: a {facts.name} has no use for {option}{_INSTEAD[option]}", err=True)
    if not quiet:
        show_banner(plan, say)
    try:
        result = plan.go()
    except BtkiteError as error:
        if isinstance(error.result, RunResult):
            _give(error.result, as_json)
        raise
    _give(result, as_json)
    finish(result)


def _give(result: RunResult, as_json: bool) -> None:
    if as_json:
        typer.echo(result.to_json(indent=2))
    else:
        show_result(result)


def _ask(settings: Config, mode: str) -> str:
    from .. import runs

    user = runs.account_of(settings)
    where = settings.broker.kite_connect.endpoint
    said: str = typer.prompt(f"{mode} sends orders for the account {user} on {where}. Type {user} to go on", err=True)
    return said.strip()


def show_banner(plan: Run, say: Callable[[str], None]) -> None:
    """What is about to happen, a line each."""
    rows = plan.banner()
    width = max(len(label) for label, _ in rows)
    for label, text in rows:
        say(f"{label:<{width}}  {text}")
    say("")


def show_result(result: RunResult) -> None:
    """First why it ended early and what was refused or could not have been; then the figures, what is still open, and
    where the run is kept."""
    from rich.console import Console

    from ..report.table import headline, stats_table

    console = Console(highlight=False, soft_wrap=False)
    for line in result.remarks:
        typer.echo(line)
    table = stats_table(result)
    table.title = None
    typer.echo(headline(result))
    console.print(table)
    _curve(result)
    typer.echo(result.still_open)
    if result.folder is not None:
        typer.echo(f"report: {result.folder / 'report.html'}")


_LEVELS = "▁▂▃▄▅▆▇█"


def _curve(result: RunResult) -> None:
    """The equity curve in one line of text."""
    from ..report.table import inr

    line = sparkline([float(value) for value in result.equity["value"]])
    if line:
        low, high = float(result.equity["value"].min()), float(result.equity["value"].max())
        typer.echo(f"equity {line} {inr(low)} to {inr(high)}")


def sparkline(values: list[float], width: int = 40) -> str:
    """The last value of each of ``width`` stretches as a block of eight heights; empty for a flat line."""
    if len(values) < 2 or min(values) == max(values):
        return ""
    count = min(width, len(values))
    picked = [values[(place + 1) * len(values) // count - 1] for place in range(count)]
    low, high = min(values), max(values)
    return "".join(_LEVELS[min(7, int((value - low) / (high - low) * 8))] for value in picked)


def finish(result: RunResult) -> None:
    """The exit code that a script acts on, and the sentence on stderr that goes with it."""
    if not result.exit_code:
        return
    if result.stopped:
        typer.echo(f"ended early: {result.stopped}", err=True)
    elif result.halted:
        typer.echo(f"error: the risk gate is halted: {result.halted}", err=True)
    else:
        typer.echo(f"error: the strategy gave orders that no market takes: {result.mistake}", err=True)
    raise typer.Exit(result.exit_code)


def _to_stdout(line: str) -> None:
    typer.echo(line)


def _to_stderr(line: str) -> None:
    typer.echo(line, err=True)


__all__: list[Any] = ["finish", "run", "show_banner", "show_result", "sparkline"]
