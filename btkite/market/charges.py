"""What an order costs at Zerodha: brokerage, STT or CTT, exchange and SEBI fees, stamp duty, GST.

Rates by date are in ``data/charges.csv`` (:mod:`~btkite.market.rates`). Charges are per *order*: all fills of one
order together, so that the cap on brokerage counts once. Three surfaces round differently, and none equals another
to the paisa:

``exact``
    Nothing is rounded. For running profit and loss; a delivery order's brokerage is 0.
``kite``
    As Kite's ``/charges/orders`` answers: exact, but stamp duty in whole rupees (in paise before 2023-04), and the
    investor protection fund (IPFT) outside the base of GST.
``margins``
    As Kite's ``/margins/orders`` and ``/margins/basket`` show them: so, but without the fund, and with the least
    brokerage of a note on a delivery.
``note``
    As the contract note: :mod:`~btkite.market.notes`.

What is on no note (DP charges, square-off by the broker, interest, exercise and delivery at an expiry) is in
:mod:`~btkite.market.levies`. Dates before 2020 take the first rates of the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from ..errors import ConfigError, DataError
from ..values import Security, Side
from .prices import exact
from .rates import has, rate
from .segments import classify

if TYPE_CHECKING:
    from ..values import Instrument
    from .segments import Segment

_ZERO = Decimal(0)
_PERCENT = Decimal("0.01")
PAISA = Decimal("0.01")
RUPEE = Decimal(1)
_UNIFORM_STAMP = date(2020, 7, 1)
_SEBI_FEE_IN_GST = date(2022, 7, 18)
_STAMP_IN_RUPEES = date(2023, 4, 1)  # Kite's samples of 2023-01 and 2023-07 bracket it
_FLAT_OPTIONS = date(2024, 3, 1)  # first seen; before, a currency or commodity option paid a percentage up to the cap

# MCX commodities that pay no CTT and SEBI's lower fee. Processed ones (crude palm oil, mentha oil) are
# left out: no source was found for them, and the dearer rate is the safer guess.
AGRICULTURAL = frozenset({"COTTON", "COTTONCNDY", "KAPAS", "CARDAMOM", "CASTORSEED", "PEPPER", "RUBBER"})
_BSE_BIG_INDICES = frozenset({"SENSEX", "BANKEX"})
_FEES: dict[tuple[str, Segment], str] = {
    ("NSE", "eq"): "nse_eq",
    ("BSE", "eq"): "bse_eq",
    ("NFO", "fut"): "nse_fut",
    ("NFO", "opt"): "nse_opt",
    ("BFO", "fut"): "bse_fut",
    ("BFO", "opt"): "bse_opt",
    ("CDS", "cur_fut"): "cds_fut",
    ("CDS", "cur_opt"): "cds_opt",
    ("BCD", "cur_fut"): "bcd_fut",
    ("BCD", "cur_opt"): "bcd_opt",
    ("MCX", "com_fut"): "mcx_fut",
    ("MCX", "com_opt"): "mcx_opt",
    ("NCO", "com_fut"): "nco_fut",
    ("NCO", "com_opt"): "nco_opt",
}
_STAMP: dict[Segment, str] = {
    "fut": "stamp_futures_buy",
    "opt": "stamp_options_buy",
    "cur_fut": "stamp_currency_buy",
    "cur_opt": "stamp_currency_buy",
    "com_fut": "stamp_futures_buy",
    "com_opt": "stamp_options_buy",
}


@dataclass(frozen=True, slots=True)
class Charges:
    """The parts of a charge, in rupees. ``exchange`` holds ``ipft`` already, as on the note; ``depository`` is the DP
    charge of a delivery sale, GST included, which is on the ledger alone."""

    brokerage: float = 0.0
    transaction_tax: float = 0.0
    exchange: float = 0.0
    sebi: float = 0.0
    stamp: float = 0.0
    gst: float = 0.0
    ipft: float = 0.0
    depository: float = 0.0

    @property
    def total(self) -> float:
        """What is paid, in rupees, clean of the noise of float addition."""
        parts = (self.brokerage, self.transaction_tax, self.exchange, self.sebi, self.stamp, self.gst)
        return float(sum((Decimal(repr(part)) for part in (*parts, self.depository)), _ZERO))

    def __add__(self, other: Charges) -> Charges:
        return Charges(*(getattr(self, part.name) + getattr(other, part.name) for part in fields(self)))

    def __sub__(self, other: Charges) -> Charges:
        """What was added since ``other``: the charge of an order's latest fill."""
        return Charges(*(getattr(self, part.name) - getattr(other, part.name) for part in fields(self)))


NO_CHARGES = Charges()


