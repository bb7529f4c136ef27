"""``btkite check``: what a strategy, and btkite itself, do when the process dies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .app import Call, call_of

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="What happens when the process dies."
)
_SAID = 100  # days between two words of how far it has come
_SESSIONS = 3  # that are played if nobody says from when


@app.command("restart")
def restart(
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
        str | None,
        typer.Option("--from", metavar="DATE", help=f"First day that is traded. Default: the last {_SESSIONS}."),
    ] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="DATE", help="Last day, included.")] = None,
    params: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="A parameter of the strategy; may be repeated."),
    ] = None,
    warmup: Annotated[
        int | None, typer.Option("--warmup", metavar="N", help="Bars before the start that only warm indicators up.")
    ] = None,
    kills: Annotated[
        int, typer.Option("--kills", metavar="N", min=1, help="After how many bars it is killed, each in a run anew.")
    ] = 5,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Which bars these are.")] = 1,
    made_up: Annotated[
        bool, typer.Option("--made-up", help="Trade made-up candles (exchange.seed), to try things out.")
    ] = False,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="Configuration file, instead of ./config.yaml.")
    ] = None,
) -> None:
    """Kill a strategy between two bars, start it again, and find the first bar where it decides differently.

    It trades its candles live on a simulated exchange. Exit code 1 if a restart went another way.
    """
    from .. import runs
    from ..checks import restart as checking
    from ..checks.lives import Day
    from ..loading import load_strategy, parse_params

    call = call_of(ctx)
    file = config if config is not None else call.config_path
    settings = Call(file, call.debug).config({"data.warmup": warmup})
    found = load_strategy(strategy)
    plan = runs.prepare(
        found,
        symbols,
        interval=interval,
        start=start,
        end=end,
        params=parse_params(found, params or []),
        config=settings,
        source=runs.MADE_UP if made_up else None,
    )
    if start is None:
        plan = checking.shortened(plan, _SESSIONS)
    script = checking.script_of(plan, strategy, params or [], "" if file is None else str(file))
    results: list[checking.Restart] = []
    whole = Day()
    for step in checking.check(plan, script, kills=kills, seed=seed):
        if isinstance(step, Day):
            whole = step
            given = sum(len(bar["given"]) for bar in whole.bars)
            typer.echo(f"{found.__name__} without a kill: {len(whole.bars)} bars, {given} orders given")
            continue
        results.append(step)
        verdict = "the same" if step.same else "another way"
        typer.echo(f"killed after the bar of {step.killed:%Y-%m-%d %H:%M}: {verdict}")
    summary = checking.report(plan, whole, results)
    for line in checking.sentences(summary):
        typer.echo(line)
    if summary.first is not None:
        raise typer.Exit(1)


@app.command("crash")
def crash(
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of the scripted day, and of what is chosen.")] = 1,
    count: Annotated[
        int | None, typer.Option("--count", metavar="N", min=1, help="Die at so many boundaries. Default: at all.")
    ] = None,
    kills: Annotated[int, typer.Option("--kills", metavar="N", min=1, help="Deaths in one day.")] = 1,
    thin: Annotated[
        bool, typer.Option("--thin", help="On a market that trades three at each print: orders fill in parts.")
    ] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", metavar="N", min=1, help="Days at a time.")] = 1,
    at: Annotated[
        list[str] | None,
        typer.Option("--at", metavar="BOUNDARY", help="Die here and tell all, as 'journal intent: durable #3'."),
    ] = None,
) -> None:
    """Kill btkite at every journal write and around every request of a scripted day, and start it again.

    Nothing may be lost or done twice, and everything must be as in the day without a kill. Exit code 1 if not.
    """
    from ..checks import crash as crashing
    from ..checks.boundaries import Boundary
    from ..checks.lives import Stage

    what = crashing.script(seed, thin=thin)
    with Stage() as stage:
        whole = crashing.survey(stage, what)
        typer.echo(f"the day without a kill: {len(whole.bars)} bars, {len(whole.orders)} orders")
        if at:
            one = crashing.trial(stage, what, whole, tuple(map(Boundary.parse, at)))
            for line in crashing.Summary.of(whole, [one]).lines():
                typer.echo(line)
            for problem in one.problems[3:]:
                typer.echo(f"      {problem}")
            raise typer.Exit(bool(one.problems))
    done: list[crashing.Trial] = []
    planned = crashing.kills_of(whole.crossings, count, kills, seed)
    for one in crashing.trials(what, whole, planned, jobs=jobs):
        done.append(one)
        if len(done) % _SAID == 0:
            typer.echo(f"{len(done)} of {len(planned)}", err=True)
        if one.problems:
            typer.echo(f"{one}: {one.problems[0]}")
    summary = crashing.Summary.of(whole, done)
    for line in summary.lines():
        typer.echo(line)
    raise typer.Exit(bool(summary.failed))
