"""Which scenario a seed is: what goes wrong, on which calls, frames and updates, when, and in what market."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from ..exchange.faults import TABLE
from .acts import KILL, LOGIN, ORDER, Act
from .scenario import OPEN, RESTLESS, TIMEOUT, WARMUP, Scenario, in_a_session, ist

Draw = random.Random
Args = dict[str, Any]

_WITHHELD = TIMEOUT + 0.2
"""Real seconds after which an answer that is withheld would come: the client has given up by then."""
_SLOW = (0.02, 0.08)
_WRITES = "POST|PUT|DELETE"
_READS = ("/orders", "/trades", "/portfolio/positions", "/portfolio/holdings", "/user/margins*", "/orders/*/trades")
_OFTEN = 4
"""Of the kinds that change what becomes of an order call, as many as of each other kind."""
_MAKERS: Mapping[str, int] = {
    "connection_dropped_after": _OFTEN, "connection_dropped_before": _OFTEN, "timed_out_after_accept": _OFTEN,
    "reply_withheld_after": 2, "reply_withheld_before": 2, "gateway_timeout": _OFTEN, "html_502": _OFTEN,
    "malformed_json": _OFTEN, "missing_content_type": 2, "server_error": _OFTEN, "unavailable_503": _OFTEN,
    "rms_rejection": _OFTEN, "too_many_requests": _OFTEN, "stale_orders": _OFTEN, "stale_positions": 3,
    "order_update_lost": _OFTEN, "order_update_delayed": _OFTEN, "order_update_reordered": _OFTEN,
    "order_update_twice": 3, "order_update_duplicated": 3, "partial_after_complete": _OFTEN,
    "modify_races_trigger": 3, "socket_cut": 3, "modification_cap": 2,
}  # fmt: skip


INDEX, BANKS = "NFO:NIFTY26NOVFUT", "NFO:BANKNIFTY26NOVFUT"
_LOTS = {INDEX: 65, BANKS: 30}
_MARKETS = (
    *(("NSE:INFY", "NSE:TCS"),) * 5, *(("NSE:INFY", "BSE:INFY"),) * 2, (INDEX, "NSE:INFY"), (INDEX, BANKS),
)  # fmt: skip
_OF_FUTURES: Mapping[str, Any] = {"checks": ["freeze"], "cash": 1e9}


def scenario_of(
    seed: int,
    *,
    minutes: int = 20,
    strategy: str = RESTLESS,
    symbols: tuple[str, ...] = (),
    params: tuple[str, ...] = (),
    keys: Mapping[str, Any] | None = None,
) -> Scenario:
    """The scenario of a seed; the same for the same arguments.

    :raises ConfigError: if the minutes are none that a session has.
    """
    in_a_session(minutes)
    draw = random.Random(f"chaos:{seed}")  # noqa: S311 - play
    market = _settings(draw)
    config = {**_keys(draw), **(keys or {})}
    named = symbols or draw.choice(_MARKETS)
    if named[0] == INDEX and not symbols:
        market |= {**_OF_FUTURES, "lot_sizes": {one: _LOTS[one] for one in named if one in _LOTS}}
        market |= {"depth": [draw.choice((130, 650, 2600))]} if "depth" in market else {}
        both = all(one.startswith("NFO") for one in named)
        config |= {"broker.capital": 1e9, "broker.default_product": "NRML" if both else "MIS"}
    elif config.get("broker.default_product") == "CNC" and draw.random() < 0.6:  # shares that are not ours to sell
        market["holdings"] = {named[0]: [draw.randint(1, 40), 1400.0]}
    ends = OPEN + timedelta(minutes=WARMUP + minutes)
    faults = [_fault(draw, ends, named) for _ in range(draw.randint(3, 10))]
    deaths = _deaths(draw)
    if deaths:  # an account without a permission starts no run, and a death is followed by a start
        faults = [fault for fault in faults if fault["kind"] != "no_permission"]
    if deaths and draw.random() < 0.5:  # and what is in doubt as it dies
        faults.append(_lost(draw, ends))
    acts = _acts(draw, minutes, named, str(config.get("broker.default_product", "MIS")))
    login = next((act.at for act in acts if act.what == LOGIN), None)
    if login is not None:  # before it, the token dies
        dies = max(login - timedelta(seconds=draw.choice((20, 90, 150))), OPEN + timedelta(minutes=WARMUP + 1))
        match = {"path": "/orders*", "at": ist(dies), "until": ist(login)}
        faults.append({"kind": "token_exception", "match": match, "args": {"kill": True}})
    given = params or ((f"seed={seed}",) if strategy == RESTLESS else ())
    return Scenario(
        seed=seed,
        minutes=minutes,
        strategy=strategy,
        symbols=named,
        params=given,
        keys=config,
        settings=market,
        faults=tuple(faults),
        acts=tuple(acts),
        deaths=tuple(deaths),
    )


def _lost(draw: Draw, ends: datetime) -> dict[str, Any]:
    """An order call whose answer nobody gets, early in the day."""
    match = {"until": ist(ends), "method": draw.choice(("POST", "POST", _WRITES)), "path": "/orders/*"}
    kind = draw.choice(("connection_dropped_after", "connection_dropped_before", "timed_out_after_accept"))
    return {"kind": kind, "times": 1, "match": {**match, "nth": draw.randint(1, 4)}, "seed": draw.randrange(1 << 20)}


def _settings(draw: Draw) -> Args:
    """How much trades at each print, and what it costs to be quick."""
    made: Args = {}
    if draw.random() < 0.6:
        made["depth"] = [draw.choice((2, 3, 5, 8))]
        made["beyond_depth"] = "wait"
    if draw.random() < 0.2:
        made["spread_ticks"] = draw.choice((1, 2))
    if draw.random() < 0.25:
        made["protection_binds"] = True
    if draw.random() < 0.2:
        made["rms"] = "async"
    if draw.random() < 0.25:
        made["order_delay"] = draw.choice((0.2, 1.0, 3.0))
    return made


def _keys(draw: Draw) -> Args:
    """How btkite is configured."""
    made: Args = {"broker.foreign": draw.choice(("halt", "adopt", "adopt", "ignore"))}
    if draw.random() < 0.5:
        made["groups.exits"] = "one"
    if draw.random() < 0.15:
        made["broker.stop_as"] = "SL"
    if draw.random() < 0.15:
        made["broker.default_product"] = "CNC"
    if draw.random() < 0.15:
        made["broker.market_protection"] = draw.choice((2.0, 5.0))
    return made


def _fault(draw: Draw, ends: datetime, symbols: tuple[str, ...]) -> dict[str, Any]:
    names = list(TABLE)
    kind = TABLE[draw.choices(names, [_MAKERS.get(name, 1) for name in names])[0]]
    seed = draw.randrange(1 << 20)
    begins = OPEN + timedelta(minutes=WARMUP, seconds=draw.randrange(int((ends - OPEN).total_seconds()) - WARMUP * 60))
    made: dict[str, Any] = {"kind": kind.name, "times": 1, "seed": seed, "match": {"until": ist(ends)}}
    match = made["match"]
    args = _ARGS.get(kind.name)
    if args is not None:
        made["args"] = args(draw, symbols)
    left = (ends - begins).total_seconds()
    if "seconds" in kind.args and kind.where == "frame":
        made["args"] = {**made.get("args", {}), "seconds": round(min(draw.choice((5.0, 40.0, 90.0)), left), 3)}
    if kind.where == "reply":
        _aim(draw, kind.name, match, begins)
        made["times"] = 1 if kind.name.startswith("reply_withheld") else draw.choice((1, 1, 2, 3))
    elif kind.where == "update":
        match["nth"] = draw.randint(1, 8)
        made["times"] = draw.choice((1, 2, 5))
        if draw.random() < 0.3:
            match |= {"nth": 1, "probability": 0.4}
            made["times"] = None
    elif kind.where == "upgrade":
        match["nth"] = draw.randint(2, 3)  # the first connection is a healthy one: else nothing begins
        made["times"] = draw.choice((1, 2))
    elif kind.match.get("method"):  # frames of a sort
        match |= {"at": ist(begins), "nth": draw.randint(1, 4)}
    else:
        match["at"] = ist(begins)
    return made


def _aim(draw: Draw, name: str, match: dict[str, Any], begins: datetime) -> None:
    """At order calls, mostly; at the reads that an order's fate hangs on; at any."""
    own = TABLE[name].match
    if "method" not in own and "path" not in own:
        if draw.random() < 0.7:
            method = draw.choice(("POST", "POST", "POST", "PUT", "DELETE", _WRITES))
            match |= {"method": method, "path": "/orders/*"}
        else:
            match |= {"method": "GET", "path": draw.choice(_READS)}
    if name == "no_permission":
        match["at"] = ist(begins)
    if name.startswith("stale_"):
        match["path"] = draw.choice(("/orders", "/trades") if name == "stale_orders" else _READS[2:4])
    match["nth"] = draw.randint(1, 6)
    if name in ("stale_orders", "stale_positions") or draw.random() < 0.2:
        match |= {"nth": 1, "probability": 0.35}


