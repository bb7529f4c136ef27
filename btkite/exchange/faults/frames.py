"""What may become of a socket and of what is sent to it: kinds whose ``where`` is ``frame`` or ``upgrade``.

``act`` of a frame kind makes an effect. An effect is asked for every message to every socket until it is
over, and says what is sent instead.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..clock import SECOND
from ..errors import Refusal
from ..packets import HEARTBEAT
from ..refusals import too_many_calls
from .kinds import Arg, Args, Kind

if TYPE_CHECKING:
    from ..stream import Socket

Message = bytes | str
TICKS, ORDER, TEXT, BEAT = "TICKS", "ORDER", "TEXT", "HEARTBEAT"
_COUNT = struct.Struct(">H")
_WORD = struct.Struct(">I")


def sort_of(message: Message) -> str:
    """What a message is."""
    if isinstance(message, str):
        return ORDER if message.startswith('{"type":"order"') else TEXT
    return BEAT if message == HEARTBEAT else TICKS


def packets_of(frame: bytes) -> list[bytes]:
    """The packets of a frame."""
    found, at = [], 2
    for _ in range(_COUNT.unpack_from(frame)[0]):
        length = _COUNT.unpack_from(frame, at)[0]
        found.append(frame[at + 2 : at + 2 + length])
        at += 2 + length
    return found


def rewritten(message: Message, change: Callable[[bytes], bytes]) -> Message:
    """A frame of ticks with each packet changed; any other message as it is."""
    if not isinstance(message, bytes) or message == HEARTBEAT:
        return message
    parts = [message[:2]]
    for one in map(change, packets_of(message)):
        parts += (_COUNT.pack(len(one)), one)
    return b"".join(parts)


class Effect:
    """What holds for a while. ``seconds`` of market time (0: for one message, or one act)."""

    seconds = 0.0

    @property
    def over(self) -> bool:
        """Of an effect on one socket: True when it has done its work."""
        return True

    def begin(self, socket: Socket) -> None:
        """Once for each socket that is open when it begins."""

    def change(self, socket: Socket, sort: str, message: Message) -> list[Message]:
        """What is sent instead of ``message``."""
        return [message]

    def end(self, socket: Socket) -> list[Message]:
        """Once for each socket when it is over; what is sent then."""
        return []


class Cut(Effect):
    """The connection ends, after what was sent before and without a closing handshake."""

    over = False  # what follows in the same moment is lost too

    def __init__(self, args: Args) -> None:
        self._torn: set[int] = set()

    def begin(self, socket: Socket) -> None:
        if id(socket) not in self._torn:
            self._torn.add(id(socket))
            socket.tear(b"")

    def change(self, socket: Socket, sort: str, message: Message) -> list[Message]:
        return []


class HalfOpen(Effect):
    """TCP is up, but nothing comes and nothing is heard, not even a ping; at the end it is reset."""

    def __init__(self, args: Args) -> None:
        self.seconds = args["seconds"]
        self._deaf: set[int] = set()

    def begin(self, socket: Socket) -> None:
        self._deaf.add(id(socket))
        socket.stop_listening()

    def change(self, socket: Socket, sort: str, message: Message) -> list[Message]:
        return [] if id(socket) in self._deaf else [message]  # who connects anew is served

    def end(self, socket: Socket) -> list[Message]:
        if id(socket) in self._deaf:
            socket.abort()
        return []


class HeartbeatOnly(Effect):
    """Heartbeats go on; ticks and updates do not."""

    def __init__(self, args: Args) -> None:
        self.seconds = args["seconds"]
        self._updates = args["updates"]

    def change(self, socket: Socket, sort: str, message: Message) -> list[Message]:
        return [message] if sort == BEAT or (sort == ORDER and self._updates) else []


class Frozen(Effect):
    """Frames go on, but each instrument's packet says what the first one said."""

    def __init__(self, args: Args) -> None:
        self.seconds = args["seconds"]
        self._first: dict[tuple[int, bytes, int], bytes] = {}

    def change(self, socket: Socket, sort: str, message: Message) -> list[Message]:
        return [rewritten(message, lambda one: self._first.setdefault((id(socket), one[:4], len(one)), one))]


class OutOfOrder(Effect):
    """A frame of ticks comes after later ones."""

    def __init__(self, args: Args) -> None:
        self._by = max(1, args["by"])
        self._held: dict[int, tuple[int, Message]] = {}
        self._begun: set[int] = set()

    def change(self, socket: Socket, sort: str, message: Message) -> list[Message]:
        if sort != TICKS:
            return [message]
        if id(socket) not in self._begun:
            self._begun.add(id(socket))
            self._held[id(socket)] = (self._by, message)
            return []
        if id(socket) not in self._held:
            return [message]
        left, held = self._held.pop(id(socket))
        if left > 1:
            self._held[id(socket)] = (left - 1, held)
            return [message]
        return [message, held]

    @property
    def over(self) -> bool:
        """True when what was held back is out."""
        return bool(self._begun) and not self._held


