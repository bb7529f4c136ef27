"""What a run says of itself while it runs, for ``btkite status``; and how it hears of ``btkite kill``.

Both by files beside the journal: a small ``status.json``, replaced every few seconds, and the kill switch. Everything
is looked at on Cerebro's thread, at each turn of the pump, but no more often than a person could care.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..clock import Clock, SystemClock
from ..errors import SessionExpired
from ..journal import canonical
from ..linetime import from_seconds, seconds_of
from ..log import get_logger
from ..risk.verdicts import used
from ..watch.places import Place

if TYPE_CHECKING:
    from .plan import Run

log = get_logger(__name__)
_LOOK = 0.2
"""Real seconds between two looks at the kill switch."""
_SPEAK = 2.0
"""Real seconds between two words of ours."""
_DEEDS = {False: "what opens is cancelled", True: "everything is cancelled and closed"}


@contextmanager
def telling(plan: Run, store: Any, broker: Any, cerebro: Any) -> Iterator[None]:
    """While the run goes on, it says how it stands and heeds the kill switch."""
    teller = Teller(plan, store, broker, cerebro)
    store.looks.append(teller)
    try:
        yield
    except BaseException as error:
        teller.speak(ended=f"{type(error).__name__}: {error}")
        raise
    else:
        teller.speak(ended="as planned")
    finally:
        store.looks.remove(teller)


class Teller:
    """Called at each turn of the pump."""

    def __init__(self, plan: Run, store: Any, broker: Any, cerebro: Any, wall: Clock | None = None) -> None:
        from ..brokers.winding import Winding

        self._plan, self._store, self._broker, self._cerebro = plan, store, broker, cerebro
        self._wall = wall or SystemClock()
        self._path = Place(plan.account, plan.mode.name, plan.endpoint, plan.folder).status
        self._winding = Winding(broker)
        self._looked = self._spoke = float("-inf")
        self._killed: tuple[bool, bool] | None = None  # the switch is known: flatten, and whether all is done
        self._token, self._expires = "", None

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._looked < _LOOK and not self._store.clock.complete:  # in lock step each turn has its moment
            return
        self._looked = now
        self._heed()
        if now - self._spoke >= _SPEAK:
            self._spoke = now
            self.speak()

    def _heed(self) -> None:
        kill = self._broker.gate.kill
        if kill is None or not kill.engaged():
            self._killed = None
            return
        flatten = kill.flatten
        if self._killed is None or self._killed[0] != flatten:
            self._killed = (flatten, False)
            self._say(f"the kill switch is engaged ({kill.reason}): " + _DEEDS[flatten])
            self._broker.remark("killed", reason=kill.reason, flatten=flatten)
            self._spoke = float("-inf")
        done = self._winding.turn(flatten=flatten)
        if done and not self._killed[1]:
            self._killed = (flatten, True)
            self._say("the kill switch has done its work")
            self._broker.remark("wound_down", flatten=flatten)
            self._spoke = float("-inf")
        if done and flatten and self._plan.ends_flat:
            self._cerebro.runstop()

    def _say(self, line: str) -> None:
        log.info(line)
        if self._plan.tell is not None:
            self._plan.tell(self._store._now(), line)

    def speak(self, ended: str = "") -> None:
        """Write how things stand, whole or not at all; a disk that is full does not end a run."""
        try:
            text = canonical({**self._standing(), "ended": ended})
            draft = self._path.with_name(f".{self._path.name}.{os.getpid()}")
            self._path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(text, encoding="utf-8")
            draft.replace(self._path)
            if not self._store.clock.complete:  # in lock step the next event is near, and time is not ours to choose
                self._broker.record_flush()
        except OSError as error:
            log.warning("the status cannot be written", path=str(self._path), error=repr(error))

    def _standing(self) -> dict[str, Any]:
        plan, store, broker = self._plan, self._store, self._broker
        ledger, gate = broker.ledger, broker.gate
        stream, client = store.stream, store._client
        now = store._now()
        if client is not None and client.access_token != self._token:
            self._token, self._expires = client.access_token, _expiry(store)
        return {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "wall": self._wall.now(),
            "market": now,
            "mode": plan.mode.name,
            "endpoint": plan.endpoint,
            "account": plan.account,
            "strategy": plan.strategy.__name__,
            "digest": next((row["digest"] for row in broker.who.values()), ""),
            "symbols": list(plan.symbols),
            "interval": plan.interval,
            "link": "" if stream is None else str(stream.link),
            "malformed": 0 if stream is None else stream.decoder.damaged + stream.decoder.unknown,
            "postbacks": _postbacks(store.postbacks),
            "tick_age": None if store.ticked is None else max(0.0, (now - store.ticked).total_seconds()),
            "feeds": [_feed(data) for data in self._cerebro.datas],
            "gate": {
                "state": str(gate.state),
                "reason": gate.reason,
                "paused": list(gate.paused.values()),
                "flatten": bool(gate.kill and gate.kill.flatten),
            },
            "money": {
                "capital": ledger.capital,
                "value": ledger.value,
                "cash": broker.getcash(),
                "realized": ledger.realized,
                "unrealized": ledger.unrealized,
                "charges": ledger.charges,
                "day_pnl": ledger.day_pnl,
            },
            "winding": None if self._killed is None else {"flatten": self._killed[0], "done": self._killed[1]},
            "positions": _positions(broker),
            "orders": [_order(broker, order) for order in broker.orders.values() if order.alive()],
            "groups": broker.groups.state()["groups"],
            "risk": used(gate.rules, ledger),
            "order_calls": 0 if client is None else client.pace.orders_today,
            "token_expires": self._expires,
        }


def _positions(broker: Any) -> list[dict[str, Any]]:
    ledger = broker.ledger
    held = ledger.positions()
    rows = []
    for key in sorted({*held, *ledger.gains}):
        position = ledger.position(key)
        rows.append(
            {
                "symbol": key,
                "product": broker.product_of(key) if position.quantity else "",
                "size": position.quantity,
                "average": position.average_price,
                "last": position.last_price,
                "unrealized": position.quantity * (position.last_price - position.average_price) * position.multiplier,
                "realized": ledger.gains.get(key, 0.0),
            }
        )
    return rows


def _order(broker: Any, order: Any) -> dict[str, Any]:
    until = broker.uncertain_until(order.ref)
    return {
        "ref": order.ref,
        "symbol": order.info.get("instrument"),
        "side": "BUY" if order.isbuy() else "SELL",
        "size": abs(order.size),
        "filled": abs(order.executed.size),
        "exectype": order.getordername(),
        "price": order.created.price if order.exectype != order.Market else None,
        "status": order.getstatusname(),
        "active": bool(order.active()),
        "order_id": order.info.get("order_id"),
        "kept_here": bool(order.info.get("watched")),
        "uncertain": until is not None,
        "uncertain_until": None if until is None else from_seconds(until),
        "held_until": None if order.ref not in broker.held else from_seconds(broker.held[order.ref]),
    }


def _postbacks(listener: Any) -> dict[str, int] | None:
    """How many were taken, were not sealed by Kite, could not be read; None if nobody listens."""
    if listener is None:
        return None
    return {"heard": listener.heard, "forged": listener.forged, "unread": listener.unread}


def _feed(data: Any) -> dict[str, Any]:
    instrument = getattr(data, "instrument", None)
    return {
        "symbol": data._name if instrument is None else instrument.key,
        "interval": str(getattr(data, "interval", "")),
        "bars": len(data),
        "last_bar": from_seconds(seconds_of(data.datetime[0])) if len(data) else None,
        "state": data._getstatusname(data._laststatus) if hasattr(data, "_getstatusname") else "",
    }


def _expiry(store: Any) -> Any:
    """When the token dies, if btkite's login stored it; None if something else gave it."""
    from ..kite.session import TokenStore

    kite = store.config.broker.kite_connect
    if store.endpoint.rest_root.startswith("http://") or kite.access_token.get_secret_value() or not kite.api_key:
        return None
    try:
        kept = TokenStore(Path(store.config.paths.state), kite.api_key, store.endpoint.name).load(SystemClock().now())
    except SessionExpired:
        return None
    return None if kept is None else kept.expires
