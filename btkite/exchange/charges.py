"""What a trade costs: brokerage, STT or CTT, exchange and SEBI fees, stamp duty and GST, by date.

Rates come from ``btkite/data/charges.csv``. Two surfaces, which round differently and are not equal to the
paisa:

*Kite's API* (:func:`api_charges`): one order, nothing rounded but stamp duty (rupee; paisa before 2023-04,
assumed). ``/charges/orders`` counts the investor protection fund (IPFT) into the exchange's fee, outside the
base of GST; ``/margins/*`` leaves it out and shows the note's least brokerage on deliveries. So the official
samples of January and July 2023 have it.

*The contract note* (:func:`day_notes`), which the ledger is charged with: the executed orders of a day, added
up by exchange, each line then rounded half up: tax and stamp to the rupee (on MCX stamp to the paisa), the
rest to the paisa; GST on the rounded lines, IPFT included. Shares are taxed as the exchange nets them: per
share and day, at the average of all its trades, whatever product they were bought under.

Not on either, but on the ledger: depository charges, square-off by the broker, interest on a debit.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .clock import day_of
from .errors import bad_input
from .instruments import InstrumentRow, describe

if TYPE_CHECKING:
    from .venue import Venue

TABLE = Path(__file__).resolve().parent.parent / "data" / "charges.csv"
ZERO = Decimal(0)
PAISA = Decimal("0.01")
RUPEE = Decimal(1)
GST_ON_SEBI = date(2022, 7, 18)
UNIFORM_STAMP = date(2020, 7, 1)
STATE_STAMP = (Decimal("0.0001"), Decimal("0.00002"))  # delivery, the rest: Maharashtra before 2020-07, both sides
STAMP_IN_RUPEES = date(2023, 4, 1)  # on the API; the samples of 2023-01 and 2023-07 bracket it
FLAT_OPTIONS = date(2024, 3, 1)  # currency and commodity options: min(percent of strike + premium, cap) before
AGRICULTURAL = frozenset({"COTTON", "COTTONCNDY", "KAPAS", "CARDAMOM", "CASTORSEED", "PEPPER", "RUBBER"})
# Zerodha's charges page of 2026; not in the table, since nothing is known of earlier dates.
NCO_FEES = {"fut": Decimal("0.000001"), "opt": Decimal("0.00001")}
FEES = {
    ("NSE", "eq"): "nse_eq", ("BSE", "eq"): "bse_eq",
    ("NFO", "fut"): "nse_fut", ("NFO", "opt"): "nse_opt",
    ("BFO", "fut"): "bse_fut", ("BFO", "opt"): "bse_opt",
    ("CDS", "fut"): "cds_fut", ("CDS", "opt"): "cds_opt",
    ("BCD", "fut"): "bcd_fut", ("BCD", "opt"): "bcd_opt",
    ("MCX", "fut"): "mcx_fut", ("MCX", "opt"): "mcx_opt",
}  # fmt: skip
# Rupees a depository takes for a sale of a share from demat, per share and day, before GST.
DEPOSITORY = ((date(2024, 9, 17), Decimal("13")), (date(1, 1, 1), Decimal("13.5")))
SQUARE_OFF = ((date(2020, 3, 19), Decimal("50")), (date(1, 1, 1), Decimal("20")))
DEBIT_INTEREST = Decimal("0.0005")  # a day, of a debit balance


@cache
def _table(path: Path) -> Mapping[str, list[tuple[date, Decimal]]]:
    """Rates by key, newest first; percents as fractions, rupees as they are."""
    found: dict[str, list[tuple[date, Decimal]]] = {}
    with path.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(line for line in lines if not line.startswith("#")):
            value = Decimal(row["value"]) / (100 if row["unit"] == "percent" else 1)
            found.setdefault(row["key"], []).append((date.fromisoformat(row["from"]), value))
    for rates in found.values():
        rates.sort(reverse=True)
    return found


@lru_cache(maxsize=4096)
def rate(key: str, day: date) -> Decimal:
    """The rate that held on ``day``; before the first date of the table, the first."""
    rates = _table(TABLE)[key]
    return next((value for since, value in rates if since <= day), rates[-1][1])


def _dated(table: tuple[tuple[date, Decimal], ...], day: date) -> Decimal:
    return next(value for since, value in table if since <= day)


def half_up(amount: Decimal, unit: Decimal = PAISA) -> Decimal:
    """To the paisa (or rupee), halves up."""
    return amount.quantize(unit, ROUND_HALF_UP)


def decimal(number: float) -> Decimal:
    """A float by the digits it is written with."""
    return Decimal(repr(number))


def with_gst(amount: Decimal, day: date) -> Decimal:
    """A ledger charge with its GST, to the paisa."""
    return half_up(amount * (1 + rate("gst", day)))


def depository_charge(day: date) -> Decimal:
    """Rupees for each share sold from demat on ``day``, GST included."""
    return with_gst(_dated(DEPOSITORY, day), day)


def square_off_charge(day: date) -> Decimal:
    """Rupees for each order by which the broker squares off, GST included."""
    return with_gst(_dated(SQUARE_OFF, day), day)


def debit_interest(balance: Decimal, days: int) -> Decimal:
    """Rupees of interest on a negative balance over ``days`` calendar days."""
    return half_up(max(ZERO, -balance) * DEBIT_INTEREST * days)


# the parts


@dataclass(frozen=True, slots=True)
class Deal:
    """What a charge depends on. ``intraday`` concerns shares only; ``security`` is ``share``, ``equity_etf``,
    ``other_etf``, ``bse_X`` or ``bse_SS``: what no dump tells."""

    row: InstrumentRow
    product: str
    buys: bool
    quantity: int
    value: Decimal  # rupees: quantity x price x multiplier, of options the premium
    intraday: bool
    security: str = "share"

    @property
    def kind(self) -> str:
        """``eq``, ``fut`` or ``opt``."""
        if not self.row.is_derivative:
            return "eq"
        return "opt" if self.row.is_option else "fut"

    @property
    def family(self) -> str:
        """``securities``, ``currency`` or ``commodity``."""
        exchange = self.row.exchange
        return {"CDS": "currency", "BCD": "currency", "MCX": "commodity", "NCO": "commodity"}.get(
            exchange, "securities"
        )

    @property
    def agricultural(self) -> bool:
        return self.family == "commodity" and self.row.name in AGRICULTURAL


def brokerage(deal: Deal, day: date) -> Decimal:
    """Of one executed order, rupees."""
    if deal.kind == "eq" and not deal.intraday:
        if deal.product != "MTF":
            return ZERO
        return min(deal.value * rate("brokerage_mtf_pct", day), rate("brokerage_cap", day))
    if deal.kind == "opt":
        flat = rate("brokerage_option", day)
        if deal.family == "securities" or day >= FLAT_OPTIONS:
            return flat
        contract = deal.value + decimal(deal.row.strike) * deal.quantity * decimal(deal.row.multiplier)
        return min(contract * rate("brokerage_pct", day), flat)
    return min(deal.value * rate("brokerage_pct", day), rate("brokerage_cap", day))


def tax_rate(deal: Deal, day: date) -> Decimal:
    """STT or CTT on the deal's value, as a fraction."""
    if deal.kind == "eq":
        if deal.security == "other_etf":
            return ZERO
        if deal.intraday:
            return ZERO if deal.buys else rate("stt_intraday_sell", day)
        if deal.security == "equity_etf":
            return ZERO if deal.buys else rate("stt_equity_etf_sell", day)
        return rate("stt_delivery_both", day)
    if deal.buys or deal.family == "currency":
        return ZERO
    if deal.family == "commodity":
        if deal.kind == "opt":
            return rate("ctt_opt_sell", day)
        return ZERO if deal.agricultural else rate("ctt_fut_sell_nonagri", day)
    return rate("stt_opt" if deal.kind == "opt" else "stt_fut", day)


