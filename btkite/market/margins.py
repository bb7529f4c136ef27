"""How much money an order or a position ties up: an approximation like SPAN, not SPAN, for simulated accounts.

Real margins (SPAN, exposure, VaR, spreads) come from files of the clearing houses, change daily, and are asked of Kite
in live trading. The dated rates of ``data/margins.csv`` are the regulator's least for shares and round figures for
contracts: they keep a simulation from trading on credit it would not get.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from ..values import Side
from .expiry import is_physical, sessions_left
from .prices import INDEX_NAMES
from .segments import classify
from .tables import read_table

if TYPE_CHECKING:
    from ..values import Instrument

_DELIVERY_DAYS = 4
_OF_VAR = 2  # so many days before the expiry, and more
_STEPS = 8
"""Moves of the price in each direction that a portfolio is looked at."""
_FAMILIES = {"cur_fut": "currency", "cur_opt": "currency", "com_fut": "commodity", "com_opt": "commodity"}


class Leg(NamedTuple):
    """A position, or an order as if it were done: signed units (lots where Kite counts lots), last price in ₹."""

    instrument: Instrument
    product: str
    quantity: int
    price: float


def margin_rate(instrument: Instrument, side: Side, product: str, on: date) -> float:
    """The part of :func:`margin_base` that an opening order ties up on a day, 0 to 1. Approximate.

    A bought option and a delivery cost all of their value.
    """
    if classify(instrument) in ("eq", "index"):
        return _rate({"CNC": "share_cnc", "MTF": "share_mtf"}.get(product, "share_mis"), on)
    if instrument.is_option and side is Side.BUY:
        return 1.0
    return max(_rate(f"{_family(instrument)}_contract", on), delivery_rate(instrument, on))


def delivery_rate(instrument: Instrument, on: date) -> float:
    """The part of its value that a contract which ends in shares ties up in its last days, for the shares: more on each
    of the last five trading days (Zerodha's steps); 0 before them, and for other contracts."""
    if not is_physical(instrument):
        return 0.0
    left = sessions_left(instrument, on, _DELIVERY_DAYS)
    if left is None or left > _DELIVERY_DAYS or left < 0:
        return 0.0
    # On the first of these days it is a part of VaR and ELM, for which the rate of the contract stands.
    return _rate(f"delivery_e{left}", on) * (_rate("stock_contract", on) if left >= _OF_VAR else 1.0)


def margin_base(instrument: Instrument, side: Side, quantity: int, price: float) -> float:
    """Rupees to which the rate applies: the traded value, for a sold option the strike's."""
    per_unit = instrument.strike if instrument.is_option and side is Side.SELL else price
    return per_unit * quantity * instrument.multiplier


def margin_required(instrument: Instrument, side: Side, product: str, quantity: int, price: float, on: date) -> float:
    """Rupees that opening ``quantity`` at ``price`` ties up. Approximate; see the module's words."""
    return margin_rate(instrument, side, product, on) * margin_base(instrument, side, quantity, price)


def is_margined(instrument: Instrument, quantity: int, product: str) -> bool:
    """Whether a position stands on margin; a delivery and a bought option are paid for."""
    if instrument.is_option:
        return quantity < 0
    return instrument.is_future or product != "CNC"


def portfolio_margin(legs: Iterable[Leg], on: date, spots: Mapping[str, float] | None = None) -> float:
    """₹ that positions tie up together. Approximate, like SPAN: what is on one underlying and expiry is looked at while
    its price moves in steps to the rate on either side, each option at its intrinsic value, and the greatest loss
    counts; exposure of futures and of sold options comes on top, and no spread takes it away.

    ``spots``: the underlyings' prices by name. One that is not known is taken from a future, else from the strikes of
    what was sold, which makes those options stand at the money: the dearer guess.
    """
    total, groups = 0.0, dict[tuple[str, str, date | None], list[Leg]]()
    for leg in legs:
        if leg.quantity and (leg.instrument.is_future or leg.instrument.is_option):
            key = (leg.instrument.exchange, leg.instrument.name or leg.instrument.key, leg.instrument.expiry)
            groups.setdefault(key, []).append(leg)
        elif leg.quantity:
            rate = margin_rate(leg.instrument, Side.BUY, leg.product, on)
            total += rate * abs(leg.quantity) * leg.price * leg.instrument.multiplier
    for (_, name, _), group in sorted(groups.items(), key=lambda item: (item[0][0], item[0][1], str(item[0][2]))):
        total += _together(group, on, (spots or {}).get(name))
    return total


def _together(group: list[Leg], on: date, spot: float | None) -> float:
    sold = [leg for leg in group if leg.quantity < 0 or leg.instrument.is_future]
    if not sold:
        return _for_shares(group, on, spot) if spot else 0.0
    futures = [leg.price for leg in group if leg.instrument.is_future]
    strikes = [leg.instrument.strike for leg in sold if leg.instrument.is_option]
    centre = spot or (futures[0] if futures else sum(strikes) / len(strikes))
    family = _family(group[0].instrument)
    exposure = _rate(f"exposure_{family}", on)
    reach = _rate(f"{family}_contract", on) - exposure
    now = sum(_worth(leg, centre) for leg in sold)  # what was bought is paid for: it can only help
    moves = (centre * (1 + reach * step / _STEPS) for step in range(-_STEPS, _STEPS + 1))
    loss = max(now - sum(_worth(leg, price) for leg in group) for price in moves)
    notional = sum(abs(leg.quantity) * leg.instrument.multiplier * centre for leg in sold)
    return max(0.0, loss) + exposure * notional + _for_shares(group, on, centre)


def _for_shares(group: list[Leg], on: date, centre: float) -> float:
    """What the last days add: to futures and sold options what is above their rate, to bought ones all of it."""
    total = 0.0
    for leg in group:
        rate = delivery_rate(leg.instrument, on)
        if not rate:
            continue
        held = leg.instrument.is_option and leg.quantity > 0
        if held and not _worth(leg, centre) > 0:
            continue
        above = rate if held else max(0.0, rate - _rate("stock_contract", on))
        per_unit = leg.instrument.strike if leg.instrument.is_option else leg.price
        total += above * abs(leg.quantity) * per_unit * leg.instrument.multiplier
    return total


def _worth(leg: Leg, price: float) -> float:
    """₹ of the leg with its underlying at ``price``: of an option no more than is inside."""
    instrument = leg.instrument
    inside = price
    if instrument.is_option:
        way = 1 if instrument.instrument_type == "CE" else -1
        inside = max(0.0, way * (price - instrument.strike))
    return inside * leg.quantity * instrument.multiplier


def _family(instrument: Instrument) -> str:
    return _FAMILIES.get(classify(instrument), "index" if instrument.name in INDEX_NAMES else "stock")


def _rate(key: str, on: date) -> float:
    since, rates = _rates()[key]
    return rates[max(bisect_right(since, on) - 1, 0)]


@cache
def _rates() -> dict[str, tuple[list[date], list[float]]]:
    found: dict[str, list[tuple[date, float]]] = {}
    for row in read_table("margins"):
        found.setdefault(row["key"], []).append((date.fromisoformat(row["from"]), float(row["value"])))
    return {key: ([day for day, _ in sorted(rows)], [rate for _, rate in sorted(rows)]) for key, rows in found.items()}
