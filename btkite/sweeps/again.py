"""The command line that runs one row again: ``btkite run`` with what differs from the settings in force."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from .. import runs
from ..config import Config, load
from ..settings import reading
from ..settings.rendering import scalar

_OPTIONS = {"data.warmup": "--warmup", "broker.capital": "--capital", "broker.default_product": "--product"}
_LEFT_OUT = (
    "broker.kite_connect.",
    "network.",
    "alerts.",
    "log.",
    "exchange.",
    "paths.runs",
    "run.quiet",
    "run.sessions",
)


def command_of(run: runs.Run, reference: str, file: str | Path | None, source: Any) -> str:
    """``btkite run …`` without a set's own parameters and days; empty where no command line can say it: candles that
    were given in Python, a strategy that only this process knows."""
    if not reference or not (source is None or isinstance(source, str)):
        return ""
    words = ["btkite", "run", reference]
    for symbol in run.symbols:
        words += ["-s", symbol]
    words += ["-i", run.interval]
    variables = []
    before = load(file)
    for key, value in _changes(before, run.config):
        if key in _OPTIONS:
            words += [_OPTIONS[key], _said(value)]
        else:
            variables.append(f"{reading.variable(key)}={shlex.quote(_said(value))}")
    if file is not None:
        words += ["--config", str(file)]
    if source == runs.MADE_UP:
        words += ["--made-up", "--seed", str(run.config.exchange.seed)]
    return " ".join([*variables, shlex.join(words)])


def _changes(before: Config, after: Config) -> list[tuple[str, Any]]:
    keys = [key for key in reading.leaves(Config) if not key.startswith(_LEFT_OUT)]
    return [(key, after.get(key)) for key in keys if after.get(key) != before.get(key)]


def _said(value: Any) -> str:
    """As the environment has it."""
    if isinstance(value, tuple):
        return (";" if any(" " in str(one) for one in value) else ",").join(map(str, value))
    if isinstance(value, float):
        return f"{value:g}" if float(f"{value:g}") == value else repr(value)
    return value.as_posix() if isinstance(value, Path) else scalar(value)
