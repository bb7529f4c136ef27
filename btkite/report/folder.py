"""The folder that a run leaves: what it was given, what it did, and the page to look at.

``runs/20261118-091500-backtest-SmaCross-INFY/``: see ``docs/results.md`` for every file in it. Files are
written whole or not at all; ``stats.json`` is written last, so a folder that has it is complete.
"""

from __future__ import annotations

import json
import platform
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from .html import SCRIPT, replace_text, write_report
from .picture import write_png

if TYPE_CHECKING:
    import pandas as pd

    from .result import RunResult

PACKAGES = ("backtrader", "kiteconnect", "btkite", "numpy", "pandas")
EVENTS = "events.jsonl"
FILES = ("orders.csv", "trades.csv", "equity.csv", "stats.json", "config.yaml", "versions.json", "data.json", EVENTS)
_RUPEES = ("value", "cash", "pnl", "pnlcomm", "commission")
_SAME_SECOND = 1_000  # folders of one name; more is a loop that went wrong


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One run's folder, which exists."""

    path: Path

    @classmethod
    def create(cls, root: Path, *, now: datetime, mode: str, strategy: str, symbols: Sequence[str]) -> RunFolder:
        """A new folder under ``root``, never one that is there already.

        :param now: naive IST, from the run's clock.
        :raises ConfigError: if it cannot be made.
        """
        name = folder_name(now, mode, strategy, symbols)
        try:
            root.mkdir(parents=True, exist_ok=True)
            for attempt in range(1, _SAME_SECOND):
                path = root / (name if attempt == 1 else f"{name}-{attempt}")
                try:
                    path.mkdir()  # the file system decides who was first
                except FileExistsError:
                    continue
                return cls(path)
        except OSError as error:
            raise ConfigError(f"the run's folder cannot be made in {root}: {error.strerror}") from error
        raise ConfigError(f"{root} has {_SAME_SECOND} folders named {name} already")

    @property
    def log(self) -> Path:
        """Where the run's log belongs."""
        return self.path / "run.log"

    def snapshot(self, *, config: str, data: Mapping[str, Any] | None = None) -> None:
        """Before the run: the settings (YAML text, already masked), the versions, each symbol's bars if known."""
        replace_text(self.path / "config.yaml", config)
        replace_text(self.path / "versions.json", _json(versions()))
        self.note_data(data or {})

    def note_data(self, data: Mapping[str, Any]) -> None:
        """On which bars the run was made, by symbol; after it, where they were not known before."""
        replace_text(self.path / "data.json", _json(dict(data)))

    def note_events(self, lines: Iterable[str]) -> None:
        """What happened to each order, a line of JSON each, for ``btkite orders explain --run``."""
        replace_text(self.path / EVENTS, "".join(f"{line}\n" for line in lines))

    def write(self, result: RunResult, *, report: bool = True) -> RunResult:
        """After the run: tables, figures and, with ``report``, page and picture. Returns the result with its folder."""
        result = result.kept_in(self.path)
        for name in ("orders", "trades", "equity"):
            replace_text(self.path / f"{name}.csv", csv_text(getattr(result, name)))
        if report:
            self._write_page(result)
        found = result.as_dict()
        del found["trades"], found["orders"]  # they have files of their own
        replace_text(self.path / "stats.json", _json(found))
        return result

    def _write_page(self, result: RunResult) -> None:
        config = self.path / "config.yaml"
        settings = config.read_text(encoding="utf-8") if config.exists() else ""
        if len(result.equity):
            write_png(result, self.path / "equity.png")
        files = [name for name in FILES if name == "stats.json" or (self.path / name).exists()]
        if self.log.exists():
            files.append(self.log.name)
        write_report(result, self.path / "report.html", config=settings, script=self.path.parent / SCRIPT, files=files)


def folder_name(now: datetime, mode: str, strategy: str, symbols: Sequence[str]) -> str:
    """``20261118-091500-paper-Pair-INFY+1``: the first symbol, and how many more there are."""
    first = symbols[0].rpartition(":")[2] if symbols else "none"
    more = f"+{len(symbols) - 1}" if len(symbols) > 1 else ""
    return f"{now:%Y%m%d-%H%M%S}-{_safe(mode)}-{_safe(strategy)}-{_safe(first)}{more}"


def versions() -> dict[str, str | None]:
    """Of Python and of what decides a run's outcome; None for what is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    if found["btkite"] is None:
        from .._version import __version__

        found["btkite"] = __version__
    return found


def csv_text(frame: pd.DataFrame) -> str:
    """Comma-separated, ISO 8601 times, rupees in whole paise, empty for what is unknown."""
    frame = frame.round({name: 2 for name in _RUPEES if name in frame and frame[name].dtype == "float64"})
    return str(frame.to_csv(index=False, date_format="%Y-%m-%dT%H:%M:%S.%f", lineterminator="\n"))


def _safe(part: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]+", "_", part).strip("_.") or "none"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2) + "\n"
