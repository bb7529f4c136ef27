"""What Kite's risk management refuses beyond the shape of an order: hours, sizes, bands, segments.

Each check is a name of :data:`btkite.exchange.settings.CHECKS` and is off until it is asked for, because
candles know no circuit and history no freeze quantity. Nothing refused here gets a row in the book.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .clock import DAY, MINUTE, SECOND
from .contracts import INDEX_OF
from .errors import Refusal, bad_input
from .instruments import InstrumentRow
from .listing import Listing
from .orders import Order
from .refusals import TIMED_OUT
from .rulebook import Rulebook
from .settings import ExchangeSettings

INDICES = frozenset(INDEX_OF) - {"INDIAVIX"}  # no rule is known of contracts on volatility
CASH = ("NSE", "BSE")
DATA_ONLY = ("NCO",)  # quoted and streamed; that a retail account may trade there was never found
NOT_AMO = "After Market Orders (AMO) can only be placed outside of market hours."
OUT_OF_BAND = "17070 : The Price is out of the LPP range"
TOO_FAR = "The order price is too far from the last traded price. Place an order near the market price."
SANDBOX_REACH = 0.15
"""How far from the last price the sandbox profile takes a limit: a couple of per cent are known to be taken, about
20 to be rejected like a breach of the band; the limit itself is not known, this is between them."""
SHORT_SESSION = 120 * MINUTE  # a session below this is a special one: MIS ends ten minutes before its close
_BEFORE_SHORT_CLOSE = 10 * MINUTE
_READ_MORE = "[Read more.](https://support.zerodha.com/category/trading-and-markets/trading-faqs/general)"


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for an order at this moment.

    ``session`` gives an exchange's open and close of the day of a moment; ``in_auction`` says whether a share
    is one of the closing auction; ``from_api`` is false for orders of the web and the phone.
    """

    settings: ExchangeSettings
    rules: Rulebook
    enforced: frozenset[str]
    now: int
    session: Callable[[str, int], tuple[int, int] | None]
    in_auction: Callable[[Listing], bool]
    from_api: bool = True

    @property
    def protection_demanded(self) -> bool:
        """True if a market order must say how far it may go."""
        wanted = self.settings.require_market_protection
        return self.from_api and (self.rules.market_protection if wanted is None else wanted)

    @property
    def modification_cap(self) -> int:
        """How often an order may be changed."""
        most = self.settings.max_modifications
        return self.rules.modification_cap if most is None else most


def is_index_derivative(row: InstrumentRow) -> bool:
    """True for contracts on an index."""
    return row.is_derivative and row.name in INDICES


def freeze_quantity(row: InstrumentRow, rules: Rulebook) -> int:
    """The largest quantity of one order that is whole lots; 0 if it is not known."""
    named = rules.freeze.get(row.name, 0) if row.is_derivative else 0
    found = rules.freeze.get(row.key) or named
    return found - found % row.lot_size


def check_exchange(row: InstrumentRow) -> None:
    """Refuse what is quoted here, but takes no orders."""
    if row.exchange in DATA_ONLY:
        raise bad_input(f"Trading in {row.exchange} is not allowed for this account.")


def check(order: Order, terms: Terms, *, sliced: bool = False) -> None:
    """All further checks that are on; ``sliced`` is an order that will be cut below the freeze quantity."""
    on = terms.enforced
    if not on:
        return
    if "segments" in on:
        _segments(order)
    if "freeze" in on and not sliced:
        _freeze(order, terms.rules)
    if "order_size" in on:
        _size(order, terms.rules)
    if "disclosed" in on:
        _disclosed(order, terms.rules)


def check_hours(order: Order, terms: Terms, is_open: bool) -> None:
    """The hours of after-market and intraday orders."""
    if "amo_window" in terms.enforced and order.variety == "amo":
        _amo_window(order, terms)
    if "mis_cutoff" in terms.enforced and is_open and order.product in ("MIS", "CO"):
        _mis_cutoff(order, terms)


def check_amo_variety(order: Order, variety: str, terms: Terms) -> None:
    """An after-market order that is released must be changed as a regular one; Kite answers otherwise too late."""
    released = order.variety == "amo" and order.exchange_order_id is not None
    if "amo_variety" in terms.enforced and released and variety == "amo":
        raise Refusal(400, "NetworkException", TIMED_OUT)


def _segments(order: Order) -> None:
    row = order.listing.row
    if order.order_type == "SL-M" and row.exchange in ("BSE", "BFO"):
        raise bad_input("SL-M orders are not available on BSE. Place an SL order.")
    if order.order_type not in ("MARKET", "SL-M") or not row.is_option:
        return
    if not is_index_derivative(row):
        raise bad_input("Market orders are blocked for stock options. Place a limit order.")
    if order.variety == "amo":
        raise bad_input("Market orders are not allowed in index options as After Market Orders (AMO).")


