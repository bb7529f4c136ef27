"""What an order or a position blocks, and Kite's three margin calls.

The model is simple and stated, where Kite's own comes from files of the clearing houses: intraday shares
block ``mis_margin`` of their value, delivery all of it, margin trading ``mtf_margin``; futures and sold
options ``derivative_margin`` of the contract's (the strike's) value, of which ``exposure_margin`` is exposure
and the rest SPAN; a bought option its premium. The sums over the parts are Kite's, as its samples have them:
``total`` is the sum of the parts; a basket's ``initial`` the sum of its orders; its ``final`` has the SPAN of
all legs together, and the premium that is paid less the premium that is got.

SPAN of several legs of one expiry is that of the dearer direction: a price that rises hurts sold calls and
sold futures, one that falls sold puts and bought futures; an option bought limits the loss of one sold to the
distance of their strikes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any, NamedTuple

from .calculator import api_charges, checked_items, deal_of, no_charges, number, row_of, whole
from .clock import day_of
from .errors import bad_input
from .instruments import InstrumentRow

if TYPE_CHECKING:
    from .settings import ExchangeSettings
    from .venue import Venue

COMMODITY = ("MCX", "NCO")
PARTS = ("span", "exposure", "option_premium", "additional", "bo", "cash", "var")


def segment_of(exchange: str) -> str:
    """Kite's name of the purse that an exchange's trades are paid from."""
    return "commodity" if exchange in COMMODITY else "equity"


class Need(NamedTuple):
    """Rupees, by Kite's parts."""

    span: float = 0.0
    exposure: float = 0.0
    option_premium: float = 0.0
    var: float = 0.0

    @property
    def total(self) -> float:
        return self.span + self.exposure + self.option_premium + self.var


class Leg(NamedTuple):
    """A position, or an order as if it were done. ``quantity`` is signed, ``price`` in rupees."""

    row: InstrumentRow
    product: str
    quantity: int
    price: float


def contract_value(leg: Leg) -> float:
    """What futures and sold options are margined by: rupees."""
    price = leg.row.strike if leg.row.is_option else leg.price
    return price * abs(leg.quantity) * leg.row.multiplier


def span_of(leg: Leg, settings: ExchangeSettings) -> float:
    """SPAN of one leg alone, rupees; what is bought as an option has none."""
    if leg.row.is_option and leg.quantity > 0:
        return 0.0
    return (settings.derivative_margin - settings.exposure_margin) * contract_value(leg)


def exposure_of(leg: Leg, settings: ExchangeSettings) -> float:
    if leg.row.is_option and leg.quantity > 0:
        return 0.0
    return settings.exposure_margin * contract_value(leg)


def need(leg: Leg, settings: ExchangeSettings) -> Need:
    """What opening ``leg`` blocks or pays."""
    value = leg.price * abs(leg.quantity) * leg.row.multiplier
    if leg.row.is_option and leg.quantity > 0:
        return Need(option_premium=value)
    if leg.row.is_derivative:
        return Need(span=span_of(leg, settings), exposure=exposure_of(leg, settings))
    if leg.product in ("MIS", "CO"):
        return Need(var=settings.mis_margin * value)
    if leg.quantity < 0:
        return Need()
    return Need(var=settings.mtf_margin * value if leg.product == "MTF" and settings.mtf else value)


def span_together(legs: Iterable[Leg], settings: ExchangeSettings) -> float:
    """SPAN of all legs together: see the module's text."""
    total = 0.0
    for group in _by_expiry(_netted(legs)).values():
        rising = sum(span_of(leg, settings) for leg in group if not leg.row.is_option and leg.quantity < 0)
        falling = sum(span_of(leg, settings) for leg in group if not leg.row.is_option and leg.quantity > 0)
        rising += _options("CE", group, settings)
        falling += _options("PE", group, settings)
        total += max(rising, falling)
    return total


def _netted(legs: Iterable[Leg]) -> list[Leg]:
    """One leg for each contract, at the average price of the side that is left."""
    sums: dict[str, list[Leg]] = {}
    for leg in legs:
        if leg.row.is_derivative and leg.quantity:
            sums.setdefault(leg.row.key, []).append(leg)
    netted = []
    for same in sums.values():
        quantity = sum(leg.quantity for leg in same)
        if quantity:
            side = [leg for leg in same if (leg.quantity > 0) == (quantity > 0)]
            price = sum(leg.price * leg.quantity for leg in side) / sum(leg.quantity for leg in side)
            netted.append(Leg(same[0].row, same[0].product, quantity, price))
    return netted


def _by_expiry(legs: Iterable[Leg]) -> dict[tuple[str, str, date | None], list[Leg]]:
    groups: dict[tuple[str, str, date | None], list[Leg]] = {}
    for leg in legs:
        groups.setdefault((leg.row.exchange, leg.row.name, leg.row.expiry), []).append(leg)
    return groups


