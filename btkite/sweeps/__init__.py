"""``btkite.sweep``: many sets of a strategy's parameters on the same candles, ranked.

What is varied is a ``space``, which sets are tried a search; all that was asked for is a ``plan``, and it is
``going`` when a pool of workers (``pools``) does the ``work``: each set is a run as ``btkite run`` makes it. What they
came to is kept in a ``store`` and given back as a ``result``, with a word on ``luck``.
"""

from __future__ import annotations

from .asking import sweep
from .going import Progress
from .plan import Sweep, prepare
from .result import SweepResult

__all__ = ["Progress", "Sweep", "SweepResult", "prepare", "sweep"]
