"""backtrader's charts on any machine, also on one without a screen.

``backtrader.plot`` forces the TkAgg backend when it is first imported, whatever was chosen before, so
``cerebro.plot()`` fails on a server, in a container and in CI. :func:`ready` imports it without that: then
matplotlib chooses as it always does (``MPLBACKEND``, ``matplotlib.use``, a screen's toolkit, else Agg).

:class:`btkite.Cerebro` does this by itself. With a stock ``bt.Cerebro``, say it once before plotting::

    btkite.plotting.ready()
    ((figure, *_), *_) = cerebro.plot()
    figure.savefig("run.png")
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def ready() -> None:
    """Import ``backtrader.plot`` and leave matplotlib's backend as it was. Harmless to call again; if something
    imported it earlier and no screen is there, the backend becomes Agg."""
    import matplotlib

    if "backtrader.plot" in sys.modules:
        if not has_screen() and matplotlib.rcParams["backend"].lower() == "tkagg":
            matplotlib.use("Agg")
        return
    kept = matplotlib.use
    matplotlib.use = _chooses_nothing
    try:
        import backtrader.plot  # noqa: F401 - for its effect
    finally:
        matplotlib.use = kept


def _chooses_nothing(*args: Any, **kwargs: Any) -> None:
    """In the place of ``matplotlib.use`` while ``backtrader.plot`` is imported."""


def has_screen() -> bool:
    """Whether a window could be opened."""
    if sys.platform in ("darwin", "win32"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


@contextmanager
def quiet() -> Iterator[None]:
    """Without matplotlib's warnings that a figure cannot be shown, and that backtrader's ticks are many."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*non-interactive.*", category=UserWarning)
        warnings.filterwarnings("ignore", message=".*AutoDateLocator.*", category=UserWarning)
        yield