def _options(kind: str, group: Sequence[Leg], settings: ExchangeSettings) -> float:
    """SPAN of the options of one kind: each one sold beside the one bought that limits its loss best."""
    sign = 1 if kind == "CE" else -1
    mine = [leg for leg in group if leg.row.instrument_type == kind]
    bought = sorted(
        ([sign * leg.row.strike, leg.quantity] for leg in mine if leg.quantity > 0), key=lambda entry: entry[0]
    )
    total = 0.0
    for leg in sorted((leg for leg in mine if leg.quantity < 0), key=lambda leg: sign * leg.row.strike):
        left, alone = -leg.quantity, span_of(leg, settings) / -leg.quantity
        for entry in bought:
            covered = min(left, int(entry[1]))
            distance = max(0.0, entry[0] - sign * leg.row.strike) * leg.row.multiplier
            if covered and distance < alone:
                total += covered * distance
                entry[1] -= covered
                left -= covered
        total += left * alone
    return total


# Kite's shapes


def margin_row(
    kind: str, symbol: str, exchange: str, parts: Mapping[str, float], leverage: float, charges: Mapping[str, Any]
) -> dict[str, Any]:
    """One object of a margin call; ``parts`` by name, the others are 0; ``total`` is their sum."""
    each = {name: parts.get(name, 0) for name in PARTS}
    return {
        "type": kind,
        "tradingsymbol": symbol,
        "exchange": exchange,
        **each,
        "pnl": {"realised": 0, "unrealised": 0},
        "leverage": leverage,
        "charges": dict(charges),
        "total": sum(each.values()),
    }


def basket_row(orders: Sequence[Mapping[str, Any]], final_parts: Mapping[str, float]) -> dict[str, Any]:
    """``/margins/basket``: ``initial`` sums the orders; of the charges only SEBI's and brokerage are summed, as
    on Kite (its documentation says to ignore them)."""
    initial = {name: sum(order[name] for order in orders) for name in PARTS}
    charges = no_charges()
    for name in ("sebi_turnover_charge", "brokerage"):
        charges[name] = sum(order["charges"][name] for order in orders)
    return {
        "initial": margin_row("", "", "", initial, 0, no_charges()),
        "final": margin_row("", "", "", final_parts, 0, no_charges()),
        "orders": [dict(order) for order in orders],
        "charges": charges,
    }


def compact(row: Mapping[str, Any]) -> dict[str, Any]:
    """What ``mode=compact`` leaves: the total."""
    return {name: row[name] for name in ("type", "tradingsymbol", "exchange", "total")}


# the calls


def _leg(venue: Venue, item: Mapping[str, Any]) -> Leg:
    row = row_of(venue, item)
    price = number(item, "price") or number(item, "trigger_price")
    listing = venue.market.listings.get(row.key)
    if not price and listing is not None:
        price = listing.ask or listing.last
    if not price:
        raise bad_input(f"Invalid `price`: there is no last price of {row.tradingsymbol}.")
    quantity = whole(item, "quantity")
    side = {"BUY": 1, "SELL": -1}.get(str(item.get("transaction_type")))
    if side is None:
        raise bad_input("Invalid `transaction_type`.")
    return Leg(row, str(item.get("product") or ""), side * quantity, price)


def _order_row(venue: Venue, item: Mapping[str, Any], leg: Leg) -> dict[str, Any]:
    settings = venue.settings
    wanted = need(leg, settings)
    security = settings.securities.get(leg.row.key, "share")
    charges = api_charges(deal_of(item, leg.row, leg.price, security), day_of(venue.now), contract_note=False)
    value = leg.price * abs(leg.quantity) * leg.row.multiplier
    leverage = value / wanted.var if wanted.var else 1
    return margin_row(
        segment_of(leg.row.exchange), leg.row.tradingsymbol, leg.row.exchange, wanted._asdict(),
        round(leverage, 2), charges,
    )  # fmt: skip


def order_margins(venue: Venue, items: Sequence[Mapping[str, Any]], mode: str | None = None) -> list[dict[str, Any]]:
    """``POST /margins/orders``: what each order would block if it were alone."""
    rows = [_order_row(venue, item, _leg(venue, item)) for item in checked_items(items)]
    return [compact(row) for row in rows] if mode == "compact" else rows


def basket_margins(
    venue: Venue, items: Sequence[Mapping[str, Any]], consider_positions: bool = True, mode: str | None = None
) -> dict[str, Any]:
    """``POST /margins/basket``: the orders together, beside what is held if ``consider_positions``."""
    settings = venue.settings
    legs = [_leg(venue, item) for item in checked_items(items)]
    orders = [_order_row(venue, item, leg) for item, leg in zip(items, legs, strict=True)]
    held = venue.account.legs() if consider_positions else []
    premium = sum(leg.price * leg.quantity * leg.row.multiplier for leg in legs if leg.row.is_option)
    exposure = sum(exposure_of(leg, settings) for leg in _netted([*held, *legs]))
    exposure -= sum(exposure_of(leg, settings) for leg in _netted(held))
    span = span_together([*held, *legs], settings) - span_together(held, settings)
    final = {
        "span": max(0.0, span),
        "exposure": max(0.0, exposure),
        "option_premium": premium,
        "var": sum(order["var"] for order in orders),
    }
    basket = basket_row(orders, final)
    if mode == "compact":
        return {
            "initial": compact(basket["initial"]),
            "final": compact(basket["final"]),
            "orders": [compact(order) for order in orders],
        }
    return basket
