"""The limits, each a sentence with a number in it; here stands which there are, and how an order is held to them.

A rule has no state, no clock and no I/O: it looks at one order and at the book, and gives its reason
against the order, or None. Equal to the limit is allowed, one paisa over it is not. Orders that reduce
risk pass every limit; only what the exchange itself would refuse (no whole quantity, no whole lot) holds
for them too.

To add one: a frozen class beside its like, a row in :data:`RULES`, a key in the configuration.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError
from ..values import Denial, Instrument, OrderType, Proposal, Side
from .base import HALF_A_PAISA, LedgerView, Plain, Rule, Watched, rupees
from .losses import MaxDailyLoss, MaxDailyLossPct, MaxDrawdownPct, MaxLossStreak, MaxPortfolioLossPct
from .permits import AllowedHours, AllowedProducts, AllowedSymbols, NoEntriesAfter
from .sending import (
    DuplicateWindow,
    MaxDailyTrades,
    MaxDailyTradesPerSymbol,
    MaxOrdersPerMinute,
    MaxOrderValue,
    PriceCollarPct,
)
from .standing import (
    Funds,
    LotSize,
    MaxGrossExposure,
    MaxGrossExposurePct,
    MaxMarginUsePct,
    MaxNetExposure,
    MaxNetExposurePct,
    MaxOpenPositions,
    MaxPositionPct,
    MaxPositionQuantity,
    MaxPositionValue,
    WholeQuantity,
)

__all__ = [
    "EXCHANGE_RULES",
    "HALF_A_PAISA",
    "RULES",
    "STEPS",
    "AllowedHours",
    "AllowedProducts",
    "AllowedSymbols",
    "DuplicateWindow",
    "Funds",
    "LedgerView",
    "LotSize",
    "MaxDailyLoss",
    "MaxDailyLossPct",
    "MaxDailyTrades",
    "MaxDailyTradesPerSymbol",
    "MaxDrawdownPct",
    "MaxGrossExposure",
    "MaxGrossExposurePct",
    "MaxLossStreak",
    "MaxMarginUsePct",
    "MaxNetExposure",
    "MaxNetExposurePct",
    "MaxOpenPositions",
    "MaxOrderValue",
    "MaxOrdersPerMinute",
    "MaxPortfolioLossPct",
    "MaxPositionPct",
    "MaxPositionQuantity",
    "MaxPositionValue",
    "NoEntriesAfter",
    "Plain",
    "PriceCollarPct",
    "Rule",
    "Watched",
    "WholeQuantity",
    "build_rules",
    "can_ever_pass",
    "check",
    "rupees",
]

EXCHANGE_RULES: tuple[Rule, ...] = (WholeQuantity(), LotSize())
"""What the exchange refuses anyway: always judged, first, and for every order."""

RULES: Mapping[str, type[Any]] = {
    rule.key: rule
    for rule in (
        AllowedSymbols,
        AllowedProducts,
        AllowedHours,
        NoEntriesAfter,
        DuplicateWindow,
        MaxOrdersPerMinute,
        PriceCollarPct,
        MaxOrderValue,
        MaxPositionPct,
        MaxPositionValue,
        MaxPositionQuantity,
        MaxGrossExposure,
        MaxGrossExposurePct,
        MaxNetExposure,
        MaxNetExposurePct,
        MaxOpenPositions,
        MaxMarginUsePct,
        MaxDailyLoss,
        MaxDailyLossPct,
        MaxDailyTrades,
        MaxDailyTradesPerSymbol,
        MaxLossStreak,
        MaxDrawdownPct,
        MaxPortfolioLossPct,
    )
}
"""Configuration key → rule. Each takes the key's value as its field ``limit``; ``also`` names keys of other fields."""

STEPS: tuple[str, ...] = ("risk.reduce_at_pct", "risk.on_daily_loss", "risk.on_halt")
"""Keys of the section that are no limits, but say what the gate does near one and past one."""

_ALSO = {key: (rule.key, name) for rule in RULES.values() for name, key in rule.also.items()}


def build_rules(settings: Mapping[str, Any]) -> tuple[Rule, ...]:
    """The rules of the section ``risk`` of the configuration, in the order in which they are judged.

    Keys with or without ``risk.``; None (or an empty list) switches a limit off, ``enabled: false`` all of them. What
    the exchange and the account's money demand stays on. Raises :class:`ConfigError` for a key that is no
    limit, and for a limit that is not understood: it must not be left out.
    """
    limits = {key if key.startswith("risk.") else f"risk.{key}": value for key, value in settings.items()}
    enabled = limits.pop("risk.enabled", True)
    for step in STEPS:
        limits.pop(step, None)
    more: dict[str, dict[str, Any]] = {}
    for key, limit in list(limits.items()):
        if key not in RULES and key not in _ALSO:
            close = difflib.get_close_matches(key, RULES, n=1)
            raise ConfigError(f"{key} is no risk limit; " + (f"did you mean {close[0]}?" if close else _known()))
        if _is_off(limit):
            continue
        if must := RULES.get(key, Plain).misgiven(limit):
            raise ConfigError(f"{key} must be {must}, not {limit!r}")
        if key in _ALSO:
            rule, name = _ALSO[key]
            more.setdefault(rule, {})[name] = limit
    chosen = [
        rule(_frozen(limits[key]), **more.get(key, {}))
        for key, rule in RULES.items()
        if enabled and not _is_off(limits.get(key))
    ]
    return (*EXCHANGE_RULES, *chosen, Funds())


def _is_off(limit: Any) -> bool:
    return limit is None or (isinstance(limit, list | tuple) and not limit)


def _frozen(limit: Any) -> Any:
    return tuple(limit) if isinstance(limit, list) else limit


def check(order: Proposal, rules: tuple[Rule, ...], book: LedgerView) -> Denial | None:
    """The first rule's no, or None. A rule that breaks says no: doubt refuses."""
    for rule in rules:
        try:
            reason = rule.deny(order, book)
        except Exception as error:  # noqa: BLE001 - whatever broke, an unjudged order must not pass
            reason = f"{type(rule).__name__} could not judge the order ({type(error).__name__}: {error})"
        if reason is not None:
            return Denial(rule=type(rule).__name__, reason=reason, key=rule.key, funds=rule.funds)
    return None


def can_ever_pass(
    instrument: Instrument,
    price: float,
    rules: tuple[Rule, ...],
    book: LedgerView,
    *,
    product: str = "",
    variety: str = "regular",
) -> Denial | None:
    """Why not even one lot at ``price`` ₹ can pass, on an idle account of today's value; None if it can.

    For the start of a live run: limits under which no order can ever go out are a mistake worth stopping for. What
    depends on the moment is not looked at: it may be another.
    """
    probe = Proposal(
        ref=0,
        instrument=instrument,
        side=Side.BUY,
        quantity=max(1, instrument.lot_size),
        order_type=OrderType.LIMIT,
        product=product,
        variety=variety,
        price=price,
        reference_price=price,
    )
    return check(probe, tuple(rule for rule in rules if not rule.timed), book.empty())


def _known() -> str:
    return "the limits are " + ", ".join(RULES)
