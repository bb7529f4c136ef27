"""What a trade costs at Zerodha: brokerage, STT or CTT, exchange and SEBI fees, stamp duty, GST.

Rates by date are in ``data/charges.csv``. Charges are per *order*: all fills of one order together,
so that the cap on brokerage counts once. Three surfaces round differently, and none equals another to
the paisa:

``exact``
    Nothing is rounded. For running profit and loss; a delivery order's brokerage is 0.
``kite``
    As Kite's ``/charges/orders`` answered in 2023: exact, but stamp duty in whole rupees, and the
    investor protection fund (IPFT) outside the base of GST.
``note``
    As the contract note: orders are added up per exchange, then each line is rounded (STT and stamp
    to the rupee, on MCX stamp to the paisa, the rest to the paisa, halves up).

Not here, because they are not on the note: DP charges, pledges, interest, auto square-off. Not modelled:
the exchange's netting of STT over a day (intraday STT is taken on the sale value), exercise and physical
settlement. Dates before 2020 take the first rates of the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from ..errors import ConfigError, DataError
from ..values import Side
from .prices import exact
from .segments import classify
from .tables import read_table

if TYPE_CHECKING:
    from ..values import Instrument
    from .segments import Segment

Security = Literal["share", "equity_etf", "other_etf", "bse_X", "bse_SS"]
"""What the instruments dump does not tell: funds pay other STT, BSE's groups X XT Z ZP and SS ST other fees."""

_ZERO = Decimal(0)
_PERCENT = Decimal("0.01")
_PAISA = Decimal("0.01")
_RUPEE = Decimal(1)
_UNIFORM_STAMP = date(2020, 7, 1)
_SEBI_FEE_IN_GST = date(2022, 7, 18)

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
    """The parts of a charge, in rupees. ``exchange`` holds ``ipft`` already, as on the note."""

    brokerage: float = 0.0
    transaction_tax: float = 0.0
    exchange: float = 0.0
    sebi: float = 0.0
    stamp: float = 0.0
    gst: float = 0.0
    ipft: float = 0.0

    @property
    def total(self) -> float:
        """What is paid, in rupees, clean of the noise of float addition."""
        parts = (self.brokerage, self.transaction_tax, self.exchange, self.sebi, self.stamp, self.gst)
        return float(sum((Decimal(repr(part)) for part in parts), _ZERO))

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
    ``note_minimum``: brokerage in rupees of a note with deliveries only; None: the table's.
    """

    extra_per_order: float = 0.0
    state_stamp: tuple[float, float] = (0.01, 0.002)
    split_gst: bool = False
    ipft_in_gst: bool = True
    note_minimum: float | None = None


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

    def __init__(self, terms: Terms | None = None, *, rounding: Literal["exact", "kite"] = "exact") -> None:
        self._terms = terms or Terms()
        self._rounding = rounding

    def charge(self, order: Order, on: date) -> Charges:
        lines = _lines(order, on, self._terms)
        if self._rounding == "exact":
            return lines.with_gst(on, self._terms)
        lines = lines._replace(stamp=lines.stamp.quantize(_RUPEE, ROUND_HALF_UP))
        return lines.with_gst(on, Terms(ipft_in_gst=False))


def tariff(*, enabled: bool = True, terms: Terms | None = None) -> Tariff:
    """Zerodha's charges, or none if they are switched off."""
    return ZerodhaCharges(terms) if enabled else ZeroCharges()


def charge_order(
    instrument: Instrument, side: Side, product: str, fills: Sequence[tuple[int, float]], on: date
) -> Charges:
    """The unrounded charges of one order with all its fills so far, each (quantity, price in rupees).

    :raises ConfigError: for a product that the segment does not have.
    :raises DataError: where no rates are known.
    """
    return ZerodhaCharges().charge(Order(instrument, side, product, fills), on)


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
    security: Security = "share",
    terms: Terms | None = None,
) -> Charges:
    """As :func:`charge_order`, for one fill and without an instrument; ``name`` is the underlying's."""
    terms = terms or Terms()
    turnover = exact(quantity) * exact(price) * exact(multiplier)
    return _lines_of(segment, exchange, side, product, turnover, on, name, security, terms).with_gst(on, terms)


