"""What is about to happen, in words: the lines that are printed and logged before a run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..clock import SystemClock
from ..grid import ends_of
from ..kite import endpoints
from ..kite.session import expires_at
from ..loading import defaults_of
from ..report.table import inr, number, when
from ..risk.rules import build_rules

if TYPE_CHECKING:
    from .plan import Run

_FILLS = {"simulator": "simulated fills, no order leaves this machine", "kite": "orders are sent"}
_PACES = {"lockstep": "lock step", "realtime": "real time"}


def rows(plan: Run) -> list[tuple[str, str]]:
    """Labels and texts."""
    broker, warmup = plan.config.broker, plan.config.data.warmup
    found = [
        ("mode", f"{plan.mode.name} ({_FILLS[plan.mode.fills]})"),
        ("strategy", _strategy(plan)),
        ("symbols", _symbols(plan)),
        ("interval", plan.interval),
        ("range", _range(plan)),
        ("endpoint", _where(plan)),
        ("account", _whose(plan)),
        ("product", broker.default_product),
        ("capital", inr(broker.capital)),
        ("limits", _limits(plan)),
    ]
    if _dies(plan):
        found.append(("session", _dies(plan)))
    if warmup:
        found.insert(5, ("warm-up", f"{number(warmup, 0)} bars before the start"))
    return found


def _symbols(plan: Run) -> str:
    again = f" ({', '.join(plan.repeated)} named more than once, traded once)" if plan.repeated else ""
    return ", ".join(plan.symbols) + again


def _strategy(plan: Run) -> str:
    """With all its parameters: those that were given, then the defaults of the others."""
    given = [f"{name}={value}" for name, value in plan.params.items()]
    kept = [f"{name}={value}" for name, value in defaults_of(plan.strategy).items() if name not in plan.params]
    shown = [", ".join(given)] if given else []
    if kept:
        shown.append(f"default {', '.join(kept)}")
    return f"{plan.strategy.__name__}({'; '.join(shown)})"


def _range(plan: Run) -> str:
    if not plan.candles:
        sessions = plan.config.run.sessions
        more = f", {number(sessions, 0)} session{'s' if sessions > 1 else ''}" if sessions else ""
        return f"from now on{more or ', until it is stopped'}"
    cut = [one.between(plan.begin, plan.end) for one in plan.candles.values()]
    first = min(one.first for one in cut)
    last = max(ends_of(one.key, plan.interval)(one.start[-1:]).tolist()[0] for one in cut)
    text = (lambda at: f"{at:%Y-%m-%d}") if plan.interval == "day" else when
    bars = number(sum(len(one) for one in cut), 0)
    return f"{text(first)} to {text(last)}, {bars} bars"


def _where(plan: Run) -> str:
    if plan.mode.bars == "history":
        return f"none: {plan.origin}, no network"
    if plan.starts_exchange:
        speed = plan.config.exchange.speed
        pace = _PACES.get(str(speed)) or f"{speed:g} x market time"
        return f"simulator, started for this run, {pace}, {plan.origin}"
    root = endpoints.resolve(plan.config.broker.kite_connect.endpoint).rest_root
    return f"{plan.endpoint} ({root})" if plan.endpoint not in root else root


def _whose(plan: Run) -> str:
    if plan.mode.bars == "history":
        return "none"
    name = plan.account or "of the access token"
    real = plan.endpoint == endpoints.KITE.name
    if plan.mode.fills == "kite":
        return f"{name} ({'real money' if real else 'play money'})"
    return f"{name} (its quotes; money is simulated)"


def _dies(plan: Run) -> str:
    """When Kite's token does, if the run may still be there; a simulated exchange has a time of its own."""
    if plan.mode.bars == "history" or plan.endpoint not in (endpoints.KITE.name, endpoints.SANDBOX.name):
        return ""
    if plan.config.run.sessions == 1:
        return ""
    dies = expires_at(SystemClock().now())
    return f"the access token dies on {dies:%d %b at %H:%M} IST; entries pause then until you log in again"


def _limits(plan: Run) -> str:
    if not plan.config.risk.enabled:
        return "none: risk.enabled is false"
    return "; ".join(rule.title for rule in build_rules(plan.config.risk.model_dump()) if rule.key)