def fee_rates(deal: Deal, day: date) -> tuple[Decimal, Decimal]:
    """The exchange's fee and, apart, the investor protection fund, as fractions."""
    exchange = deal.row.exchange
    if exchange == "NCO":
        return NCO_FEES[deal.kind], ZERO
    key = FEES[exchange, deal.kind]
    if deal.security in ("bse_X", "bse_SS") and exchange == "BSE":
        key = f"bse_eq_{deal.security[4:]}"
    if key == "bse_opt" and deal.row.name not in ("SENSEX", "BANKEX"):
        key = "bse_opt_other"
    fund = f"{key}_ipft"
    return rate(key, day), rate(fund, day) if fund in _table(TABLE) else ZERO


def sebi_rate(deal: Deal, day: date) -> Decimal:
    return rate("sebi_agri" if deal.agricultural else "sebi", day)


def stamp_rate(deal: Deal, day: date) -> Decimal:
    """As a fraction of the deal's value; since 2020-07 the buyer's alone."""
    delivery = deal.kind == "eq" and not deal.intraday
    if day < UNIFORM_STAMP:
        return STATE_STAMP[0 if delivery else 1]
    if not deal.buys:
        return ZERO
    if deal.kind == "eq":
        return rate("stamp_delivery_buy" if delivery else "stamp_intraday_buy", day)
    if deal.family == "currency":
        return rate("stamp_currency_buy", day)
    return rate("stamp_options_buy" if deal.kind == "opt" else "stamp_futures_buy", day)


