"""Does a server speak Kite's wire? A suite that asks each route and compares each answer's shape.

It is a client of its own: it imports neither the exchange nor ``kite/``, so that it judges both, and it runs
against any root, Zerodha's sandbox included. It places a few small LIMIT orders, so never on Kite itself.
"""

from __future__ import annotations

from .scene import Scene
from .shape import Shapes
from .suite import LACKS, Finding, judge
from .wire import NotAnswered, Wire, in_words

__all__ = ["LACKS", "Finding", "NotAnswered", "Scene", "Shapes", "Wire", "in_words", "judge"]
