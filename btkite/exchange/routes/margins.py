"""What orders would block and cost: margins of orders and baskets, the virtual contract note."""

from __future__ import annotations

from typing import Any

from .. import calculator, margins
from ..errors import bad_input
from .call import Call, Route


def order_margins(call: Call) -> Any:
    return margins.order_margins(call.venue, call.json, call.query.get("mode"))


def basket_margins(call: Call) -> Any:
    consider = call.query.get("consider_positions", "false").lower() == "true"
    return margins.basket_margins(call.venue, call.json, consider, call.query.get("mode"))


def contract_note(call: Call) -> Any:
    return calculator.virtual_contract_note(call.venue, call.json)


def by_instrument(call: Call) -> Any:
    """The margins of every instrument of a segment, as older clients ask for them: shares of the value."""
    segment, settings = call.path["segment"], call.venue.settings
    if segment not in ("equity", "commodity", "futures", "currency"):
        raise bad_input("Invalid `segment`.")
    kinds = {"equity": ("NSE", "BSE"), "futures": ("NFO", "BFO"), "currency": ("CDS", "BCD"), "commodity": ("MCX",)}
    rows = []
    for listing in call.venue.market.listings.values():
        row = listing.row
        if row.exchange not in kinds[segment] or row.is_index or row.is_option:
            continue
        margin = round((settings.derivative_margin if row.is_derivative else settings.mis_margin) * 100, 4)
        lower, upper = listing.circuit()
        rows.append(
            {
                "tradingsymbol": row.tradingsymbol,
                "margin": margin,
                "nrml_margin": margin if row.is_derivative else 100.0,
                "mis_margin": margin,
                "mis_multiplier": round(100 / margin, 2) if margin else 0,
                "co_lower": lower,
                "co_upper": upper,
            }
        )
    return rows


TABLE = (
    Route("POST", "/margins/orders", order_margins, sandbox=False),
    Route("POST", "/margins/basket", basket_margins, sandbox=False),
    Route("POST", "/charges/orders", contract_note, sandbox=False),
    Route("GET", "/margins/{segment}", by_instrument, sandbox=False),
)