# Kite's API


def no_charges() -> dict[str, Any]:
    """The shape, empty, as the totals of a basket carry it."""
    return {
        "transaction_tax": 0, "transaction_tax_type": "", "exchange_turnover_charge": 0, "sebi_turnover_charge": 0,
        "brokerage": 0, "stamp_duty": 0, "gst": {"igst": 0, "cgst": 0, "sgst": 0, "total": 0}, "total": 0,
    }  # fmt: skip


def api_charges(deal: Deal, day: date, *, contract_note: bool) -> dict[str, Any]:
    """Kite's ``charges`` object of one order; ``contract_note``: as ``/charges/orders`` has it, else ``/margins/*``."""
    fee_rate, fund_rate = fee_rates(deal, day)
    fee, fund = deal.value * fee_rate, deal.value * fund_rate if contract_note else ZERO
    paid = brokerage(deal, day)
    if not contract_note and not paid and deal.kind == "eq":
        paid = rate("brokerage_note_minimum", day)
    tax, sebi = deal.value * tax_rate(deal, day), deal.value * sebi_rate(deal, day)
    stamp = half_up(deal.value * stamp_rate(deal, day), RUPEE if day >= STAMP_IN_RUPEES else PAISA)
    gst = (paid + fee + (sebi if day >= GST_ON_SEBI else ZERO)) * rate("gst", day)
    return {
        "transaction_tax": _plain(tax),
        "transaction_tax_type": "ctt" if deal.family == "commodity" else "stt",
        "exchange_turnover_charge": _plain(fee + fund),
        "sebi_turnover_charge": _plain(sebi),
        "brokerage": _plain(paid),
        "stamp_duty": _plain(stamp),
        "gst": {"igst": _plain(gst), "cgst": 0, "sgst": 0, "total": _plain(gst)},
        "total": _plain(tax + fee + fund + sebi + paid + stamp + gst),
    }


def _plain(amount: Decimal) -> float | int:
    """As JSON writes it: whole numbers without a point."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def deal_of(item: Mapping[str, Any], row: InstrumentRow, price: float, security: str = "share") -> Deal:
    """The deal that an item of a margin or charges call describes, at ``price``."""
    quantity = whole(item, "quantity")
    side = item.get("transaction_type")
    if side not in ("BUY", "SELL"):
        raise bad_input("Invalid `transaction_type`.")
    product = str(item.get("product") or "")
    value = decimal(float(price)) * quantity * decimal(float(row.multiplier))
    return Deal(row, product, side == "BUY", quantity, value, product in ("MIS", "CO"), security)


def whole(item: Mapping[str, Any], name: str) -> int:
    """A quantity above zero of an item."""
    value = number(item, name)
    if value != int(value) or value <= 0:
        raise bad_input(f"Invalid `{name}`.")
    return int(value)


def number(item: Mapping[str, Any], name: str) -> float:
    """A number, zero or more, of an item; 0 if it is not there."""
    given = item.get(name)
    if given is None or given == "":
        return 0.0
    try:
        value = float(given)
    except (TypeError, ValueError):
        value = -1.0
    if not 0 <= value < float("inf"):
        raise bad_input(f"Invalid `{name}`.")
    return value


def row_of(venue: Venue, item: Mapping[str, Any]) -> InstrumentRow:
    """The instrument of an item; one that is not listed here is known by its name's own words."""
    exchange, symbol = str(item.get("exchange") or ""), str(item.get("tradingsymbol") or "")
    listing = venue.market.listings.get(f"{exchange}:{symbol}")
    if listing is not None:
        return listing.row
    try:
        return describe(f"{exchange}:{symbol}")
    except ValueError:
        raise bad_input("Invalid `tradingsymbol` or `exchange`.") from None


