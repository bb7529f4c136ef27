"""The plan of a market's faults: arming and clearing them, and the places where they act."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from ..clock import SECOND, iso
from ..errors import BadSettings, Refusal
from .armed import Fault, Storm, read_fault
from .frames import BEAT, Effect, Message, Skewed, sort_of
from .past import Past
from .replies import Ask, FailingSlices, error
from .updates import Delivery

if TYPE_CHECKING:
    from ..stream import Socket
    from ..venue import Venue

_KEPT_LOG = 10_000


class Plan:
    """All faults of one market."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self._serial = 0
        self.faults: list[Fault] = []
        self.storms: list[Storm] = []
        self.log: list[dict[str, Any]] = []
        self.past = Past()
        self._effects: list[tuple[Fault, Effect, Socket | None]] = []
        self._held: list[Delivery] = []
        self.slices: FailingSlices | None = None

    # arming

    def arm(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Arm what ``body`` says: a fault, or ``{"storm": {...}}``. Returns its row. Raises BadSettings."""
        if isinstance(body, Mapping) and "storm" in body:
            return self._gather(body["storm"])
        fault = read_fault(self._serial + 1, body)
        self._serial += 1
        self.faults.append(fault)
        try:
            self._set_up(fault)
        except BadSettings:
            self.faults.remove(fault)
            raise
        return fault.row()

    def _set_up(self, fault: Fault) -> None:
        venue = self._venue
        if fault.kind.name.startswith("stale_") and not self.past.wanted:
            self.past.begin(venue)
        if not fault.waits:
            at = fault.match.at
            if at is None or at <= venue.now:
                self._act_now(fault)
            else:
                venue.market.at(at, lambda us: self._act_now(fault))
        self._watch_frames()

    def _act_now(self, fault: Fault) -> bool:
        if fault not in self.faults or not fault.hits(self._venue.now, "*", "*", {}):
            return False
        self._write_log(fault, "at once")
        told = self._venue.told
        if fault.kind.where == "state":
            assert fault.kind.act is not None
            fault.kind.act(self._venue, fault.args)
        else:
            self._begin(fault, None)
        return self._venue.told != told

    def _gather(self, body: Any) -> dict[str, Any]:
        storm = Storm(self._serial + 1, body)
        self._serial += 1
        self.storms.append(storm)
        self._venue.market.at(self._venue.now + storm.every, lambda us: self._blow(storm, us))
        return storm.row()

    def _blow(self, storm: Storm, us: int) -> bool:
        if storm not in self.storms or (storm.until is not None and us >= storm.until):
            return False
        told = self._venue.told
        self.arm(storm.draw())
        self._venue.market.at(us + storm.every, lambda later: self._blow(storm, later))
        return self._venue.told != told

    def arm_all(self, bodies: Iterable[Mapping[str, Any]]) -> None:
        """Arm a script of faults. Raises BadSettings that names the entry."""
        for place, body in enumerate(bodies, 1):
            try:
                self.arm(body)
            except BadSettings as error:
                raise BadSettings(f"fault {place} of the script: {error}") from None

    def disarm(self, number: int | None = None) -> int:
        """Clear one fault or storm, or all; what lasts ends. Returns how many were cleared."""
        faults = [one for one in self.faults if number in (None, one.number)]
        storms = [one for one in self.storms if number in (None, one.number)]
        if number is not None and not faults and not storms:
            raise BadSettings(f"there is no fault {number}")
        self.faults = [one for one in self.faults if one not in faults]
        self.storms = [one for one in self.storms if one not in storms]
        for entry in [entry for entry in self._effects if entry[0] in faults]:
            self._end(entry)
        if not any(one.kind.name.startswith("stale_") for one in self.faults):
            self.past.end()
        if self._held:
            self._send_all(self._held)
            self._held = []
        self._watch_frames()
        return len(faults) + len(storms)

    def rows(self) -> list[dict[str, Any]]:
        """All that is armed or was, by number."""
        lasting = {entry[0].number for entry in self._effects}
        rows = [{**fault.row(), "lasts": fault.number in lasting} for fault in self.faults]
        return sorted([*rows, *(storm.row() for storm in self.storms)], key=lambda row: int(row["id"]))

    def _write_log(self, fault: Fault, about: str) -> None:
        if len(self.log) < _KEPT_LOG:
            now = iso(self._venue.now)
            self.log.append({"time": now, "id": fault.number, "kind": fault.kind.name, "about": about})

    # at the door

    async def around(self, ask: Ask, record: dict[str, Any], action: Callable[[], web.Response]) -> web.Response:
        """Do ``action`` as the faults that hit this call let it be done; ``record`` says which did.

        Raises NoReply if the connection is to end without an answer.
        """
        hits = [
            fault
            for fault in self.faults
            if (fault.kind.where == "reply" or (fault.kind.where == "state" and fault.waits))
            and fault.hits(self._venue.now, ask.method, ask.path, ask.fields)
        ]
        if not hits:
            response = action()
            if ask.method != "GET":
                self.past.note(self._venue)
            return response
        record["fault"] = "+".join(fault.kind.name for fault in hits)
        for fault in hits:
            self._write_log(fault, f"{ask.method} {ask.path}")
        try:
            early = await self._before(hits, ask)
        except Refusal as refusal:
            early = error(refusal.code, refusal.error_type, refusal.message)
        response = action() if early is None else early
        self.past.note(self._venue)
        self._venue.after_call()  # the stream tells of the action whatever becomes of the answer
        for fault in hits:
            if fault.kind.after is not None and fault.kind.where == "reply":
                found = fault.kind.after(ask, fault.args, response)
                response = await found if inspect.isawaitable(found) else found
        return response

    async def _before(self, hits: Iterable[Fault], ask: Ask) -> web.Response | None:
        early: web.Response | None = None
        for fault in hits:
            if fault.kind.act is None:
                continue
            found = fault.kind.act(self._venue if fault.kind.where == "state" else ask, fault.args)
            found = await found if inspect.isawaitable(found) else found
            early = early if early is not None else found
        return early

    def at_slice(self) -> None:
        """A slice of an order is about to be placed: refuse it, if it is to fail."""
        if self.slices is not None:
            self.slices.place()

    def at_upgrade(self, record: dict[str, Any]) -> Refusal | None:
        """The refusal of a WebSocket that opens, if there is to be one."""
        for fault in self.faults:
            if fault.kind.where == "upgrade" and fault.hits(self._venue.now, "UPGRADE", record["path"], {}):
                record["fault"] = fault.kind.name
                self._write_log(fault, "upgrade")
                assert fault.kind.act is not None
                refusal: Refusal = fault.kind.act(fault.args)
                return refusal
        return None

    # order updates

    def updates(self, row: Mapping[str, Any], postback: str | None = None) -> list[Delivery]:
        """What becomes of an order update; what comes later is sent by itself."""
        self.past.note(self._venue)
        before, self._held = self._held, []
        ways = [Delivery(row, True, postback)]
        for fault in self.faults:
            if fault.kind.where == "update" and fault.hits(
                self._venue.now, "UPDATE", f"/orders/{row['order_id']}", row
            ):
                self._write_log(fault, f"{row['order_id']} {row['status']}")
                assert fault.kind.act is not None
                ways = [other for one in ways for other in fault.kind.act(self, fault.args, one)]
        if ways:
            return [*ways, *before]
        self._held = [*before, *self._held]
        return []

    def hold_back(self, one: Delivery, us: int) -> None:
        """Keep ``one`` until another update is sent, at most for ``us``."""
        self._held.append(one)

        def release(_: int) -> bool:
            if one not in self._held:
                return False
            self._held.remove(one)
            self._send_all([one])
            return True

        self.appoint(us, release)

    def later(self, us: int, ways: list[Delivery]) -> None:
        """Send ``ways`` when ``us`` of market time have passed."""

        def send(_: int) -> bool:
            self._send_all(ways)
            return True

        self.appoint(us, send)

    def appoint(self, us: int, action: Callable[[int], bool]) -> None:
        """Do ``action`` when ``us`` of market time have passed."""
        market = self._venue.market
        market.end = max(market.end, market.now + us)  # the market is not over while something is on its way
        market.at(market.now + us, action)

    def _send_all(self, ways: Iterable[Delivery]) -> None:
        for one in ways:
            self._venue.send_update(one)

    # sockets

    def _watch_frames(self) -> None:
        wanted = bool(self._effects) or any(one.kind.where == "frame" and one.waits for one in self.faults)
        self._venue.hub.set_gate(self.gate if wanted else None)

    def gate(self, socket: Socket, message: Message) -> list[Message]:
        """What is sent to ``socket`` instead of ``message``.

        In lock step a heartbeat, which comes by this machine's time, hits no fault: what is counted or drawn there
        must not hang on it. What lasts holds for it too.
        """
        sort = sort_of(message)
        for fault in () if sort == BEAT and self._venue.lockstep else self.faults:
            if fault.kind.where == "frame" and fault.waits and fault.hits(self._venue.now, sort, socket.peer, {}):
                self._write_log(fault, f"{sort} to {socket.peer}")
                self._begin(fault, socket)
        messages = [message]
        for entry in list(self._effects):
            _, effect, only = entry
            if only is not None and only is not socket:
                continue
            messages = [other for one in messages for other in effect.change(socket, sort_of(one), one)]
            if only is not None and effect.over:
                self._effects.remove(entry)
        return messages

    def _begin(self, fault: Fault, socket: Socket | None) -> None:
        assert fault.kind.act is not None
        effect: Effect = fault.kind.act(fault.args)
        lasts = effect.seconds > 0
        hub = self._venue.hub
        entry = (fault, effect, None if lasts else socket)
        for one in list(hub.sockets) if lasts or socket is None else [socket]:
            effect.begin(one)
        if lasts:
            self._effects.append(entry)
            self._venue.market.at(self._venue.now + round(effect.seconds * SECOND), lambda us: self._over(entry))
        elif socket is not None:
            self._effects.append(entry)
        self._watch_frames()

    def _over(self, entry: tuple[Fault, Effect, Socket | None]) -> bool:
        if entry in self._effects:
            self._end(entry)
            self._watch_frames()
        return False

    def _end(self, entry: tuple[Fault, Effect, Socket | None]) -> None:
        self._effects.remove(entry)
        for socket in list(self._venue.hub.sockets):
            for message in entry[1].end(socket):
                socket.append(message)

    def forget(self, socket: Socket) -> None:
        """A socket is closed."""
        kept = [entry for entry in self._effects if entry[2] is not socket]
        if len(kept) != len(self._effects):
            self._effects = kept
            self._watch_frames()

    @property
    def skew(self) -> int:
        """By how much the exchange's clock is off now, in microseconds."""
        return sum(effect.us for _, effect, _ in self._effects if isinstance(effect, Skewed))
