"""A day's roll: contracts expire, trades are settled, shares are delivered, charges are debited.

Bought shares are on their way for one trading day (T+1; settlement holidays are not known here). Futures are
settled in cash at each close. At expiry, contracts on indices, currencies and commodities end in cash at the
settlement price; those on single shares, since October 2019, in shares, if the share is listed here: who is
long a future, long a call or short a put in the money takes them at the strike (the future: the settlement
price), the other gives them, and what he has not got is bought in at the settlement price. Sold shares that
are missing are bought in at the close (an auction without a penalty).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from .charges import (
    ZERO,
    Levies,
    debit_interest,
    decimal,
    delivery_levies,
    depository_charge,
    exercise_levies,
    half_up,
    rate,
    square_off_charge,
)
from .contract_note import day_notes
from .contracts import INDEX_OF
from .holdings import Holding
from .instruments import InstrumentRow
from .ledger import COMMODITY, EQUITY, paise
from .listing import Listing
from .positions import Position, carried

if TYPE_CHECKING:
    from .account import Account, Key

PHYSICAL_SINCE = date(2019, 10, 1)
Listings = Mapping[str, Listing]


def roll(account: Account, listings: Listings, today: date, *, squares_off: bool) -> None:
    """Settle the day that ended and open ``today``. ``squares_off``: intraday positions that are left become
    CNC or NRML, as Kite has it; else they are carried as they are."""
    ended = account.day if account.day < today else today - timedelta(days=1)
    for holding in account.holdings.values():
        holding.quantity += holding.t1
        holding.t1 = holding.used = holding.mtf_used = 0
        holding.authorised, holding.authorised_on = 0, ""
    _expire(account, listings, ended)
    if squares_off:
        _convert_leftovers(account)
    kept: dict[Key, Position] = {}
    for key, position in account.positions.items():
        left = _settle(account, position, ended)
        if left is not None:
            kept[key] = left
    account.positions = kept
    _charge(account, ended, (today - ended).days)
    account.holdings = {key: holding for key, holding in account.holdings.items() if not holding.is_empty}
    account.executed.clear()
    account.squared_off.clear()
    account.authorisations.clear()
    account.open_day(today)


def _convert_leftovers(account: Account) -> None:
    """What the broker could not square off is carried under the other product."""
    for (key, product), position in list(account.positions.items()):
        if product in ("MIS", "CO") and position.quantity:
            other = "NRML" if position.listing.row.is_derivative else "CNC"
            account.positions.setdefault((key, other), Position(position.listing, other)).absorb(position)
            del account.positions[key, product]


def _settle(account: Account, position: Position, ended: date) -> Position | None:
    """The ledger gets the day's flow; what is left for the next day."""
    row, quantity = position.listing.row, position.quantity
    flow = position.cash_flow()
    if position.is_future and quantity:
        flow += position.unrealised()
    flow = paise(round(flow, 4)) / 100
    segment = account.purse(row.exchange)
    account.ledger.post(ended, segment, "trades", f"{row.key} {position.product}", paise(flow))
    if not quantity:
        return None
    if position.product == "CNC":
        _deliver(account, position, ended)
        return None
    if position.product == "MTF":
        _deliver_funded(account, position, ended)
        return None
    return carried(position, flow)


def _holding(account: Account, listing: Listing) -> Holding:
    return account.holdings.setdefault(listing.key, Holding(listing, 0, 0.0))


def _deliver(account: Account, position: Position, ended: date) -> None:
    holding, quantity = _holding(account, position.listing), position.quantity
    if quantity > 0:
        holding.add(quantity, quantity * position.average_price)
        return
    missing = holding.take(-quantity)
    if -quantity - missing and account.settings.charges:
        fee = paise(depository_charge(ended))
        account.ledger.post(ended, EQUITY, "depository", f"{holding.listing.key} sold from demat", -fee)
    if missing and account.settings.check_holdings:
        _buy_in(account, holding.listing, missing, holding.listing.last, ended)
    else:
        holding.quantity -= missing  # nobody looks: shares are owed


def _buy_in(account: Account, listing: Listing, quantity: int, price: float, ended: date) -> None:
    account.ledger.post(ended, EQUITY, "auction", f"{listing.key} {quantity} bought in", -paise(quantity * price))


def _deliver_funded(account: Account, position: Position, ended: date) -> None:
    """Margin trading: the broker lends its part, and gets it back with the sale."""
    holding, quantity = _holding(account, position.listing), position.quantity
    if quantity > 0:
        loan = account.loan_of(position)
        holding.mtf_quantity += quantity
        holding.mtf_value += quantity * position.average_price
        holding.loan = round(holding.loan + loan, 2)
        account.ledger.post(ended, EQUITY, "funding", f"{holding.listing.key} funded", paise(loan))
        return
    sold = min(-quantity, holding.mtf_quantity)
    if sold:
        repaid = round(holding.loan * sold / holding.mtf_quantity, 2)
        holding.mtf_value -= holding.mtf_value * sold / holding.mtf_quantity
        holding.mtf_quantity -= sold
        holding.loan = round(holding.loan - repaid, 2)
        account.ledger.post(ended, EQUITY, "funding", f"{holding.listing.key} repaid", -paise(repaid))
    if missing := -quantity - sold:
        _buy_in(account, holding.listing, missing, holding.listing.last, ended)


# expiry


class Delivery(NamedTuple):
    """Shares that a contract moves: taken or given, at ``price``."""

    listing: Listing
    contract: InstrumentRow
    receives: bool
    quantity: int
    price: float
    settlement: float