def contract_note(venue: Venue, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """``POST /charges/orders``: each order's charges at its ``average_price``, at the rates of the market's day."""
    today = day_of(venue.now)
    rows = []
    for item in checked_items(items):
        price = number(item, "average_price")
        if price <= 0:
            raise bad_input("Invalid `average_price`.")
        row = row_of(venue, item)
        deal = deal_of(item, row, price, venue.settings.securities.get(row.key, "share"))
        rows.append(
            {
                "transaction_type": item["transaction_type"],
                "tradingsymbol": row.tradingsymbol,
                "exchange": row.exchange,
                "variety": item.get("variety") or "regular",
                "product": deal.product,
                "order_type": item.get("order_type") or "",
                "quantity": deal.quantity,
                "price": int(price) if price == int(price) else price,
                "charges": api_charges(deal, today, contract_note=True),
            }
        )
    return rows


def checked_items(items: Any) -> Sequence[Mapping[str, Any]]:
    """The list of orders of a call, or Kite's refusal."""
    if not isinstance(items, Sequence) or isinstance(items, (str, bytes)) or not items:
        raise bad_input("Invalid input: a JSON list of orders is expected.")
    if not all(isinstance(item, Mapping) for item in items):
        raise bad_input("Invalid input: every order must be a JSON object.")
    return items


# the contract note of a day


class Executed(NamedTuple):
    """One order of the day and all its fills, (quantity, price in rupees)."""

    row: InstrumentRow
    product: str
    buys: bool
    fills: Sequence[tuple[int, float]]
    security: str = "share"

    @property
    def quantity(self) -> int:
        return sum(quantity for quantity, _ in self.fills)

    @property
    def value(self) -> Decimal:
        units = decimal(float(self.row.multiplier))
        return sum((decimal(float(price)) * quantity * units for quantity, price in self.fills), ZERO)


@dataclass(frozen=True, slots=True)
class Note:
    """The lines of one exchange's part of a contract note, rupees; ``fee`` holds the protection fund."""

    exchange: str
    turnover: Decimal
    brokerage: Decimal
    tax: Decimal
    fee: Decimal
    sebi: Decimal
    stamp: Decimal
    gst: Decimal

    @property
    def total(self) -> Decimal:
        return self.brokerage + self.tax + self.fee + self.sebi + self.stamp + self.gst


def day_notes(orders: Iterable[Executed], day: date) -> list[Note]:
    """The notes of a day's executed orders, one for each exchange, in the order of the exchanges' names."""
    by_exchange: dict[str, list[Executed]] = {}
    for order in orders:
        if order.fills:
            by_exchange.setdefault(order.row.exchange, []).append(order)
    return [_note(exchange, by_exchange[exchange], day) for exchange in sorted(by_exchange)]


def _note(exchange: str, orders: Sequence[Executed], day: date) -> Note:
    parts = [part for group in _grouped(orders) for part in _split(group)]
    paid = sum((brokerage(deal, day) for deal in _per_order(parts)), ZERO)
    if not paid and exchange in ("NSE", "BSE"):
        paid = rate("brokerage_note_minimum", day)
    deals = [deal for deal, _ in parts]
    paid = half_up(paid)
    tax = _tax(deals, day)
    fee = half_up(_sum(deals, lambda deal: sum(fee_rates(deal, day), ZERO)))
    sebi = half_up(_sum(deals, lambda deal: sebi_rate(deal, day)))
    stamp = half_up(_sum(deals, lambda deal: stamp_rate(deal, day)), PAISA if exchange == "MCX" else RUPEE)
    base = paid + fee + (sebi if day >= GST_ON_SEBI else ZERO)
    return Note(
        exchange, sum((deal.value for deal in deals), ZERO), paid, tax, fee, sebi, stamp,
        half_up(base * rate("gst", day)),
    )  # fmt: skip


def _sum(deals: Iterable[Deal], fraction: Callable[[Deal], Decimal]) -> Decimal:
    return sum((deal.value * fraction(deal) for deal in deals), ZERO)


def _grouped(orders: Sequence[Executed]) -> list[list[Executed]]:
    groups: dict[str, list[Executed]] = {}
    for order in orders:
        groups.setdefault(order.row.key, []).append(order)
    return list(groups.values())


def _split(orders: Sequence[Executed]) -> list[tuple[Deal, int]]:
    """One instrument's orders as deals with their order's number; orders in shares in two, what was squared
    off within the day (the first to come) and what was delivered."""
    if orders[0].row.is_derivative:
        return [(_deal(order, order.quantity, order.value, False), id(order)) for order in orders]
    squared = min(sum(order.quantity for order in orders if order.buys is side) for side in (True, False))
    parts: list[tuple[Deal, int]] = []
    for side in (True, False):
        left = squared
        for order in orders:
            if order.buys is not side:
                continue
            intraday = min(left, order.quantity)
            left -= intraday
            for quantity, is_intraday in ((intraday, True), (order.quantity - intraday, False)):
                if quantity:
                    value = order.value * quantity / order.quantity
                    parts.append((_deal(order, quantity, value, is_intraday), id(order)))
    return parts


def _deal(order: Executed, quantity: int, value: Decimal, intraday: bool) -> Deal:
    return Deal(order.row, order.product, order.buys, quantity, value, intraday, order.security)


def _per_order(parts: Sequence[tuple[Deal, int]]) -> list[Deal]:
    """What brokerage is taken on: an order once. An MIS order is intraday altogether, whatever was delivered."""
    whole_orders: dict[tuple[int, bool], Deal] = {}
    for deal, order in parts:
        intraday = deal.intraday or deal.product in ("MIS", "CO")
        known = whole_orders.get((order, intraday))
        quantity = deal.quantity + (known.quantity if known else 0)
        value = deal.value + (known.value if known else ZERO)
        whole_orders[order, intraday] = Deal(
            deal.row, deal.product, deal.buys, quantity, value, intraday, deal.security
        )
    return list(whole_orders.values())


def _tax(deals: Sequence[Deal], day: date) -> Decimal:
    """STT or CTT: of shares by the average of the day, intraday and delivery rounded apart."""
    if deals[0].kind != "eq":
        return half_up(half_up(_sum(deals, lambda deal: tax_rate(deal, day))), RUPEE)
    intraday = delivery = ZERO
    by_share: dict[str, list[Deal]] = {}
    for deal in deals:
        by_share.setdefault(deal.row.key, []).append(deal)
    for share in by_share.values():
        average = sum((deal.value for deal in share), ZERO) / sum(deal.quantity for deal in share)
        for deal in share:
            tax = average * deal.quantity * tax_rate(deal, day)
            if deal.intraday:
                intraday += tax
            else:
                delivery += tax
    return sum((half_up(half_up(part), RUPEE) for part in (intraday, delivery)), ZERO)


# expiry


@dataclass(frozen=True, slots=True)
class Levies:
    """What an expiry costs, rupees."""

    brokerage: Decimal
    tax: Decimal
    stamp: Decimal
    gst: Decimal

    @property
    def total(self) -> Decimal:
        return self.brokerage + self.tax + self.stamp + self.gst


def exercise_levies(row: InstrumentRow, intrinsic: Decimal, settlement: Decimal, *, holder: bool, day: date) -> Levies:
    """An option that ended in the money, settled in cash: ``intrinsic`` and ``settlement`` in rupees of the
    contract. The holder alone pays the tax."""
    paid = rate("brokerage_option", day)
    tax = ZERO
    if holder and row.exchange in ("NFO", "BFO"):
        tax = half_up(half_up(intrinsic * rate("stt_opt_exercise", day)), RUPEE)
    elif holder and row.exchange == "MCX":
        tax = half_up(settlement * rate("ctt_opt_exercise_settlement", day))
    return Levies(paid, tax, ZERO, half_up(paid * rate("gst", day)))


def delivery_levies(value: Decimal, *, receives: bool, netted: bool, day: date) -> Levies:
    """Shares received or given for a future or an option; ``netted`` obligations move none."""
    share = NETTED_BROKERAGE if netted else rate("physical_delivery_brokerage", day)
    paid = half_up(value * share)
    tax = ZERO if netted else half_up(value * rate("stt_delivery_both", day), RUPEE)
    stamp = half_up(value * rate("stamp_delivery_buy", day), RUPEE) if receives and not netted else ZERO
    return Levies(paid, tax, stamp, half_up(paid * rate("gst", day)))


NETTED_BROKERAGE = Decimal("0.001")