class Malformed(Effect):
    """A frame of ticks that cannot be read."""

    def __init__(self, args: Args) -> None:
        self._how = args["how"]

    def change(self, socket: Socket, sort: str, message: Message) -> list[Message]:
        if sort != TICKS or not isinstance(message, bytes):
            return [message]
        if self._how == "count":  # one packet fewer than it says
            return [_COUNT.pack(_COUNT.unpack_from(message)[0] + 1) + message[2:]]
        if self._how == "length":  # a packet longer than the frame
            return [message[:2] + b"\xff\xff" + message[4:]]
        return [message[: 2 + (len(message) - 2) // 2]]  # half of its bytes


class HalfFrame(Effect):
    """A message breaks off in the middle, and the connection ends."""

    over = False

    def __init__(self, args: Args) -> None:
        self._torn: set[int] = set()

    def change(self, socket: Socket, sort: str, message: Message) -> list[Message]:
        if id(socket) not in self._torn:
            self._torn.add(id(socket))
            body = message if isinstance(message, bytes) else message.encode()
            code = 0x82 if isinstance(message, bytes) else 0x81
            head = bytes([code, len(body)]) if len(body) < 126 else bytes([code, 126]) + _COUNT.pack(len(body))
            whole = head + body
            socket.tear(whole[: len(head) + len(body) // 2])
        return []


class Skewed(Effect):
    """The exchange's clock is off: the times of ticks, and the seconds in which calls are counted."""

    def __init__(self, args: Args) -> None:
        self.seconds = args["seconds"]
        self.by = args["by"]

    def change(self, socket: Socket, sort: str, message: Message) -> list[Message]:
        return [rewritten(message, self._shifted)]

    def _shifted(self, packet: bytes) -> bytes:
        for at in {184: (44, 60), 32: (28,)}.get(len(packet), ()):
            seconds = _WORD.unpack_from(packet, at)[0]
            if seconds:
                packet = packet[:at] + _WORD.pack(max(0, seconds + round(self.by))) + packet[at + 4 :]
        return packet

    @property
    def us(self) -> int:
        """The error in microseconds."""
        return round(self.by * SECOND)


class BadTick(Effect):
    """One tick with a price that nobody traded at."""

    def __init__(self, args: Args) -> None:
        self._factor = 1 + args["percent"] / 100

    def change(self, socket: Socket, sort: str, message: Message) -> list[Message]:
        return [rewritten(message, self._wrong)]

    def _wrong(self, packet: bytes) -> bytes:
        price = _WORD.unpack_from(packet, 4)[0]
        return packet[:4] + _WORD.pack(round(price * self._factor)) + packet[8:]


def _refuse(args: Args) -> Refusal:
    if args["status"] == 429:
        return too_many_calls()
    return Refusal(args["status"], "TokenException", "Authentication failed.")


LASTS = Arg(60.0, "how long, in seconds of the market")
FRAMES = {"method": TICKS}
KINDS = (
    Kind("upgrade_refused", "upgrade", "A WebSocket is refused when it opens.", act=_refuse,
         args={"status": Arg(403, "403: a dead token; 429: too many sockets; or any other")}),
    Kind("socket_cut", "frame", "The stream's TCP connection is reset.", act=Cut),
    Kind("socket_half_open", "frame",
         "TCP stays up, but nothing is sent and nothing heard, pings included; then it is reset.", act=HalfOpen,
         args={"seconds": LASTS}),
    Kind("heartbeat_only", "frame", "Heartbeats go on, ticks and order updates stop.", act=HeartbeatOnly,
         args={"seconds": LASTS, "updates": Arg(False, "true: order updates go on too")}),
    Kind("ticks_frozen", "frame", "Ticks go on, with prices and times that stand still.", act=Frozen,
         args={"seconds": LASTS}),
    Kind("ticks_out_of_order", "frame", "A frame of ticks comes after later ones.", act=OutOfOrder, match=FRAMES,
         args={"by": Arg(1, "how many frames too late")}),
    Kind("malformed_frame", "frame", "A frame of ticks that cannot be read.", act=Malformed, match=FRAMES,
         args={"how": Arg("count", "count: one packet missing; length: a packet beyond the end; half: cut short")}),
    Kind("half_frame", "frame", "A message breaks off in the middle, and the connection ends.", act=HalfFrame,
         match=FRAMES),
    Kind("bad_tick", "frame", "A tick with a price at which nothing was traded: no order meets it.", act=BadTick,
         match=FRAMES, args={"percent": Arg(10.0, "how far from the true price")}),
    Kind("clock_skew", "frame",
         "The exchange's clock is off: the times in ticks, and the calendar seconds in which calls are counted.",
         act=Skewed,
         args={"by": Arg(0.4, "seconds; negative: it is slow"), "seconds": LASTS}),
)  # fmt: skip