def contract_note(orders: Iterable[Order], on: date, terms: Terms | None = None) -> Charges:
    """The charges of a day's orders as the contract note rounds them.

    Lines are added up and rounded per exchange; a note of deliveries alone carries the minimum brokerage.
    """
    terms = terms or Terms()
    columns: dict[str, _Lines] = {}
    deliveries = False
    for order in orders:
        column = order.instrument.exchange
        columns[column] = columns.get(column, _Lines()) + _lines(order, on, terms)
        deliveries = deliveries or (classify(order.instrument) == "eq" and order.product == "CNC" and bool(order.fills))
    if deliveries and not any(lines.brokerage for lines in columns.values()):
        least = _rate("brokerage_note_minimum", on) if terms.note_minimum is None else exact(terms.note_minimum)
        first = next(iter(columns))
        columns[first] = columns[first]._replace(brokerage=least)
    note = NO_CHARGES
    for column, lines in columns.items():
        note = note + _round_column(lines, column, on, terms)
    return Charges(*(float(exact(getattr(note, part.name))) for part in fields(note)))


def turnover(order: Order) -> float:
    """Rupees traded by an order, of options: the premium."""
    return float(_turnover(order))


# -- inside -------------------------------------------------------------------------------------------


class _Lines(NamedTuple):
    """The parts without GST, exact. ``exchange`` is without ``ipft`` here."""

    brokerage: Decimal = _ZERO
    transaction_tax: Decimal = _ZERO
    exchange: Decimal = _ZERO
    sebi: Decimal = _ZERO
    stamp: Decimal = _ZERO
    ipft: Decimal = _ZERO

    def __add__(self, other: object) -> _Lines:
        if not isinstance(other, _Lines):
            return NotImplemented
        return _Lines(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))

    def gst(self, on: date, terms: Terms) -> Decimal:
        base = self.brokerage + self.exchange
        if terms.ipft_in_gst:
            base += self.ipft
        if on >= _SEBI_FEE_IN_GST:
            base += self.sebi
        return base * _rate("gst", on) * _PERCENT

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


def _round_column(lines: _Lines, exchange: str, on: date, terms: Terms) -> Charges:
    tax = _half_up(_half_up(lines.transaction_tax, _PAISA), _RUPEE)
    # GST is taken from the lines as they are printed.
    fee = _half_up(lines.exchange + lines.ipft, _PAISA)
    printed = lines._replace(
        brokerage=_half_up(lines.brokerage, _PAISA),
        exchange=fee if terms.ipft_in_gst else _half_up(lines.exchange, _PAISA),
        sebi=_half_up(lines.sebi, _PAISA),
        ipft=_ZERO,
    )
    gst = printed.gst(on, terms)
    return Charges(
        brokerage=float(printed.brokerage),
        transaction_tax=float(tax),
        exchange=float(fee),
        sebi=float(printed.sebi),
        stamp=float(_half_up(lines.stamp, _PAISA if exchange == "MCX" else _RUPEE)),
        gst=float(2 * _half_up(gst / 2, _PAISA) if terms.split_gst else _half_up(gst, _PAISA)),
        ipft=float(_half_up(lines.ipft, _PAISA)),
    )


def _half_up(amount: Decimal, unit: Decimal) -> Decimal:
    return amount.quantize(unit, ROUND_HALF_UP)


def _turnover(order: Order) -> Decimal:
    value = sum((exact(quantity) * exact(price) for quantity, price in order.fills), _ZERO)
    return value * exact(order.instrument.multiplier)


def _lines(order: Order, on: date, terms: Terms) -> _Lines:
    instrument = order.instrument
    return _lines_of(
        classify(instrument),
        instrument.exchange,
        order.side,
        order.product,
        _turnover(order),
        on,
        instrument.name,
        order.security,
        terms,
    )


