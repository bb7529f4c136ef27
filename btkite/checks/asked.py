"""Promises about Kite's getting what the strategy asked for: each order call against its words, before the adapter."""

from __future__ import annotations

from collections.abc import Iterator

from ..brokers.orders import whole_ref
from .evidence import Evidence, Row
from .wished import Wish

_KINDS = {
    "Market": ("MARKET",),
    "Limit": ("LIMIT",),
    "Stop": ("SL-M", "SL", "MARKET", "LIMIT"),
    "StopTrail": ("SL-M", "SL", "MARKET", "LIMIT"),
    "StopLimit": ("SL", "LIMIT"),
    "StopTrailLimit": ("SL", "LIMIT"),
}
"""What an order of backtrader's may be at Kite: itself, with a limit that protects it, or, once the price has gone
past its trigger, what it becomes."""
_STOPS = ("SL", "SL-M")
_HAIR = 1e-6
_TAG, _LABEL = 20, 6
"""Characters that Kite takes as a tag, and how many of them are the strategy's."""


def asked(e: Evidence) -> Iterator[str]:
    """Each placement is what the strategy asked for, and so is each change."""
    wishes, groups = e.wishes, e.families
    first: set[int] = set()
    for row in e.placements:
        tag = str(row["form"].get("tag") or "")
        own = int(e.intents.get(tag, {}).get("ref", 0))
        ref = whole_ref(own)
        wish = wishes.get(ref)
        if wish is None:
            continue
        problem = _misplaced(e, wish, row["form"])
        if not problem and ref not in first and own > 0 and not wish.group:
            units = int(row["form"]["quantity"])
            problem = "" if units in wish.sizes else f"quantity {units}, asked for {wish.sizes}"
        first.add(ref)
        if problem:
            yield f"order {ref} ({wish.type} of {wish.first['now']}) was sent with {problem}"
    for row in e.order_calls:
        if row["method"] != "PUT":
            continue
        wish = e.wish_of(row)
        if wish is None or (wish.type == "Market" and e.scenario.settings.get("protection_binds")):
            continue  # what rests beyond its protection is moved by us
        ref = int(wish.first["ref"])
        if ref in e.half_heard:
            continue
        may = [wishes[one] for one in groups.get(ref, {ref})]
        problems = [_mischanged(one, row["form"]) for one in may]
        if all(problems):
            yield f"order {ref} ({wish.type} of {wish.first['now']}) was changed to {problems[0]}"


def targets_have_their_price(e: Evidence) -> Iterator[str]:
    """Of exits that share one order at Kite, the one is told that has traded: no limit order is told of a fill that is
    worse than each limit it ever had."""
    for event in e.day.events:
        wish = e.wishes.get(whole_ref(int(event.data["ref"]))) if event.kind == "fill" else None
        if wish is None or wish.type != "Limit" or not event.data.get("order_id"):
            continue
        way = 1 if wish.first["side"] == "BUY" else -1
        worst = max((price * way for price, _ in wish.prices if price), default=0.0) * way
        price = float(event.data["price"])
        if worst and (price - worst) * way > _HAIR + float(wish.first["tick"] or 0.01):
            yield f"order {wish.first['ref']}, a limit of {worst:g}, is told to have traded at {price:g}"


def _misplaced(e: Evidence, wish: Wish, form: Row) -> str:
    want = wish.first
    if f"{form['exchange']}:{form['tradingsymbol']}" != want["key"]:
        return f"{form['exchange']}:{form['tradingsymbol']}, asked for {want['key']}"
    if form["transaction_type"] != want["side"]:
        return f"{form['transaction_type']}, asked for {want['side']}"
    product = want["product"] or e.scenario.product
    if form["product"] != product:
        return f"product {form['product']}, asked for {product}"
    if form["validity"] != (want["validity"] or "DAY"):
        return f"validity {form['validity']}, asked for {want['validity'] or 'DAY'}"
    if not str(form["tag"]).startswith(str(want["tag"] or "")[:_LABEL]) or len(form["tag"]) > _TAG:
        return f"tag {form['tag']}, asked for {want['tag']}"
    if form["order_type"] in ("MARKET", "SL-M"):
        protection = want["market_protection"] or e.scenario.keys.get("broker.market_protection", -1)
        if float(form.get("market_protection") or 0) != float(protection):
            return f"market protection {form.get('market_protection')}, asked for {protection}"
    return _mischanged(wish, form)


def _mischanged(wish: Wish, form: Row) -> str:
    """What of a form's type and prices is not what was asked for; empty if all is."""
    kind, buys = form["order_type"], wish.first["side"] == "BUY"
    price, trigger = float(form.get("price") or 0), float(form.get("trigger_price") or 0)
    if kind not in _KINDS[wish.type]:
        return f"type {kind}, asked for {wish.type}"
    if int(form["quantity"]) > max(wish.sizes):
        return f"quantity {form['quantity']}, asked for {max(wish.sizes)}"
    if kind in _STOPS and not wish.price_fits(trigger, 0):
        return f"trigger {trigger}, asked for {wish.prices[-1][0]}"
    if kind in ("LIMIT", "SL"):
        if wish.type in ("Stop", "StopTrail"):
            way = 1 if buys else -1
            far = min((stop for stop, _ in wish.prices if stop), key=lambda stop: stop * way)
            return f"limit {price} for a trigger of {far}" if (price - far) * way < -_HAIR else ""
        if not wish.price_fits(price, 0 if wish.type == "Limit" else 1):
            return f"limit {price}, asked for {wish.prices[-1]}"
    return ""