_ARGS: Mapping[str, Callable[[Draw, tuple[str, ...]], Args]] = {
    "reply_withheld_before": lambda draw, symbols: {"seconds": _WITHHELD},
    "reply_withheld_after": lambda draw, symbols: {"seconds": _WITHHELD},
    "slow_reply": lambda draw, symbols: {"seconds": draw.uniform(*_SLOW), "accepted": draw.random() < 0.5},
    "server_error": lambda draw, symbols: {"accepted": draw.random() < 0.5},
    "html_502": lambda draw, symbols: {"accepted": draw.random() < 0.5},
    "unavailable_503": lambda draw, symbols: {"accepted": draw.random() < 0.5},
    "gateway_timeout": lambda draw, symbols: {"accepted": draw.random() < 0.5},
    "missing_error_type": lambda draw, symbols: {"status": draw.choice((400, 500, 503))},
    "stale_orders": lambda draw, symbols: {"seconds": draw.choice((2.0, 5.0, 15.0))},
    "stale_positions": lambda draw, symbols: {"seconds": draw.choice((2.0, 5.0, 15.0))},
    "rms_rejection": lambda draw, symbols: {"seconds": draw.choice((0.0, 0.0, 1.0, 20.0))},
    "instruments_of_yesterday": lambda draw, symbols: {"changed": {symbols[0]: {"name": "OF YESTERDAY"}}},
    "order_update_delayed": lambda draw, symbols: {"seconds": draw.choice((2.0, 12.0, 30.0))},
    "order_update_lost": lambda draw, symbols: {"channel": "both"},
    "partial_after_complete": lambda draw, symbols: {"share": draw.choice((0.3, 0.6))},
    "upgrade_refused": lambda draw, symbols: {"status": draw.choice((403, 429, 500))},
    "heartbeat_only": lambda draw, symbols: {"updates": draw.random() < 0.5},
    "ticks_out_of_order": lambda draw, symbols: {"by": draw.randint(1, 3)},
    "malformed_frame": lambda draw, symbols: {"how": draw.choice(("count", "length", "half"))},
    "bad_tick": lambda draw, symbols: {"percent": draw.choice((-10.0, 10.0))},
    "clock_skew": lambda draw, symbols: {"by": draw.choice((-0.4, 0.4))},
    "price_spike": lambda draw, symbols: {
        "percent": draw.choice((-1.0, -0.3, 0.3, 1.0)),
        "symbol": draw.choice(("", symbols[0])),
        "volume": draw.choice((1, 20)),
    },
    "margin_shortfall": lambda draw, symbols: {"amount": draw.choice((0.0, 1e5))},
    "modify_races_trigger": lambda draw, symbols: {"volume": draw.choice((0, 3, 50))},
}


