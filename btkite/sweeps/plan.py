"""A sweep that has been asked for: looked at before anything is started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import backtrader as bt
import numpy as np

from .. import runs
from ..config import Alerts, Config, KiteConnect, Network, Paths
from ..errors import ConfigError
from . import again, origin, pools
from .metric import check_metric
from .searching import SEARCHES, search_of
from .space import Space, space_of
from .splits import Fold, Window, held_out, walking
from .store import fingerprint
from .work import MODE, calendar_digest

if TYPE_CHECKING:
    from .going import Told
    from .result import SweepResult


@dataclass(frozen=True, slots=True)
class Sweep:
    """One sweep, checked and not started.

    ``run``: the run that every set is a variant of, with its candles · ``space``: what is varied · ``origin``: where
    workers find the strategy · ``search``, ``trials``, ``seed``: which sets are tried · ``metric``: what ranks them ·
    ``folds``: windows to learn and to be tested on, ``held_out`` says that it is one, at the end · ``jobs``, ``dask``:
    who does the work · ``store``: the folder of what is found · ``command``: ``btkite run`` and its options,
    without the set's own; empty where no command line says it.
    """

    run: runs.Run
    space: Space
    origin: origin.Origin
    search: str = "grid"
    trials: int | None = None
    seed: int = 0
    metric: str = "sharpe"
    folds: tuple[Fold, ...] = ()
    held_out: bool = False
    jobs: int = 1
    dask: str | None = None
    store: Path | None = None
    fresh: bool = False
    save: bool = False
    command: str = ""
    fingerprint: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def window(self) -> Window:
        """The days by which sets are ranked: all, or all that are not held out."""
        return self.folds[0].train if self.held_out else self.whole

    @property
    def whole(self) -> Window:
        return Window(self.run.begin, self.run.end)

    def go(self, told: Told | None = None) -> SweepResult:
        """Try all sets, to the end or to Ctrl-C, and say what came of it. ``told``: see :func:`btkite.sweep`."""
        from . import going

        return going.go(self, told)


def prepare(
    strategy: type[bt.Strategy] | str,
    symbols: Sequence[str] | str,
    sets: Mapping[str, Any] | Sequence[str],
    *,
    params: Mapping[str, Any] | None = None,
    search: str = "grid",
    trials: int | None = None,
    search_seed: int = 0,
    metric: str = "sharpe",
    out_of_sample: float | None = None,
    walk_forward: int | None = None,
    anchored: bool = False,
    jobs: int | None = None,
    dask: str | None = None,
    store: Path | str | None = None,
    fresh: bool = False,
    save: bool = False,
    config: Config | str | Path | None = None,
    config_file: Path | None = None,
    source: Any = None,
    **asked: Any,
) -> Sweep:
    """A checked sweep that has not been started; the arguments are those of :func:`btkite.sweep`. ``config_file``:
    where ``config``, a whole one, was read from."""
    found = origin.load(strategy)
    fixed = dict(params or {})
    space = space_of(found, sets, fixed)
    check_metric(metric)
    if out_of_sample is not None and walk_forward is not None:
        raise ConfigError("days are held out or walked through, not both: leave --out-of-sample or --walk-forward out")
    if anchored and walk_forward is None:
        raise ConfigError("--anchored says how --walk-forward learns: give --walk-forward FOLDS too")
    if jobs is not None and dask is not None:
        raise ConfigError("a cluster has the workers that it has: leave --jobs out with --dask")
    if jobs is not None and jobs < 1:
        raise ConfigError(f"--jobs must be 1 or more, not {jobs}")
    search_of(search, space, trials, search_seed)  # so that what cannot be is said now
    run = runs.prepare(found, symbols, mode=MODE, params=fixed, config=config, source=source, **asked)
    if (out_of_sample is not None or walk_forward is not None) and isinstance(source, str) and source == runs.MADE_UP:
        raise ConfigError("made-up candles are a few days, too few to split: leave the split out, or --made-up")
    where = origin.origin_of(found, strategy)
    if dask is not None and not where.reference:
        raise ConfigError(where.why)
    workers = jobs if jobs is not None else (pools.cores() if where.reference else 1)
    if workers > 1 and not where.reference:
        raise ConfigError(where.why)
    read_from = config if isinstance(config, (str, Path)) else config_file
    facts = context_of(run, where)
    name = fingerprint(facts)
    whole = Window(run.begin, run.end)
    folds: Sequence[Fold] = ()
    if out_of_sample is not None:
        folds = (held_out(days_of(run), out_of_sample, whole),)
    elif walk_forward is not None:
        folds = walking(days_of(run), walk_forward, whole, anchored=anchored)
    return Sweep(
        run=run,
        space=space,
        origin=where,
        search=search,
        trials=trials,
        seed=search_seed,
        metric=metric,
        folds=tuple(folds),
        held_out=out_of_sample is not None,
        jobs=workers,
        dask=dask,
        store=_store(run, name, store) if where.digest else None,
        fresh=fresh,
        save=save,
        command=again.command_of(run, strategy if isinstance(strategy, str) else where.reference, read_from, source),
        fingerprint=name,
        facts=facts,
    )


def _store(run: runs.Run, name: str, store: Path | str | None) -> Path:
    root = Path(store).expanduser() if store is not None else Path(run.config.paths.state) / "sweeps"
    return root / f"{run.strategy.__name__}-{name[:16]}"


def context_of(run: runs.Run, where: origin.Origin) -> dict[str, Any]:
    """All that decides what a set comes to, but its parameters and its days."""
    settings = settings_of(run.config).snapshot()
    for section in ("paths", "log", "alerts", "network", "exchange"):
        del settings[section]
    for key in ("source", "path", "cache"):
        del settings["data"][key]
    return {
        "strategy": run.strategy.__name__,
        "source": where.digest,
        "symbols": list(run.symbols),
        "interval": run.interval,
        "candles": {key: one.digest() for key, one in run.candles.items()},
        "instruments": {key: repr(one) for key, one in run.instruments.items()},
        "settings": settings,
        "calendar": calendar_digest(run.config),
        "program": origin.program(),
    }


def settings_of(config: Config) -> Config:
    """What a backtest needs of the settings: no address, no secret, no folder goes to a worker."""
    return config.model_copy(
        update={
            "broker": config.broker.model_copy(update={"kite_connect": KiteConnect()}),
            "network": Network(),
            "alerts": Alerts(),
            "paths": Paths(state=config.paths.state),
        }
    )


def days_of(run: runs.Run) -> list[date]:
    """The days on which some symbol has a bar that is traded."""
    found = [one.between(run.begin, run.end).start.astype("datetime64[D]") for one in run.candles.values()]
    days: list[date] = np.unique(np.concatenate(found)).tolist()
    return days


__all__ = ["SEARCHES", "Sweep", "context_of", "days_of", "prepare", "settings_of"]
