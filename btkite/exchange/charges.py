"""What a trade costs: brokerage, STT or CTT, exchange and SEBI fees, stamp duty and GST, by date.

Rates come from ``btkite/data/charges.csv``. Here are the parts, unrounded; two surfaces add them up, which
round differently and are not equal to the paisa: Kite's calculator (:mod:`calculator`) and the day's contract
note (:mod:`contract_note`), which the ledger is charged with.

Not on either, but on the ledger: depository charges, square-off by the broker, interest on a debit, and what an
expiry costs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from functools import cache, lru_cache

from . import tables
from .instruments import InstrumentRow

ZERO = Decimal(0)
PAISA = Decimal("0.01")
RUPEE = Decimal(1)
GST_ON_SEBI = date(2022, 7, 18)
UNIFORM_STAMP = date(2020, 7, 1)
STATE_STAMP = (Decimal("0.0001"), Decimal("0.00002"))  # delivery, the rest: Maharashtra before 2020-07, both sides
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
NETTED_BROKERAGE = Decimal("0.001")  # of a delivery that another one nets out
DEBIT_INTEREST = Decimal("0.0005")  # a day, of a debit balance


@cache
def _table() -> Mapping[str, list[tuple[date, Decimal]]]:
    """Rates by key, newest first; percents as fractions, rupees as they are."""
    found: dict[str, list[tuple[date, Decimal]]] = {}
    for row in tables.rows("charges.csv"):
        value = Decimal(row["value"]) / (100 if row["unit"] == "percent" else 1)
        found.setdefault(row["key"], []).append((date.fromisoformat(row["from"]), value))
    for rates in found.values():
        rates.sort(reverse=True)
    return found


@lru_cache(maxsize=4096)
def rate(key: str, day: date) -> Decimal:
    """The rate that held on ``day``; before the first date of the table, the first."""
    rates = _table()[key]
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
        if deal.agricultural:
            return ZERO
        return rate("ctt_opt_sell" if deal.kind == "opt" else "ctt_fut_sell_nonagri", day)
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
    return rate(key, day), rate(fund, day) if fund in _table() else ZERO


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
