"""``btkite.sweep``: what is asked for, and then the sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import backtrader as bt

from ..config import Config
from .plan import prepare
from .result import SweepResult

if TYPE_CHECKING:
    from .going import Told

Moment = datetime | date | str | None


def sweep(
    strategy: type[bt.Strategy] | str,
    symbols: Sequence[str] | str,
    sets: Mapping[str, Any] | Sequence[str],
    *,
    interval: str = "minute",
    start: Moment = None,
    end: Moment = None,
    params: Mapping[str, Any] | None = None,
    config: Config | str | Path | None = None,
    warmup: int | None = None,
    capital: float | None = None,
    product: str | None = None,
    source: Any = None,
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
    told: Told | None = None,
) -> SweepResult:
    """Run ``strategy`` on ``symbols`` with many sets of parameters, each as :func:`btkite.run` runs it, and rank them.

    ``sets``: what is varied, ``{"fast": "5..50:5", "slow": [20, 50, 100]}`` · ``params``: what stays ·
    ``interval`` to ``source``: as in :func:`btkite.run` · ``search``: grid (all), random or optuna ·
    ``trials``: how many sets a random or an optuna search tries (100) · ``search_seed``: other sets of such a search ·
    ``metric``: the figure that ranks · ``out_of_sample``: per cent of the days, the last ones, that rows are not
    ranked by; the best ten are tried on them · ``walk_forward``: so many times the best set of some days is tried
    on the days after them; ``anchored``: of all days before · ``jobs``: processes, one a core if nothing is said ·
    ``dask``: the address of a Dask scheduler, whose workers do it instead · ``store``: the folder under which rows are
    kept, ``sweeps`` in ``paths.state`` if nothing is said · ``fresh``: forget what is kept ·
    ``save``: leave a folder with tables and heat map in ``paths.runs`` · ``told``: called with a
    :class:`~btkite.sweeps.Progress` after each set.

    Rows are kept as they are found: the same sweep again, after Ctrl-C or a crash, goes on from there.

    :raises ConfigError: if something asked for is wrong; nothing was started.
    :raises DataError: if candles asked for are not there.
    """
    return prepare(
        strategy,
        symbols,
        sets,
        params=params,
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
        config=config,
        warmup=warmup,
        capital=capital,
        product=product,
        source=source,
    ).go(told)