def _lines_of(
    segment: Segment,
    exchange: str,
    side: Side,
    product: str,
    value: Decimal,
    on: date,
    name: str,
    security: Security,
    terms: Terms,
) -> _Lines:
    fee = _FEES.get((exchange, segment))
    if fee is None:
        raise DataError(
            f"no charges are known for segment {segment!r} on exchange {exchange!r}; switch charges off for it"
        )
    if not value:
        return _Lines()
    delivery = _is_delivery(segment, product)
    agricultural = segment in ("com_fut", "com_opt") and name in AGRICULTURAL
    ipft = f"{fee}_ipft"
    if fee == "bse_opt" and name not in _BSE_BIG_INDICES:
        fee = "bse_opt_other"
    elif fee == "bse_eq" and security in ("bse_X", "bse_SS"):
        fee = f"bse_eq_{security.removeprefix('bse_')}"
    share = value * _PERCENT
    return _Lines(
        brokerage=_brokerage(segment, product, share, on, terms),
        transaction_tax=share * _tax_rate(segment, side, delivery, on, security, agricultural),
        exchange=share * _rate(fee, on),
        sebi=share * _rate("sebi_agri" if agricultural else "sebi", on),
        stamp=share * _stamp_rate(segment, side, delivery, on, terms),
        ipft=share * _rate(ipft, on) if ipft in _rates() else _ZERO,
    )


def _is_delivery(segment: Segment, product: str) -> bool:
    known = ("CNC", "MIS", "MTF", "CO", "BO") if segment == "eq" else ("NRML", "MIS", "CO", "BO")
    if product not in known:
        raise ConfigError(f"product {product!r} does not exist in segment {segment!r}; take one of {', '.join(known)}")
    return product in ("CNC", "MTF")


def _brokerage(segment: Segment, product: str, share: Decimal, on: date, terms: Terms) -> Decimal:
    if segment == "eq" and product == "CNC":
        return _ZERO
    extra = exact(terms.extra_per_order)
    if segment in ("opt", "cur_opt", "com_opt"):
        return _rate("brokerage_option", on) + extra
    rate = _rate("brokerage_mtf_pct" if product == "MTF" else "brokerage_pct", on)
    return min(share * rate, _rate("brokerage_cap", on)) + extra


def _tax_rate(
    segment: Segment, side: Side, delivery: bool, on: date, security: Security, agricultural: bool
) -> Decimal:
    sells = side is Side.SELL
    if segment == "eq":
        if security == "other_etf":
            return _ZERO
        if delivery and security == "equity_etf":
            return _rate("stt_equity_etf_sell", on) if sells else _ZERO
        if delivery:
            return _rate("stt_delivery_both", on)
        return _rate("stt_intraday_sell", on) if sells else _ZERO
    if not sells or agricultural:
        return _ZERO
    key = {"fut": "stt_fut", "opt": "stt_opt", "com_fut": "ctt_fut_sell_nonagri", "com_opt": "ctt_opt_sell"}.get(
        segment
    )
    return _rate(key, on) if key else _ZERO


def _stamp_rate(segment: Segment, side: Side, delivery: bool, on: date, terms: Terms) -> Decimal:
    if on < _UNIFORM_STAMP:
        return exact(terms.state_stamp[0 if delivery else 1])
    if side is not Side.BUY:
        return _ZERO
    if segment == "eq":
        return _rate("stamp_delivery_buy" if delivery else "stamp_intraday_buy", on)
    return _rate(_STAMP[segment], on)


@cache
def _rates() -> dict[str, list[tuple[date, Decimal]]]:
    rates: dict[str, list[tuple[date, Decimal]]] = {}
    for row in read_table("charges"):
        rates.setdefault(row["key"], []).append((date.fromisoformat(row["from"]), Decimal(row["value"])))
    for dated in rates.values():
        dated.sort()
    return rates


@cache
def _rate(key: str, on: date) -> Decimal:
    """The rate in force on a date; before the first row, the first."""
    dated = _rates()[key]
    return next((rate for since, rate in reversed(dated) if since <= on), dated[0][1])