def underlying(row: InstrumentRow, listings: Listings) -> Listing | None:
    """What a contract is on, if it is listed here."""
    if row.name in INDEX_OF:
        return listings.get(INDEX_OF[row.name])
    home = "BSE" if row.exchange == "BFO" else "NSE"
    other = "NSE" if home == "BSE" else "BSE"
    if row.exchange not in ("NFO", "BFO"):
        return None
    return listings.get(f"{home}:{row.name}") or listings.get(f"{other}:{row.name}")


def settlement_price(account: Account, listing: Listing, listings: Listings) -> float:
    """The underlying's final price. Without one: of a future its own last, of an option what its own last says."""
    row = listing.row
    given = account.settings.settlement_prices.get(row.name)
    if given is not None:
        return given
    found = underlying(row, listings)
    if found is not None and found.last:
        return found.last
    if not row.is_option:
        return listing.last
    worth = listing.last if listing.last > row.tick_size else 0.0  # an option dies at a tick, not at nothing
    return row.strike + worth if row.instrument_type == "CE" else row.strike - worth


def intrinsic(row: InstrumentRow, settlement: float) -> float:
    """Rupees of one unit of an option at expiry."""
    return round(max(0.0, settlement - row.strike if row.instrument_type == "CE" else row.strike - settlement), 4)


def _expire(account: Account, listings: Listings, ended: date) -> None:
    deliveries: list[Delivery] = []
    for position in account.positions.values():
        listing, row, quantity = position.listing, position.listing.row, position.quantity
        if row.expiry is None or row.expiry > ended or not quantity:
            continue
        price = settlement_price(account, listing, listings)
        share = underlying(row, listings)
        physical = (
            share is not None
            and not share.row.is_index
            and row.name not in INDEX_OF
            and row.exchange in ("NFO", "BFO")
            and row.expiry >= PHYSICAL_SINCE
        )
        worth = intrinsic(row, price) if row.is_option else price
        if physical and share is not None and worth:
            receives = (quantity > 0) == (row.instrument_type != "PE")
            at = row.strike if row.is_option else price
            deliveries.append(Delivery(share, row, receives, abs(quantity), at, price))
            worth = 0.0 if row.is_option else price
        elif row.is_option and worth:
            _exercise(account, position, worth, price, ended)
        position.book(quantity < 0, abs(quantity), abs(quantity) * worth * row.multiplier)
    _deliver_contracts(account, deliveries, ended)


def _exercise(account: Account, position: Position, worth: float, price: float, ended: date) -> None:
    if not account.settings.charges:
        return
    row = position.listing.row
    units = abs(position.quantity) * decimal(float(row.multiplier))
    levies = exercise_levies(
        row, units * decimal(worth), units * decimal(price), holder=position.quantity > 0, day=ended
    )  # fmt: skip
    word = "exercised" if position.quantity > 0 else "assigned"
    _levy(account, account.purse(row.exchange), f"{row.key} {word}", levies, ended)


def _levy(account: Account, segment: str, text: str, levies: Levies, ended: date) -> None:
    account.ledger.post(ended, segment, "levies", text, -paise(levies.total))


def _deliver_contracts(account: Account, deliveries: list[Delivery], ended: date) -> None:
    """Shares against cash: what comes before what goes. Obligations that meet move none and cost less."""
    netted: dict[tuple[str, bool], int] = {}
    for listing in {one.listing.key: one.listing for one in deliveries}.values():
        sides = [
            sum(one.quantity for one in deliveries if one.listing is listing and one.receives is side)
            for side in (True, False)
        ]
        netted[listing.key, True] = netted[listing.key, False] = min(sides)
    for one in sorted(deliveries, key=lambda one: not one.receives):
        holding = _holding(account, one.listing)
        value = one.quantity * one.price
        word = "taken" if one.receives else "given"
        text = f"{one.contract.key} {one.quantity} {one.listing.row.tradingsymbol} {word}"
        account.ledger.post(ended, EQUITY, "settlement", text, paise(-value if one.receives else value))
        if one.receives:
            holding.add(one.quantity, value)
        elif missing := holding.take(one.quantity):
            _buy_in(account, one.listing, missing, one.settlement, ended)
        if not account.settings.charges:
            continue
        meets = min(one.quantity, netted[one.listing.key, one.receives])
        netted[one.listing.key, one.receives] -= meets
        for quantity, is_netted in ((meets, True), (one.quantity - meets, False)):
            if quantity:
                worth = decimal(one.price) * quantity
                levies = delivery_levies(worth, receives=one.receives, netted=is_netted, day=ended)
                _levy(account, EQUITY, text, levies, ended)
        if not one.receives and one.quantity > meets:
            account.ledger.post(ended, EQUITY, "depository", text, -paise(depository_charge(ended)))


# charges


def _charge(account: Account, ended: date, days: int) -> None:
    if not account.settings.charges:
        return
    ledger = account.ledger
    for note in day_notes(account.executed.values(), ended):
        ledger.post(
            ended, account.purse(note.exchange), "charges", f"contract note {note.exchange}", -paise(note.total)
        )
    for order_id in account.executed.keys() & account.squared_off:
        segment = account.purse(account.executed[order_id].row.exchange)
        ledger.post(ended, segment, "square_off", f"order {order_id}", -paise(square_off_charge(ended)))
    for segment in (EQUITY, COMMODITY):
        owed = debit_interest(Decimal(ledger.exact(segment)) / 100, days)
        ledger.post(ended, segment, "interest", f"{days} days of a debit balance", -paise(owed))
    loans = sum((decimal(holding.loan) for holding in account.holdings.values()), ZERO)
    if loans:
        owed = half_up(loans * rate("mtf_interest_per_day", ended) * days)
        ledger.post(ended, EQUITY, "interest", f"{days} days of margin trading", -paise(owed))
