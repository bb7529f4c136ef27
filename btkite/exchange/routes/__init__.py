"""Kite's REST routes by theme: session, orders, portfolio, market, gtt, margins, alerts, mf.

Paths and shapes are Kite Connect v3's. Each file ends with its lines of the table.
"""

from __future__ import annotations

from .call import CSV, HTML, JSON, Call, Raw, Route
from .table import PREFIX, TABLE, find

__all__ = ["CSV", "HTML", "JSON", "PREFIX", "TABLE", "Call", "Raw", "Route", "find"]