def _acts(draw: Draw, minutes: int, symbols: tuple[str, ...], product: str) -> list[Act]:
    def moment() -> datetime:
        return OPEN + timedelta(minutes=WARMUP, seconds=draw.randrange(45, max(46, minutes * 60)))

    acts: list[Act] = []
    if draw.random() < 0.35:
        for _ in range(draw.randint(1, 3)):
            exchange, _, symbol = draw.choice(symbols).partition(":")
            named = product if draw.random() < 0.8 else "MIS"
            named = "MIS" if named == "NRML" and exchange == "NSE" else named
            side = draw.choice(("BUY", "SELL")) if named != "CNC" else "BUY"  # others sell no shares that nobody has
            units = draw.randint(1, 9) * (_LOTS.get(f"{exchange}:{symbol}") or draw.choice((1, 1, 4)))
            what = {"transaction_type": side, "quantity": units, "product": named}
            acts.append(Act(moment(), ORDER, {"exchange": exchange, "tradingsymbol": symbol, **what}))
    if draw.random() < 0.14:
        acts.append(Act(moment(), KILL, {"flatten": True} if draw.random() < 0.4 else {}))
    if draw.random() < 0.12:
        acts.append(Act(max(moment(), OPEN + timedelta(minutes=WARMUP + 2)), LOGIN))
    return sorted(acts, key=lambda act: act.at)


_SITES = (
    "journal intent: not written yet", "journal intent: durable", "journal sending: written, not durable",
    "journal sending: durable", "journal reply: not written yet", "journal placed: durable", "journal fill: durable",
    "journal fill: not written yet", "journal ended: not written yet", "journal order: durable",
    "journal cancel: durable", "journal change: durable", "POST /orders/regular: not sent yet",
    "POST /orders/regular: sent", "POST /orders/regular: answered, not read",
    "POST /orders/regular: read, not handled", "PUT /orders/regular/ID: sent",
    "PUT /orders/regular/ID: read, not handled", "DELETE /orders/regular/ID: sent",
    "DELETE /orders/regular/ID: not sent yet", "DELETE /orders/regular/ID: read, not handled",
    "order update COMPLETE: heard, not handled", "order update OPEN: heard, not handled",
    "order update CANCELLED: heard, not handled", "market: about to move", "market: moved, not heard yet",
    "GET /orders: sent", "GET /portfolio/positions: read, not handled",
)  # fmt: skip


def _deaths(draw: Draw) -> list[str]:
    """Where the process is killed, in two seeds of five."""
    if draw.random() > 0.4:
        return []
    found = []
    for number in range(draw.choice((1, 1, 1, 2))):
        site = draw.choice(_SITES)
        most = 40 if site.startswith("market") else 6
        found.append(f"{site} #{draw.randint(1, most if not number else 3)}")
    return found
