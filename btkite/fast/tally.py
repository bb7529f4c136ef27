"""TradeAnalyzer's tally of a closed trade, on the dictionaries themselves.

The same additions in the same order as ``TradeAnalyzer.notify_trade``, which looks each of some eighty places up
through four levels of dictionaries that make themselves. The first closed trade is the analyzer's own: it makes
them all.
"""

from __future__ import annotations

from typing import Any

from backtrader.analyzers import TradeAnalyzer
from backtrader.utils.py3 import MAXINT

_OWN = TradeAnalyzer.notify_trade


def quicken(analyzer: Any) -> bool:
    """``analyzer`` tallies by this from now on, until :func:`restore`; False if it has a way of its own."""
    if type(analyzer) is not TradeAnalyzer or "notify_trade" in analyzer.__dict__:
        return False
    analyzer.notify_trade = lambda trade: _tally(analyzer, trade)
    return True


def restore(analyzer: Any) -> None:
    """Its own way again."""
    analyzer.__dict__.pop("notify_trade", None)


def _tally(analyzer: Any, trade: Any) -> None:
    rets = analyzer.rets
    if "len" not in rets:
        _OWN(analyzer, trade)
        return
    count = rets["total"]
    if trade.justopened:
        count["total"] += 1
        count["open"] += 1
        return
    if trade.status != trade.Closed:
        return
    pnl, pnlcomm, barlen = trade.pnl, trade.pnlcomm, trade.barlen
    won = int(pnlcomm >= 0.0)
    results = (("won", won), ("lost", int(not won)))
    sides = (("long", trade.long), ("short", not trade.long))
    count["open"] -= 1
    count["closed"] += 1
    closed = count["closed"]
    for name, is_so in results:
        streak = rets["streak"][name]
        streak["current"] *= is_so
        streak["current"] += is_so
        streak["longest"] = max(streak["longest"] or 0, streak["current"])
    for name, profit in (("gross", pnl), ("net", pnlcomm)):
        part = rets["pnl"][name]
        part["total"] += profit
        part["average"] = part["total"] / closed
    for name, is_so in results:
        part = rets[name]
        part["total"] += is_so
        _add(part["pnl"], pnlcomm * is_so, part["total"], best=max if name == "won" else min)
    for side, is_side in sides:
        part = rets[side]
        part["total"] += is_side
        money = part["pnl"]
        money["total"] += pnlcomm * is_side
        money["average"] = money["total"] / (part["total"] or 1.0)
        for name, is_so in results:
            part[name] += is_so * is_side
            _add(money[name], pnlcomm * is_so * is_side, part[name], best=max if name == "won" else min)
    lengths = rets["len"]
    lengths["total"] += barlen
    lengths["average"] = lengths["total"] / closed
    lengths["max"] = max(lengths["max"] or 0, barlen)
    lengths["min"] = min(lengths["min"] or MAXINT, barlen)
    for name, is_so in results:
        part, bars = lengths[name], barlen * is_so
        part["total"] += bars
        part["average"] = part["total"] / (rets[name]["total"] or 1.0)
        part["max"] = max(part["max"] or 0, bars)
        if bars:
            part["min"] = min(part.get("min") or MAXINT, bars)
    for side, is_side in sides:
        part, bars = lengths[side], barlen * is_side
        _lengthen(part, bars, rets[side]["total"])
        for name, is_so in results:
            _lengthen(part[name], barlen * is_side * is_so, rets[side][name])


def _add(part: Any, profit: float, number: int, *, best: Any) -> None:
    part["total"] += profit
    part["average"] = part["total"] / (number or 1.0)
    part["max"] = best(part["max"] or 0.0, profit)


def _lengthen(part: Any, bars: int, number: int) -> None:
    part["total"] += bars
    part["average"] = part["total"] / (number or 1.0)
    part["max"] = max(part["max"] or 0, bars)
    least = part["min"] or MAXINT
    part["min"] = min(least, bars or least)
