"""``btkite charges``: what an order costs at Zerodha, line by line, on any day since 2020. Asks nobody."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from .app import call_of

if TYPE_CHECKING:
    from ..market.charges import Charges, Order, Terms

_LINES = (
    ("brokerage", "brokerage"), ("transaction_tax", "STT"), ("exchange", "exchange charge"), ("sebi", "SEBI fee"),
    ("stamp", "stamp duty"), ("gst", "GST"), ("total", "total"),
)  # fmt: skip


def charges(
    ctx: typer.Context,
    symbol: Annotated[str, typer.Argument(metavar="SYMBOL", help="NSE:INFY, NFO:NIFTY26NOV25000CE; INFY is on NSE.")],
    side: Annotated[Literal["buy", "sell"], typer.Argument(metavar="SIDE", help="buy or sell.", case_sensitive=False)],
    quantity: Annotated[int, typer.Argument(metavar="QUANTITY", min=1, help="Units; lots on MCX, CDS and BCD.")],
    price: Annotated[float, typer.Argument(metavar="PRICE", help="₹ per unit; of an option, the premium.")],
    product: Annotated[
        str | None,
        typer.Option("--product", metavar="NAME", help="CNC, MIS, NRML or MTF; else broker.default_product."),
    ] = None,
    on: Annotated[
        str | None, typer.Option("--date", metavar="DATE", help="The day whose rates apply (2024-10-01); else today.")
    ] = None,
    security: Annotated[
        Literal["share", "equity_etf", "other_etf", "bse_X", "bse_SS"] | None,
        typer.Option(
            "--security",
            metavar="KIND",
            help="What no name tells: share, equity_etf, other_etf (gold, liquid, gilt), bse_X or bse_SS (BSE's "
            "groups); else as in broker.securities.",
        ),
    ] = None,
    multiplier: Annotated[
        float | None,
        typer.Option("--multiplier", metavar="RUPEES", help="₹ of one unit's move of ₹1, where no table knows it."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """What an order costs: exact, and rounded as on the contract note; then what the ledger adds to it."""
    from ..clock import SystemClock
    from ..commissions import default_product, security_of, terms_of
    from ..errors import ConfigError
    from ..kite.instruments import parse_key
    from ..market.charges import Order, ZerodhaCharges
    from ..market.naming import described
    from ..market.notes import contract_note
    from ..market.rates import KNOWN_FROM
    from ..symbols import contract
    from ..values import Side

    config = call_of(ctx).config()
    if not 0 < price < float("inf"):
        raise ConfigError(f"PRICE must be above zero, not {price:g}")
    if multiplier is not None and not 0 < multiplier < float("inf"):
        raise ConfigError(f"--multiplier must be above zero, not {multiplier:g}")
    day = _day(on) if on else SystemClock().now().date()
    instrument = described(parse_key(symbol, config.broker.default_exchange), multiplier=multiplier)
    if instrument.segment == "INDICES":
        raise ConfigError(f"{instrument.key} is an index and cannot be traded: name a future or an option on it")
    shares = instrument.exchange in ("NSE", "BSE")
    if shares and contract(instrument.tradingsymbol) is not None:
        raise ConfigError(f"{instrument.key} has a contract's name, and shares are on NSE and BSE: name NFO or BFO")
    security = security or security_of(instrument.key, config.broker.securities)
    if security != "share" and not (instrument.exchange == "BSE" or (shares and not security.startswith("bse_"))):
        what = "a share on BSE" if security.startswith("bse_") else "a fund on NSE or BSE"
        raise ConfigError(f"--security {security} is said of {what}, and not of {instrument.key}")
    named = product.upper() if product else default_product(instrument, config.broker.default_product)
    terms = terms_of(config.client)
    order = Order(instrument, Side(side.upper()), named, [(quantity, price)], security)
    exact, note = ZerodhaCharges(terms).charge(order, day), contract_note([order], day, terms)
    beside = _beside(order, day, terms)
    if as_json:
        found: dict[str, Any] = {
            "symbol": instrument.key, "side": order.side.value, "quantity": quantity, "price": price,
            "product": named, "date": day.isoformat(), "rates_of": max(day, KNOWN_FROM).isoformat(),
            "turnover": _turnover(order),
            "exact": _figures(exact), "note": _figures(note), "ledger": beside,
        }  # fmt: skip
        typer.echo(json.dumps(found, indent=2))
        return
    _show(order, day, exact, note, beside)


def _day(text: str) -> date:
    from ..errors import ConfigError

    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"--date takes a day such as 2024-10-01, not {text!r}") from None


def _turnover(order: Order) -> float:
    from ..market.charges import turnover

    return turnover(order)


def _figures(charges: Charges) -> dict[str, float]:
    return {**asdict(charges), "total": charges.total}


def _beside(order: Order, day: date, terms: Terms) -> dict[str, float]:
    """₹ that the ledger may take besides: by what is said on the line."""
    from ..market.levies import depository_charge, mtf_interest, mtf_pledge_charge, square_off_charge, square_off_orders
    from ..market.segments import classify
    from ..values import Side

    instrument, found = order.instrument, {}
    quantity = sum(units for units, _ in order.fills)
    if classify(instrument) == "eq" and order.product in ("CNC", "MTF") and order.side is Side.SELL:
        found["DP charge, once a share and day"] = depository_charge(day, woman=terms.woman)
    if order.product == "MTF" and order.side is Side.BUY:
        found["pledge of what MTF bought"] = mtf_pledge_charge(day)
        found["interest a day on each ₹1,00,000 funded"] = mtf_interest(100_000, 1, day)
    if order.product == "MIS":
        found["if Zerodha squares it off"] = square_off_charge(day, square_off_orders(instrument, quantity, day))
    return found


def _show(order: Order, day: date, exact: Charges, note: Charges, beside: dict[str, float]) -> None:
    from ..market.rates import KNOWN_FROM
    from ..market.segments import classify
    from ..risk.rules import rupees

    [(quantity, price)] = order.fills
    worth = rupees(_turnover(order))
    instrument = order.instrument
    typer.echo(f"{order.side} {quantity} {instrument.key} at {rupees(price)}, {order.product}, on {day}: {worth}")
    typer.echo(f"{'':<18}{'exact ₹':>14}{'note ₹':>12}")
    for name, said in _LINES:
        label = "CTT" if name == "transaction_tax" and classify(instrument).startswith("com") else said
        typer.echo(f"{label:<18}{getattr(exact, name):>14.6f}{getattr(note, name):>12.2f}")
    if day < KNOWN_FROM:
        typer.echo(
            f"no rates are known before {KNOWN_FROM}: these are of that day, and those of {day} may have been others"
        )
    for said, amount in beside.items():
        typer.echo(f"on the ledger: {said}: {rupees(amount)}")