@dataclass(frozen=True, slots=True)
class Terms:
    """What depends on the client.

    ``extra_per_order``: rupees on every executed order with brokerage: 20 while the account is in debit, 50
    for orders by phone or forced square-off. ``state_stamp``: percent for delivery and for the rest, both
    sides, before 2020-07-01 (default: Maharashtra, Gujarat, Delhi, Kerala). ``split_gst``: a Karnataka
    address, where the note rounds CGST and SGST apart. ``ipft_in_gst``: notes of 2025 have it inside.
    ``note_minimum``: brokerage in rupees of a note with deliveries only; None: the table's. ``woman``: the first
    holder is one, which makes the DP charge less.
    """

    extra_per_order: float = 0.0
    state_stamp: tuple[float, float] = (0.01, 0.002)
    split_gst: bool = False
    ipft_in_gst: bool = True
    note_minimum: float | None = None
    woman: bool = False


class Order(NamedTuple):
    """One executed order: its fills as (quantity, price in rupees)."""

    instrument: Instrument
    side: Side
    product: str
    fills: Sequence[tuple[int, float]]
    security: Security = "share"


class Tariff(Protocol):
    """What a broker asks about money: the charge of one order so far."""

    def charge(self, order: Order, on: date) -> Charges:
        """All charges of ``order``, of all its fills so far, traded on the date ``on``."""
        ...


class ZeroCharges:
    """Nothing costs anything: for comparing with engines that know no charges."""

    def charge(self, order: Order, on: date) -> Charges:
        return NO_CHARGES


class ZerodhaCharges:
    """Zerodha's charges, unrounded or as Kite shows them."""

    def __init__(self, terms: Terms | None = None, *, rounding: Literal["exact", "kite", "margins"] = "exact") -> None:
        self._terms = terms or Terms()
        self._rounding = rounding

    def charge(self, order: Order, on: date) -> Charges:
        lines = lines_for(order, on, self._terms)
        if self._rounding == "exact":
            return lines.with_gst(on, self._terms)
        lines = lines._replace(stamp=half_up(lines.stamp, RUPEE if on >= _STAMP_IN_RUPEES else PAISA))
        if self._rounding == "margins":
            delivered = classify(order.instrument) == "eq" and not lines.brokerage and bool(order.fills)
            least = rate("brokerage_note_minimum", on) if delivered else lines.brokerage
            lines = lines._replace(ipft=_ZERO, brokerage=least)
        return lines.with_gst(on, replace(self._terms, ipft_in_gst=False))


def tariff(*, enabled: bool = True, terms: Terms | None = None) -> Tariff:
    """Zerodha's charges, or none if they are switched off."""
    return ZerodhaCharges(terms) if enabled else ZeroCharges()


def charge_order(
    instrument: Instrument,
    side: Side,
    product: str,
    fills: Sequence[tuple[int, float]],
    on: date,
    terms: Terms | None = None,
    *,
    security: Security = "share",
) -> Charges:
    """The unrounded charges of one order with all its fills so far, each (quantity, price in rupees).

    :raises ConfigError: for a product that the segment does not have.
    :raises DataError: where no rates are known.
    """
    return ZerodhaCharges(terms).charge(Order(instrument, side, product, fills, security), on)


def order_charges(
    segment: Segment,
    exchange: str,
    side: Side,
    product: str,
    quantity: int,
    price: float,
    on: date,
    multiplier: float = 1.0,
    *,
    name: str = "",
    strike: float = 0.0,
    security: Security = "share",
    terms: Terms | None = None,
) -> Charges:
    """As :func:`charge_order`, for one fill and without an instrument; ``name`` is the underlying's."""
    terms = terms or Terms()
    units = exact(quantity) * exact(multiplier)
    lines = lines_of(
        segment, exchange, side, product, units * exact(price), on, name, security, terms, units * exact(strike)
    )
    return lines.with_gst(on, terms)


def turnover(order: Order) -> float:
    """Rupees traded by an order, of options: the premium."""
    return float(value_of(order))


# -- the parts, exact ------------------------------------------------------------------------------------


