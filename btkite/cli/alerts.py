"""``btkite alerts``: what a person was told, or would have been; from the file that the runs keep."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .app import call_of

if TYPE_CHECKING:
    from ..config import Config
    from ..watch.places import Place


def alerts(
    ctx: typer.Context,
    kind: Annotated[
        list[str] | None,
        typer.Option("--kind", "-k", metavar="KIND", help="Only of this kind (trade, denial …); may be repeated."),
    ] = None,
    level: Annotated[
        str, typer.Option("--level", metavar="LEVEL", help="The least level: info, warning, error, critical.")
    ] = "info",
    since: Annotated[
        str | None,
        typer.Option(
            "--since", metavar="MOMENT", help="From this market time on: 2026-11-23, or with a time behind it."
        ),
    ] = None,
    find: Annotated[str, typer.Option("--find", metavar="WORDS", help="Only with these words in it.")] = "",
    last: Annotated[int, typer.Option("--last", "-n", metavar="COUNT", min=1, help="The newest so many.")] = 50,
    mode: Annotated[
        str | None, typer.Option("--mode", metavar="MODE", help="paper or live; both, if they are known, without it.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", metavar="NAME", help="kite, sandbox, simulator or an address.")
    ] = None,
    summary: Annotated[bool, typer.Option("--summary", help="Only how many there were of each kind.")] = False,
    test: Annotated[
        bool, typer.Option("--test", help="Deliver one alert to every address of alerts.urls, and say how that went.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """The alerts of an account and what became of each: delivered, failed, repeated, held back, or only logged.

    With --test the exit code is 1 if an address could not be reached.
    """
    config = call_of(ctx).config({"broker.kite_connect.endpoint": endpoint})
    if test:
        _test(config)
        return
    found = _found(config, mode, kind or [], level, since, find)
    from ..alerts.history import summary as summed

    facts, rows = summed(found), found[-last:]
    if as_json:
        shown: dict[str, Any] = {"summary": facts, **({} if summary else {"alerts": rows})}
        typer.echo(json.dumps(shown, ensure_ascii=False, indent=2))
        return
    for row in () if summary else rows:
        for line in _lines(row):
            typer.echo(line)
    kinds = ", ".join(f"{name} {count}" for name, count in facts["kinds"].items())
    fates = ", ".join(f"{count} {name}" for name, count in facts["became"].items())
    typer.echo(f"{facts['total']} alerts: {kinds} ({fates})" if found else "no alert is known")


def _found(
    config: Config, mode: str | None, kinds: list[str], level: str, since: str | None, find: str
) -> list[Mapping[str, Any]]:
    from ..alerts import KINDS, LEVELS
    from ..alerts.history import chosen, kept
    from ..errors import ConfigError

    for one in kinds:
        if one not in KINDS:
            raise ConfigError(f"there is no kind {one!r}: use some of {', '.join(KINDS)}")
    if level not in LEVELS:
        raise ConfigError(f"there is no level {level!r}: use one of {', '.join(LEVELS)}")
    try:
        start = None if since is None else datetime.fromisoformat(since).replace(tzinfo=None)
    except ValueError:
        raise ConfigError(f"--since {since}: say a moment as 2026-11-23 or 2026-11-23T10:30") from None
    rows = [
        {**row, "account": place.account, "mode": place.mode, "endpoint": place.endpoint}
        for place in _places(config, mode)
        for row in kept(place.alerts)
    ]
    rows.sort(key=lambda row: str(row["time"]))
    return chosen(rows, kinds=kinds, least=LEVELS.index(level), levels=LEVELS, since=start, words=find)


def _places(config: Config, mode: str | None) -> list[Place]:
    from ..errors import ConfigError
    from ..modes import MODES
    from ..watch.places import places

    found: list[Place] = []
    for name in [mode] if mode is not None else [name for name, row in MODES.items() if row.journal]:
        try:
            found += places(name, config, None)
        except ConfigError:
            if mode is not None:
                raise
    return found


def _lines(row: Mapping[str, Any]) -> list[str]:
    """``2026-11-23 10:31:07 warning denial delivered  SmaCross (live): order denied``, the body below it."""
    failed = [scheme for scheme, became in row["to"] if became == "failed"]
    fate = row["became"] + (f" (not to {', '.join(failed)})" if failed else "")
    head = f"{row['time'] or '':<19}  {row['level']:<8} {row['kind']:<10} {fate:<10}  {row['title']}"
    return [head, *(f"    {line}" for line in str(row["body"]).splitlines())]


def _test(config: Config) -> None:
    from ..alerts import Alert
    from ..alerts.couriers import notify, targets
    from ..errors import ConfigError

    if not config.alerts.urls:
        raise ConfigError("there is no address: set alerts.urls (BTKITE_ALERTS__URLS)")
    alert = Alert("info", "btkite: a test", "This address is told what happens in a run.", "test")
    reached = [(target.scheme, notify(target, alert)) for target in targets(config.alerts.urls)]
    for number, (scheme, done) in enumerate(reached):
        typer.echo(f"alerts.urls[{number}] ({scheme}): {'delivered' if done else 'not delivered'}")
    if not all(done for _, done in reached):
        raise typer.Exit(1)
