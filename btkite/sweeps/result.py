"""What a sweep gives back: its rows, ranked; what failed and why; how much of the best is luck."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ..errors import ConfigError
from ..report.result import RunResult
from ..report.stats import FIGURES
from ..report.table import NONE
from . import luck
from .metric import score
from .space import text_of
from .splits import Fold, Window, first_day, last_day
from .store import Row

if TYPE_CHECKING:
    import pandas as pd

    from .plan import Sweep

SCHEMA = 1  # of to_json(); a change that breaks a reader adds one
SHOWN = ("sharpe", "return_percent", "max_drawdown_percent", "trades", "win_rate_percent")
_OTHERS = ("orders_digest", "trades_digest", "engine", "seconds")


@dataclass(frozen=True, slots=True)
class FoldRow:
    """One fold of a walk: the best set of the days that it learned on, and what that came to on the days after them."""

    fold: Fold
    learned: Row | None
    tested: Row | None


@dataclass(frozen=True, eq=False, repr=False)
class SweepResult:
    """One finished sweep. Rows count from 1, the best.

    ``known``: rows that were there from before · ``stopped``: why it ended early (Ctrl-C, say), else empty ·
    ``folder``: where it is kept, None if it is not.
    """

    sweep: Sweep
    found: tuple[Row, ...]
    fold_rows: tuple[FoldRow, ...] = ()
    test_rows: tuple[Row, ...] = ()
    known: int = 0
    stopped: str = ""
    folder: Path | None = None

    @classmethod
    def of(
        cls,
        sweep: Sweep,
        rows: Sequence[Row],
        *,
        folds: tuple[FoldRow, ...] = (),
        tests: Sequence[Row] = (),
        known: int = 0,
        stopped: str = "",
    ) -> Self:
        return cls(sweep, tuple(_by_rank(rows, sweep.metric)), folds, tuple(tests), known, stopped)

    # -- rows ------------------------------------------------------------------------------------------

    @property
    def metric(self) -> str:
        """The figure that ranks."""
        return self.sweep.metric

    @cached_property
    def ranked(self) -> tuple[Row, ...]:
        """Rows that have the figure, the best first."""
        return tuple(row for row in self.found if score(row, self.metric) is not None)

    @cached_property
    def rows(self) -> pd.DataFrame:
        """A row a set, the best first: its parameters, all figures of docs/results.md, ``failed``: why it has none."""
        return _frame(self.found, self.sweep.space.names)

    @cached_property
    def failures(self) -> pd.DataFrame:
        """Sets that failed, and why."""
        return _frame([row for row in self.found if row["failed"]], self.sweep.space.names)[
            [*_names(self.sweep.space.names), "failed"]
        ]

    @cached_property
    def out_of_sample(self) -> pd.DataFrame:
        """The best sets on the days that were held out, in the rank that they had before; empty without a split."""
        return _frame(self.test_rows, self.sweep.space.names)

    @cached_property
    def folds(self) -> pd.DataFrame:
        """Of each fold: its days, the set that was best before them, its figure then and on them."""
        import pandas as pd

        rows = []
        for number_, one in enumerate(self.fold_rows, 1):
            train, test = one.fold.train, one.fold.test
            row: dict[str, Any] = {
                "fold": number_,
                "train_from": train.begin,
                "train_to": train.end,
                "test_from": test.begin,
                "test_to": test.end,
            }
            for name, label in zip(self.sweep.space.names, _names(self.sweep.space.names), strict=True):
                row[label] = None if one.learned is None else one.learned["params"][name]
            for when, found in (("learned", one.learned), ("tested", one.tested)):
                for key in dict.fromkeys((self.metric, "return_percent")):
                    row[f"{when}_{key}"] = None if found is None else found["stats"].get(key)
            rows.append(row)
        return pd.DataFrame(rows)

    @property
    def best(self) -> dict[str, Any]:
        """The parameters of row 1; empty if no set has the figure."""
        return dict(self.ranked[0]["params"]) if self.ranked else {}

    # -- again -----------------------------------------------------------------------------------------

    @property
    def command(self) -> str:
        """What to type to run row 1 again; empty if no set has the figure, or no command line can say it."""
        return self.command_of(1) if self.ranked else ""

    def command_of(self, rank: int) -> str:
        """The same of any row; empty where the candles were given in Python and no command line can say them."""
        row = self._row(rank)
        if not self.sweep.command:
            return ""
        window = Window(*self._window_of(row))
        words = []
        made_up = self.sweep.run.origin.startswith("MADE-UP")  # they have days of their own
        if window.begin is not None and not made_up:
            words += ["--from", first_day(window.begin)]
        if window.end is not None:
            words += ["--to", last_day(window.end)]
        for name, value in row["params"].items():
            words += ["-p", f"{name}={text_of(value)}"]
        return f"{self.sweep.command} {shlex.join(words)}"

    def run(self, rank: int = 1, *, save: bool = False) -> RunResult:
        """That row once more, whole: orders, trades, curve."""
        row = self._row(rank)
        begin, end = self._window_of(row)
        asked = replace(self.sweep.run, params=row["params"], begin=begin, end=end, save=save)
        return asked.go()

    def _row(self, rank: int) -> Row:
        if not 1 <= rank <= len(self.found):
            raise ConfigError(f"there is no row {rank}: there are {len(self.found)}")
        return self.found[rank - 1]

    def _window_of(self, row: Row) -> tuple[Any, Any]:
        window = self.sweep.window
        assert row["window"] == window.said()
        return window.begin, window.end

    # -- luck ------------------------------------------------------------------------------------------

    @cached_property
    def shapes(self) -> list[luck.Shape]:
        """Of the sets that have a Sharpe ratio."""
        found = (luck.shape_of(row) for row in self.found)
        return [one for one in found if one is not None]

    @cached_property
    def luckiest(self) -> float | None:
        """The yearly Sharpe ratio that the best of as many sets is expected to have by luck alone."""
        if not self.shapes:
            return None
        from math import sqrt

        from ..report.stats import TRADING_DAYS

        variance = luck.variance_of([one.sharpe for one in self.shapes])
        return luck.expected_best(len(self.shapes), variance) * sqrt(TRADING_DAYS)

    @cached_property
    def deflated_sharpe(self) -> float | None:
        """The probability that row 1 is better than luck, by Bailey and López de Prado; None without daily returns."""
        shape = luck.shape_of(self.ranked[0]) if self.ranked else None
        if shape is None:
            return None
        return luck.deflated(shape, len(self.shapes), luck.variance_of([one.sharpe for one in self.shapes]))

    @property
    def warning(self) -> str:
        """In plain words: how far row 1 can be trusted."""
        from .wording import warning

        return warning(self)

    # -- the end ---------------------------------------------------------------------------------------

    @property
    def exit_code(self) -> int:
        """What ``btkite sweep`` ends with: 130 after Ctrl-C, 1 if it ended early otherwise or no set has the figure."""
        if self.stopped == "Ctrl-C":
            return 130
        return 1 if self.stopped or not self.ranked else 0

    def heatmap(self, path: Path | str, x: str | None = None, y: str | None = None) -> Path:
        """Draw the figure over two parameters into ``path``: a picture (``.png``), or a page to point at (``.html``).

        :raises ConfigError: if one of them was not varied.
        """
        from .drawing import draw

        return draw(self, Path(path), x, y)

    def kept_in(self, folder: Path) -> SweepResult:
        return replace(self, folder=folder)

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "schema": SCHEMA,
            "strategy": self.sweep.run.strategy.__name__,
            "symbols": list(self.sweep.run.symbols),
            "interval": self.sweep.run.interval,
            "search": self.sweep.search,
            "metric": self.metric,
            "varied": list(self.sweep.space.names),
            "fingerprint": self.sweep.fingerprint,
            "stopped": self.stopped,
            "exit_code": self.exit_code,
            "folder": None if self.folder is None else str(self.folder),
            "known": self.known,
            "command": self.command,
            "deflated_sharpe": self.deflated_sharpe,
            "luckiest_sharpe": self.luckiest,
            "warning": self.warning,
            "rows": [_plain(row) for row in self.found],
            "out_of_sample": [_plain(row) for row in self.test_rows],
            "folds": [
                {
                    "train": one.fold.train.said(),
                    "test": one.fold.test.said(),
                    "learned": one.learned and _plain(one.learned),
                    "tested": one.tested and _plain(one.tested),
                }
                for one in self.fold_rows
            ],
        }

    def to_json(self, *, indent: int | None = None) -> str:
        """:meth:`as_dict` as JSON; the shape is documented in ``docs/sweep.md``."""
        return json.dumps(self.as_dict(), ensure_ascii=False, allow_nan=False, indent=indent)

    def show(self, width: int = 110) -> str:
        """The best rows as a plain text table, what failed, and the warning."""
        from .wording import summary

        return summary(self, width)

    def __str__(self) -> str:
        return self.show()

    def __repr__(self) -> str:
        best = ", ".join(f"{name}={text_of(value)}" for name, value in self._varied(self.best).items()) or NONE
        return f"<SweepResult {len(self.found)} sets by {self.metric}, best {best}, {len(self.failures)} failed>"

    def _varied(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {name: params[name] for name in self.sweep.space.names if name in params}

    def _repr_html_(self) -> str:
        import html

        cells = self.rows.head(10)[[*_names(self.sweep.space.names), *SHOWN]].to_html(index=False)
        return f"{cells}<p>{html.escape(self.warning)}</p>"


def _by_rank(rows: Iterable[Row], metric: str) -> list[Row]:
    """Scored ones, the best first; then those without the figure; then failures."""

    def place(row: Row) -> tuple[int, float]:
        found = score(row, metric)
        if found is not None:
            return (0, -found)
        return (2 if row["failed"] else 1, 0.0)

    return sorted(rows, key=place)


def _names(names: Sequence[str]) -> list[str]:
    """Columns of the parameters: their names, unless a figure has it."""
    taken = {figure.key for figure in FIGURES} | {"failed", *_OTHERS}
    return [f"{name} (parameter)" if name in taken else name for name in names]


def _frame(rows: Sequence[Row], names: Sequence[str]) -> pd.DataFrame:
    import pandas as pd

    keys = [figure.key for figure in FIGURES]
    columns: dict[str, list[Any]] = {
        label: [row["params"].get(name) for row in rows] for name, label in zip(names, _names(names), strict=True)
    }
    columns |= {key: [row["stats"].get(key) for row in rows] for key in keys}
    columns["failed"] = [row["failed"] for row in rows]
    columns |= {key: [row.get(key) for row in rows] for key in _OTHERS}
    frame = pd.DataFrame({name: pd.Series(values, dtype=object).infer_objects() for name, values in columns.items()})
    frame.index = pd.RangeIndex(1, len(rows) + 1, name="rank")
    return frame


def _plain(row: Row) -> Row:
    return {**row, "params": {name: _json(value) for name, value in row["params"].items()}}


def _json(value: Any) -> Any:
    return value if value is None or isinstance(value, (bool, int, float, str)) else text_of(value)
