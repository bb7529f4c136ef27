"""``btkite sweep``: a strategy with many sets of parameters, on stored candles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .app import Call, call_of

if TYPE_CHECKING:
    from ..sweeps import SweepResult


def sweep(
    ctx: typer.Context,
    strategy: Annotated[str, typer.Argument(metavar="STRATEGY", help="path/file.py:Class, or module:Class.")],
    symbols: Annotated[
        list[str],
        typer.Option("--symbol", "-s", metavar="SYMBOL", help="NSE:INFY, or INFY on NSE; may be given several times."),
    ],
    sets: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=RANGE", help="What is varied: fast=5..50:5 (from, to, step) or fast=5,10,20."
        ),
    ] = None,
    interval: Annotated[
        str, typer.Option("--interval", "-i", metavar="INTERVAL", help="minute, 5minute, day …")
    ] = "minute",
    start: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="First day (or moment) that is traded, IST.")
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last day, included.")] = None,
    params: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="A parameter that stays; may be repeated."),
    ] = None,
    search: Annotated[
        str, typer.Option("--search", metavar="HOW", help="grid (all sets), random, or optuna, which learns.")
    ] = "grid",
    trials: Annotated[
        int | None, typer.Option("--trials", metavar="N", help="Sets that random or optuna tries; 100 without it.")
    ] = None,
    search_seed: Annotated[
        int, typer.Option("--search-seed", metavar="N", min=0, help="Other sets of such a search.")
    ] = 0,
    metric: Annotated[
        str,
        typer.Option("--metric", metavar="FIGURE", help="What ranks: sharpe, return_percent, profit_factor …"),
    ] = "sharpe",
    out_of_sample: Annotated[
        float | None,
        typer.Option(
            "--out-of-sample", metavar="PERCENT", help="Hold the last days back; the best ten are then tried on them."
        ),
    ] = None,
    walk_forward: Annotated[
        int | None,
        typer.Option(
            "--walk-forward", metavar="FOLDS", help="So many times: the best set of some days, on the days after them."
        ),
    ] = None,
    anchored: Annotated[
        bool, typer.Option("--anchored", help="Each fold learns on all days before, not on three times its own.")
    ] = False,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", metavar="N", help="Processes; one for each core without it.")
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option("--dask", metavar="ADDRESS", help="A Dask scheduler whose workers do it: tcp://HOST:8786."),
    ] = None,
    store: Annotated[
        Path | None,
        typer.Option(
            "--store", metavar="FOLDER", help="Where rows are kept, to go on from; sweeps in paths.state without it."
        ),
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what is kept, and try all sets again.")] = False,
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
    save: Annotated[bool, typer.Option("--save/--no-save", help="Leave a folder with tables and heat map.")] = True,
) -> None:
    """Try many sets of parameters on stored candles, rank them, and say how much of the best is luck.

    Rows are kept as they are found: the same command again, after Ctrl-C or a crash, goes on from there.
    """
    from .. import sweeps
    from ..loading import load_strategy, parse_params
    from ..runs import MADE_UP
    from .sweeping import shown

    call = call_of(ctx)
    file = config if config is not None else call.config_path
    settings = Call(file, call.debug).config({"data.warmup": warmup, "broker.capital": capital, "exchange.seed": seed})
    found = load_strategy(strategy)
    plan = sweeps.prepare(
        strategy,
        symbols,
        sets or [],
        params=parse_params(found, params or []),
        search=search,
        trials=trials,
        search_seed=search_seed,
        metric=metric,
        out_of_sample=out_of_sample,
        walk_forward=walk_forward,
        anchored=anchored,
        jobs=jobs,
        dask=dask,
        store=store,
        fresh=fresh,
        save=save,
        interval=interval,
        start=start,
        end=end,
        product=product,
        config=settings,
        config_file=file,
        source=MADE_UP if made_up else None,
    )
    with shown(plan, quiet=settings.run.quiet or as_json) as told:
        result = plan.go(told)
    _give(result, as_json)
    if result.stopped:
        typer.echo(f"ended early: {result.stopped}", err=True)
    if result.exit_code:
        raise typer.Exit(result.exit_code)


def _give(result: SweepResult, as_json: bool) -> None:
    if as_json:
        typer.echo(result.to_json(indent=2))
        return
    from rich.console import Console

    typer.echo(result.show(Console().width))
    if result.command:
        typer.echo(f"row 1 again: {result.command}")
    if result.folder is not None:
        typer.echo(f"kept in {result.folder}")


__all__ = ["sweep"]
