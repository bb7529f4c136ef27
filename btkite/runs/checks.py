"""What must be true before orders may leave: the account is said aloud, the session lives, one lot could pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .. import almanac
from ..errors import ConfigError
from ..kite import archive
from ..log import get_logger
from ..report.table import inr, number
from ..risk.rules import can_ever_pass

if TYPE_CHECKING:
    from ..store import KiteStore
    from .plan import Run

log = get_logger(__name__)


def check_account(plan: Run) -> None:
    """Real orders need the account said aloud. Asks nobody."""
    if not plan.mode.arm:
        return
    user = plan.account
    if not user:
        raise ConfigError(
            f"{plan.mode.name} on {plan.endpoint} needs to know whose account it is: set "
            "broker.kite_connect.user_id (KITE_USER_ID); nothing was sent"
        )
    if not plan.confirm:
        raise ConfigError(
            f"{plan.mode.name} sends orders for the account {user}: say so with --confirm {user} "
            f'(confirm="{user}" in Python); nothing was sent'
        )
    if plan.confirm != user:
        raise ConfigError(f"the account is {user}, not {plan.confirm}: nothing was sent")


def check_market(plan: Run, store: KiteStore, broker: Any) -> None:
    """Whether the session lives; and before orders may leave, whose it is, and whether one lot could ever pass.

    :raises SessionExpired: if the token is dead.
    """
    if not store.streams:
        return
    user = str(store.profile().get("user_id", ""))
    if not plan.mode.arm:
        return
    if user != plan.confirm:
        raise ConfigError(f"the access token is {user}'s, not {plan.confirm}'s: log in as {plan.confirm}")
    check_calendar(store, {key.partition(":")[0] for key in plan.symbols})
    check_instruments(plan, store)
    if plan.ends_flat:  # it opens nothing, so that no limit can stand in its way
        return
    prices = store.ltp(*plan.symbols)
    for key in plan.symbols:
        instrument = store.instrument(key)
        price = prices.get(key, 0.0) or _first_price(plan, key)
        if price <= 0:
            log.info("no price yet: the limits were not tried", symbol=key)
            continue
        product = plan.config.broker.default_product
        denial = can_ever_pass(instrument, price, broker.gate.rules, broker.ledger, product=product)
        if denial is not None:
            lot = f"{number(instrument.lot_size, 0)} at {inr(price)}"
            raise ConfigError(f"not even one lot of {key} ({lot}) can pass: {denial}; nothing was started")


def check_calendar(store: KiteStore, exchanges: Iterable[str]) -> None:
    """Whether the calendar knows this day's holidays on ``exchanges``, or may be taken for knowing them."""
    unknown = almanac.beyond(store.clock.now().date(), exchanges)
    if unknown and store.config.calendar.unverified == "refuse":
        raise ConfigError(
            f"{unknown}: {almanac.HOW}, or take every weekday for a session with calendar.unverified: weekdays; "
            "nothing was started"
        )


def check_instruments(plan: Run, store: KiteStore) -> None:
    """Whether lots, ticks and tokens are today's. Kite renews its dump once a day, and uses tokens again."""
    now = store.clock.now()
    reason = archive.stale(store.master, now)
    if reason:
        raise ConfigError(f"{reason}; nothing was started: try again in a few minutes")
    for key in plan.symbols:
        expiry = store.instrument(key).expiry
        if expiry is not None and expiry < now.date():
            raise ConfigError(f"{key} has expired on {expiry}; nothing was started")


def _first_price(plan: Run, key: str) -> float:
    known = plan.candles.get(key)
    return float(known.between(plan.begin, None).open[0]) if known is not None else 0.0
