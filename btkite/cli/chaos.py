"""``btkite chaos``: a strategy against all that can go wrong between it and Kite, from a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import ConfigError

if TYPE_CHECKING:
    from ..checks.chaos import Verdict
    from ..checks.scenario import Scenario

_SAID = 50  # seeds between two words of how far it has come


def chaos(
    strategy: Annotated[
        str | None,
        typer.Argument(
            metavar="STRATEGY", help="path/file.py:Class, or module:Class. Default: one that gives all orders."
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Which faults, which market.")] = 1,
    seeds: Annotated[
        str | None, typer.Option("--seeds", metavar="A..B", help="Many seeds, both ends included, and a summary.")
    ] = None,
    minutes: Annotated[
        int, typer.Option("--minutes", metavar="M", help="Minutes of the market in which things go wrong.")
    ] = 20,
    symbols: Annotated[
        list[str] | None,
        typer.Option("--symbol", "-s", metavar="SYMBOL", help="NSE:INFY; may be given several times. Default: two."),
    ] = None,
    params: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", metavar="NAME=VALUE", help="A parameter of the strategy; may be repeated."),
    ] = None,
    jobs: Annotated[int, typer.Option("--jobs", "-j", metavar="N", min=1, help="With --seeds: so many at a time.")] = 1,
    script: Annotated[
        Path | None, typer.Option("--script", metavar="FILE", help="Replay a script that a failure has left.")
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FILE", help="Where the script of a failure goes. Default: chaos-SEED.json."),
    ] = None,
    shrink: Annotated[bool, typer.Option("--shrink/--no-shrink", help="Make the script of a failure short.")] = True,
) -> None:
    """Run a strategy live on a simulated exchange on which things go wrong, and judge what came of it.

    Faults of the exchange's table, orders of others, the kill switch, a dead token, SIGKILL: drawn from the seed. The
    judge is the exchange's own book. Exit code 1 if a promise was broken; then a script is left that replays it.
    """
    from ..checks.chaos import lines, play, plays
    from ..checks.lives import Stage

    if script is not None:
        _only_script(strategy, seeds, symbols, params)
        verdict = next(plays([_read(script)]))
        _echo(lines(verdict))
        raise typer.Exit(not verdict.kept)
    if seeds is not None:
        _many([_scenario(one, strategy, minutes, symbols, params) for one in _range(seeds)], jobs)
        return
    scenario = _scenario(seed, strategy, minutes, symbols, params)
    with Stage() as stage:
        verdict = play(stage, scenario)
        _echo(lines(verdict))
        if verdict.kept:
            return
        path = save or Path(f"chaos-{seed}.json")
        _leave(verdict, path, (lambda one: play(stage, one)) if shrink else None)
    raise typer.Exit(1)


def _echo(words: Iterator[str]) -> None:
    for line in words:
        typer.echo(line)


def _scenario(
    seed: int, strategy: str | None, minutes: int, symbols: list[str] | None, params: list[str] | None
) -> Scenario:
    """What is to be played; wrong words are told before anything is.

    :raises ConfigError: in one sentence.
    """
    from ..checks.scenario import RESTLESS
    from ..checks.storm import scenario_of
    from ..kite.instruments import parse_key
    from ..loading import load_strategy, parse_params

    where = strategy or RESTLESS
    parse_params(load_strategy(where), params or [])
    keys = tuple(dict.fromkeys(parse_key(one, "NSE") for one in symbols or ()))
    scenario = scenario_of(seed, minutes=minutes, strategy=where, symbols=keys, params=tuple(params or ()))
    scenario.check()
    return scenario


def _range(text: str) -> range:
    first, dots, last = text.partition("..")
    if not (dots and first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
        raise ConfigError(f"--seeds takes a range such as 1..100, not {text!r}")
    return range(int(first), int(last) + 1)


def _only_script(*others: object) -> None:
    if any(others):
        raise ConfigError("a script says all by itself: give --script without STRATEGY, --seeds, --symbol and --param")


def _read(path: Path) -> Scenario:
    from ..checks.scenario import Scenario
    from ..loading import load_strategy, parse_params

    found = Scenario.read(path)
    parse_params(load_strategy(found.strategy), list(found.params))
    return found


def _many(scenarios: list[Scenario], jobs: int) -> None:
    from ..checks.chaos import Summary, plays

    summary = Summary()
    for verdict in plays(scenarios, jobs=jobs):
        summary.add(verdict)
        for name, sentences in verdict.broken.items():
            typer.echo(f"seed {verdict.scenario.seed} broke: {name}: {sentences[0]}")
        if summary.count % _SAID == 0:
            typer.echo(f"{summary.count} of {len(scenarios)}", err=True)
    _echo(summary.lines())
    if summary.failed:
        typer.echo(f"`btkite chaos --seed {min(summary.failed)}` with the same options makes a script of the first")
        raise typer.Exit(1)


def _leave(verdict: Verdict, path: Path, play: Callable[[Scenario], Verdict] | None) -> None:
    """The script of a failure, as short as it gets."""
    from ..checks.chaos import lines
    from ..checks.shrink import shrunk

    if play is not None:
        typer.echo("making it short …", err=True)
        verdict = shrunk(verdict, play)
        _echo(lines(verdict))
    try:
        path.write_text(verdict.scenario.text(), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"the script cannot be written to {path}: {error.strerror}; say where with --save") from None
    typer.echo(f"`btkite chaos --script {path}` replays it")