def _freeze(order: Order, rules: Rulebook) -> None:
    row = order.listing.row
    most = freeze_quantity(row, rules)
    if most and order.quantity > most:
        lot = row.lot_size
        raise bad_input(
            f"The order quantity {order.quantity} ({order.quantity // lot} lots) is higher than the maximum quantity "
            f"of {most} ({most // lot} lots) allowed by the exchanges. Please reduce the order quantity or use iceberg "
            f"orders. {_READ_MORE}"
        )


def _size(order: Order, rules: Rulebook) -> None:
    exchange = order.listing.row.exchange
    most = rules.max_quantity.get(exchange)
    if most and order.quantity > most:
        raise bad_input(f"The order quantity {order.quantity} is higher than the {most} allowed in a single order.")
    worth = order.quantity * (order.price or order.trigger_price or order.listing.path)
    limit = rules.max_value.get(exchange)
    if limit and worth > limit:
        raise bad_input(f"The order value is higher than the ₹{limit / 1e7:g} crore allowed in a single order.")


def _disclosed(order: Order, rules: Rulebook) -> None:
    if not order.disclosed_quantity:
        return
    row = order.listing.row
    if row.exchange not in CASH:
        raise bad_input("Disclosed quantity is allowed for equities only.")
    least = rules.disclosed_percent.get(row.exchange, 0.0)
    if order.disclosed_quantity * 100 < order.quantity * least:
        raise bad_input(f"Disclosed quantity cannot be less than {least:g}% of the order quantity.")


def _amo_window(order: Order, terms: Terms) -> None:
    window = terms.rules.amo_window.get(order.listing.row.exchange)
    if window is None:
        return
    begin, end = (seconds * SECOND for seconds in window)
    at = terms.now % DAY
    inside = begin <= at < end if begin <= end else at >= begin or at < end
    if not inside and _trading_day(order, terms):
        raise bad_input(NOT_AMO)


def _trading_day(order: Order, terms: Terms) -> bool:
    """On a day without a session the window is open all day."""
    return terms.session(order.listing.row.exchange, terms.now) is not None


def mis_cutoff(listing: Listing, terms: Terms) -> int | None:
    """The moment of this day from which no new MIS is taken; None if there is none."""
    exchange = listing.row.exchange
    session = terms.session(exchange, terms.now)
    if session is None:
        return None
    opens, closes = session
    if closes - opens < SHORT_SESSION:
        return closes - _BEFORE_SHORT_CLOSE
    rules = terms.rules
    if exchange in rules.mis_before_close:
        return closes - rules.mis_before_close[exchange] * MINUTE
    scope = f"{exchange}:cas" if terms.in_auction(listing) and f"{exchange}:cas" in rules.mis_cutoff else exchange
    seconds = rules.mis_cutoff.get(scope)
    if seconds is None:
        return None
    usual = terms.now - terms.now % DAY + seconds * SECOND
    return usual if usual < closes else closes - _BEFORE_SHORT_CLOSE  # a drill ends before the usual time


def _mis_cutoff(order: Order, terms: Terms) -> None:
    limit = mis_cutoff(order.listing, terms)
    if limit is None or terms.now < limit:
        return
    minutes = limit % DAY // MINUTE
    hour, point = (minutes // 60 - 1) % 12 + 1, ":" if terms.rules.closing_auction else "."
    text = f"{hour}{point}{minutes % 60:02d} {'PM' if minutes >= 720 else 'AM'}"
    other = "an NRML" if order.listing.row.is_derivative else "a CNC"
    raise bad_input(f"Intraday orders (MIS) are allowed only till {text}. Try placing {other} order.")


# the exchange's own band


def band(listing: Listing, terms: Terms) -> tuple[float, float] | None:
    """Lowest and highest limit price that the exchange takes now; None without a rule or a price."""
    row = listing.row
    if not row.is_derivative or not listing.path:
        return None
    kind = f"{'index' if is_index_derivative(row) else 'stock'}_{'option' if row.is_option else 'future'}"
    found = terms.rules.lpp.get((row.exchange, kind))
    if found is None:
        return None
    about = listing.reference.at(terms.now, listing.path) if listing.reference is not None else listing.path
    return found.around(about)


def far_from_market(order: Order) -> bool:
    """True if the official sandbox rejects the order's limit price in its book."""
    last = order.listing.path
    return bool(last and order.price) and abs(order.price / last - 1) > SANDBOX_REACH


def out_of_band(order: Order, terms: Terms) -> bool:
    """True if the exchange rejects the order's limit price. A stop is judged when it goes off."""
    if "lpp" not in terms.enforced or not order.price or order.is_stop:
        return False
    limits = band(order.listing, terms)
    return limits is not None and not limits[0] <= order.price <= limits[1]
