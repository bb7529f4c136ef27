"""``btkite config``: what is in force, whether it is right, where it comes from."""

from __future__ import annotations

import json
import os
import stat
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from ..config import Config, Loaded, default_path, examine, read
from ..errors import ConfigError
from ..settings import reading, rendering
from .app import call_of

app = typer.Typer(
    name="config", no_args_is_help=True, add_completion=False, rich_markup_mode=None, help="The configuration."
)


File = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="This file, as with `btkite --config FILE`.")
]


class Form(StrEnum):
    """What ``config docs`` prints."""

    YAML = "yaml"
    ENV = "env"
    MARKDOWN = "markdown"
    SCHEMA = "schema"


@app.command()
def show(
    ctx: typer.Context,
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="KEY", help="Only these keys or sections: risk, broker.capital.")
    ] = None,
    origins: Annotated[bool, typer.Option("--origins", help="Say where each value comes from.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: File = None,
) -> None:
    """Print the configuration in force, secrets masked."""
    loaded = read(config or call_of(ctx).config_path)
    values = _flat(loaded.config.snapshot())
    if keys:
        for key in keys:
            loaded.config.get(key)  # refuses an unknown one
        values = {path: value for path, value in values.items() if any(_under(path, key) for key in keys)}
    if as_json:
        typer.echo(json.dumps(reading.nest(values), indent=2, ensure_ascii=False))
        return
    for path, value in values.items():
        origin = f"  # {loaded.origins.get(path, 'default')}" if origins else ""
        typer.echo(f"{path}: {rendering.scalar(value)}{origin}")


@app.command()
def check(ctx: typer.Context, config: File = None) -> None:
    """Check file, .env and environment, and list all that is wrong."""
    loaded, problems = examine(config or call_of(ctx).config_path)
    for problem in problems[1:]:
        print(f"error: {problem}", file=sys.stderr)
    if loaded is None or problems:
        raise ConfigError(problems[0])
    for warning in _exposed(loaded):
        print(f"warning: {warning}", file=sys.stderr)
    said = len(loaded.origins)
    typer.echo(f"{loaded.path or 'no file'}: right; {said} key{'s' * (said != 1)} set, the others at their defaults")


@app.command()
def path(ctx: typer.Context, config: File = None) -> None:
    """Print which file is read."""
    named = config or call_of(ctx).config_path
    file = named if named is not None else default_path({**reading.read_dotenv(Path(".env")), **os.environ})
    if file is None:
        typer.echo("no file: the defaults and the environment")
        return
    if not file.is_file():
        raise ConfigError(f"there is no configuration file {file}")
    typer.echo(str(file.resolve()))


@app.command()
def docs(
    form: Annotated[
        Form,
        typer.Option("--as", help="yaml: a config.yaml; env: an env.example; markdown: tables; schema: JSON schema."),
    ] = Form.YAML,
) -> None:
    """Print every key with its default and meaning, as a file to start from."""
    if form is Form.SCHEMA:
        text = json.dumps(Config.model_json_schema(), indent=2, ensure_ascii=False) + "\n"
    else:
        prints = {Form.YAML: rendering.as_yaml, Form.ENV: rendering.as_env, Form.MARKDOWN: rendering.as_markdown}
        text = prints[form](Config)
    typer.echo(text, nl=False)


def _flat(tree: dict[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{above}{name}.")
        else:
            flat[f"{above}{name}"] = value
    return flat


def _under(path: str, key: str) -> bool:
    return path == key or path.startswith(f"{key}.")


def _exposed(loaded: Loaded) -> list[str]:
    """Files that hold a secret and that others on this machine may read."""
    if os.name == "nt":
        return []
    secret_keys = ("broker.kite_connect.api_secret", "broker.kite_connect.access_token", "alerts.urls")
    values = _flat(loaded.config.snapshot())
    said = [loaded.origins.get(key, "") for key in secret_keys if values[key]]
    files = []
    if loaded.path is not None and any(origin.startswith(f"{loaded.path.name},") for origin in said):
        files.append(loaded.path)
    if any(origin.startswith(".env,") for origin in said):
        files.append(Path(".env"))
    open_to_others = [file for file in files if file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    return [f"{file} holds a secret and others may read it: chmod 600 {file}" for file in open_to_others]