class Lines(NamedTuple):
    """The parts without GST, exact. ``exchange`` is without ``ipft`` here."""

    brokerage: Decimal = _ZERO
    transaction_tax: Decimal = _ZERO
    exchange: Decimal = _ZERO
    sebi: Decimal = _ZERO
    stamp: Decimal = _ZERO
    ipft: Decimal = _ZERO

    def __add__(self, other: object) -> Lines:
        if not isinstance(other, Lines):
            return NotImplemented
        return Lines(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def gst(self, on: date, terms: Terms) -> Decimal:
        base = self.brokerage + self.exchange
        if terms.ipft_in_gst:
            base += self.ipft
        if on >= _SEBI_FEE_IN_GST:
            base += self.sebi
        return base * rate("gst", on) * _PERCENT

    def with_gst(self, on: date, terms: Terms) -> Charges:
        return Charges(
            brokerage=float(self.brokerage),
            transaction_tax=float(self.transaction_tax),
            exchange=float(self.exchange + self.ipft),
            sebi=float(self.sebi),
            stamp=float(self.stamp),
            gst=float(self.gst(on, terms)),
            ipft=float(self.ipft),
        )


def half_up(amount: Decimal, unit: Decimal) -> Decimal:
    """To the paisa or the rupee, halves up."""
    return amount.quantize(unit, ROUND_HALF_UP)


def units_of(order: Order) -> Decimal:
    """Quantity in what a price is of: on MCX and in currency more than the lots that Kite counts."""
    return sum((exact(quantity) for quantity, _ in order.fills), _ZERO) * exact(order.instrument.multiplier)


def value_of(order: Order) -> Decimal:
    """Rupees traded, exact."""
    value = sum((exact(quantity) * exact(price) for quantity, price in order.fills), _ZERO)
    return value * exact(order.instrument.multiplier)


def lines_for(order: Order, on: date, terms: Terms) -> Lines:
    """The parts of one order's charge."""
    instrument = order.instrument
    return lines_of(
        classify(instrument),
        instrument.exchange,
        order.side,
        order.product,
        value_of(order),
        on,
        instrument.name,
        order.security,
        terms,
        units_of(order) * exact(instrument.strike),
    )


def lines_of(
    segment: Segment,
    exchange: str,
    side: Side,
    product: str,
    value: Decimal,
    on: date,
    name: str,
    security: Security,
    terms: Terms,
    struck: Decimal = _ZERO,
) -> Lines:
    """The parts of the charge of ``value`` rupees traded; ``struck``: of an option, rupees at its strike."""
    fee = _FEES.get((exchange, segment))
    if fee is None:
        raise DataError(
            f"no charges are known for segment {segment!r} on exchange {exchange!r}; switch charges off for it"
        )
    if not value:
        return Lines()
    delivery = _is_delivery(segment, product)
    agricultural = segment in ("com_fut", "com_opt") and name in AGRICULTURAL
    ipft = f"{fee}_ipft"
    if fee == "bse_opt" and name not in _BSE_BIG_INDICES:
        fee = "bse_opt_other"
    elif fee == "bse_eq" and security in ("bse_X", "bse_SS"):
        fee = f"bse_eq_{security.removeprefix('bse_')}"
    share = value * _PERCENT
    return Lines(
        brokerage=brokerage(segment, product, value, on, terms, struck),
        transaction_tax=share * tax_rate(segment, side, delivery, on, security, agricultural),
        exchange=share * rate(fee, on),
        sebi=share * rate("sebi_agri" if agricultural else "sebi", on),
        stamp=share * _stamp_rate(segment, side, delivery, on, terms),
        ipft=share * rate(ipft, on) if has(ipft) else _ZERO,
    )


def _is_delivery(segment: Segment, product: str) -> bool:
    known = ("CNC", "MIS", "MTF", "CO", "BO") if segment == "eq" else ("NRML", "MIS", "CO", "BO")
    if product not in known:
        raise ConfigError(f"product {product!r} does not exist in segment {segment!r}; take one of {', '.join(known)}")
    return product in ("CNC", "MTF")


def brokerage(
    segment: Segment, product: str, value: Decimal, on: date, terms: Terms, struck: Decimal = _ZERO
) -> Decimal:
    """Of one executed order of ``value`` rupees."""
    if segment == "eq" and product == "CNC":
        return _ZERO
    extra, cap = exact(terms.extra_per_order), rate("brokerage_cap", on)
    if segment in ("opt", "cur_opt", "com_opt"):
        flat = rate("brokerage_option", on)
        if segment == "opt" or on >= _FLAT_OPTIONS:
            return flat + extra
        return min((value + struck) * _PERCENT * rate("brokerage_pct", on), flat) + extra
    percent = rate("brokerage_mtf_pct" if product == "MTF" else "brokerage_pct", on)
    return min(value * _PERCENT * percent, cap) + extra


def tax_rate(
    segment: Segment, side: Side, delivery: bool, on: date, security: Security = "share", agricultural: bool = False
) -> Decimal:
    """STT or CTT in per cent of the value."""
    sells = side is Side.SELL
    if segment == "eq":
        if security == "other_etf":
            return _ZERO
        if delivery and security == "equity_etf":
            return rate("stt_equity_etf_sell", on) if sells else _ZERO
        if delivery:
            return rate("stt_delivery_both", on)
        return rate("stt_intraday_sell", on) if sells else _ZERO
    if not sells or agricultural:
        return _ZERO
    key = {"fut": "stt_fut", "opt": "stt_opt", "com_fut": "ctt_fut_sell_nonagri", "com_opt": "ctt_opt_sell"}.get(
        segment
    )
    return rate(key, on) if key else _ZERO


def _stamp_rate(segment: Segment, side: Side, delivery: bool, on: date, terms: Terms) -> Decimal:
    if on < _UNIFORM_STAMP:
        return exact(terms.state_stamp[0 if delivery else 1])
    if side is not Side.BUY:
        return _ZERO
    if segment == "eq":
        return rate("stamp_delivery_buy" if delivery else "stamp_intraday_buy", on)
    return rate(_STAMP[segment], on)
