from __future__ import annotations

import json
import logging
import struct
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from btkite.clock import Bell, ManualClock, SystemClock
from btkite.errors import RuleViolation, SessionExpired
from btkite.kite.inbox import Inbox, Link, LinkChange, Ticks
from btkite.kite.stream import KiteStream
from btkite.kite.websocket import WebSocket
from btkite.values import OrderUpdate, Tick
from tests.kite.fakes import KEY, TOKEN, FakeStream

INFY, SBIN = 408065, 779521


def ltp(token: int, price: float) -> bytes:
    return struct.pack(">HHII", 1, 8, token, round(price * 100))


class Listener:
    """Takes from the inbox until a condition holds, in the way Cerebro's thread does."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.events: list[Any] = []

    def until(self, condition: Callable[[], bool], seconds: float = 10.0) -> None:
        clock, end = SystemClock(), SystemClock().now().timestamp() + seconds
        while True:
            self.events += self.inbox.take()
            if condition():
                return
            assert clock.now().timestamp() < end, f"waited in vain; the inbox gave {self.events}"
            self.inbox.bell.wait(0.05)

    @property
    def ticks(self) -> list[Tick]:
        return [tick for event in self.events if isinstance(event, Ticks) for tick in event.ticks]

    @property
    def links(self) -> list[Link]:
        return [event.link for event in self.events if isinstance(event, LinkChange)]

    def reason(self, link: Link) -> str:
        return next(event.reason for event in self.events if isinstance(event, LinkChange) and event.link is link)

    def wait_link(self, *links: Link) -> None:
        """Until these link changes came, in this order, perhaps among others."""

        def came() -> bool:
            rest = iter(self.links)
            return all(link in rest for link in links)

        self.until(came)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def listener(inbox: Inbox) -> Listener:
    return Listener(inbox)


@pytest.fixture
def make(wire: FakeStream, inbox: Inbox) -> Iterator[Callable[..., KiteStream]]:
    made: list[KiteStream] = []

    def build(**changed: Any) -> KiteStream:
        options: dict[str, Any] = {"backoff": (0.02, 0.1), "crowded": 0.05}
        token = changed.pop("access_token", lambda: TOKEN)
        endpoint = changed.pop("endpoint", wire.endpoint)
        clock = changed.pop("clock", None) or SystemClock()
        stream = KiteStream(endpoint, KEY, token, inbox, clock, **{**options, **changed})
        made.append(stream)
        return stream

    yield build
    for stream in made:
        stream.stop()


def test_it_connects_with_key_and_token_and_says_so(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener
) -> None:
    stream = make()
    stream.start()
    listener.wait_link(Link.CONNECTING, Link.CONNECTED)
    socket = wire.socket(0)
    assert socket.query == {"api_key": KEY, "access_token": TOKEN}
    assert socket.headers["X-Kite-Version"] == "3"
    assert stream.connected


def test_an_endpoint_that_asks_for_the_user_id_gets_it(wire: FakeStream, make: Callable[..., KiteStream]) -> None:
    from dataclasses import replace

    make(endpoint=replace(wire.endpoint, ws_extra=("user_id",)), user_id="SB1234").start()
    assert wire.socket(0).query["user_id"] == "SB1234"


def test_ticks_and_order_updates_come_in_the_order_of_the_wire(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener
) -> None:
    make().start()
    socket = wire.socket(0)
    order = {
        "order_id": "1",
        "status": "COMPLETE",
        "exchange": "NSE",
        "tradingsymbol": "INFY",
        "transaction_type": "BUY",
    }
    socket.send(ltp(INFY, 1500.05))
    socket.send(json.dumps({"type": "order", "data": order}))
    socket.send(ltp(INFY, 1500.10))
    listener.until(lambda: len(listener.ticks) == 2)
    kinds = [type(event) for event in listener.events if not isinstance(event, LinkChange)]
    assert kinds == [Ticks, OrderUpdate, Ticks]
    assert [tick.last_price for tick in listener.ticks] == [1500.05, 1500.10]


def test_what_is_wanted_before_connecting_is_subscribed_with_its_mode(
    wire: FakeStream, make: Callable[..., KiteStream]
) -> None:
    stream = make()
    stream.subscribe({INFY: "full", SBIN: "quote"})
    stream.start()
    socket = wire.socket(0)
    wire.until(lambda: socket.modes == {INFY: "full", SBIN: "quote"})


def test_wishes_may_change_at_any_time_from_any_thread(wire: FakeStream, make: Callable[..., KiteStream]) -> None:
    stream = make()
    stream.start()
    socket = wire.socket(0)
    threads = [threading.Thread(target=stream.subscribe, args=({number: "ltp"},)) for number in range(1, 40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wire.until(lambda: socket.modes == dict.fromkeys(range(1, 40), "ltp"))
    stream.subscribe({1: "full"})
    stream.unsubscribe(range(2, 40))
    wire.until(lambda: socket.modes == {1: "full"})
    assert stream.subscribed == {1: "full"}


@pytest.mark.parametrize("end", ["cut", "close"])
def test_a_lost_connection_comes_back_with_all_modes(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener, end: str
) -> None:
    stream = make()
    stream.subscribe({INFY: "full", SBIN: "ltp"})
    stream.start()
    listener.wait_link(Link.CONNECTED)
    getattr(wire.socket(0), end)()
    listener.wait_link(Link.CONNECTED, Link.BROKEN, Link.CONNECTED)
    again = wire.socket(1)
    wire.until(lambda: again.modes == {INFY: "full", SBIN: "ltp"})
    again.send(ltp(INFY, 1.0))
    listener.until(lambda: bool(listener.ticks))


def test_a_refused_token_is_not_tried_again_until_it_is_renewed(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener
) -> None:
    tokens = ["Dead0OfTheNight", "Fresh1OfTheDay"]
    wire.refuse_all = 403
    stream = make(access_token=lambda: tokens[0])
    stream.start()
    listener.wait_link(Link.REFUSED)
    assert "403" in listener.reason(Link.REFUSED)
    assert not stream.busy
    for _ in range(2):  # the news itself may ring once more
        listener.inbox.bell.wait(0.3)  # many times the longest backoff: nothing happens
    assert wire.attempts == 1
    wire.refuse_all = 0
    tokens.pop(0)
    stream.renew()
    listener.wait_link(Link.REFUSED, Link.CONNECTED)
    assert wire.socket(0).query["access_token"] == "Fresh1OfTheDay"


def test_a_session_that_is_over_before_connecting_is_a_refusal(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener
) -> None:
    def none() -> str:
        raise SessionExpired("log in first: btkite login")

    make(access_token=none).start()
    listener.wait_link(Link.REFUSED)
    assert listener.reason(Link.REFUSED) == "log in first: btkite login"
    assert wire.attempts == 0


def test_a_token_that_dies_under_a_standing_connection_shows_at_the_next(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener
) -> None:
    make().start()
    listener.wait_link(Link.CONNECTED)
    wire.refuse_all = 403
    wire.socket(0).cut()
    listener.wait_link(Link.CONNECTED, Link.BROKEN, Link.REFUSED)
    assert wire.attempts == 2


@pytest.mark.parametrize(("status", "reason"), [(429, "three connections"), (502, "HTTP 502"), (500, "HTTP 500")])
def test_other_refusals_are_tried_again(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener, status: int, reason: str
) -> None:
    wire.refusals.extend([status, status])
    make().start()
    listener.wait_link(Link.BROKEN, Link.CONNECTED)
    assert reason in listener.reason(Link.BROKEN)
    assert TOKEN not in listener.reason(Link.BROKEN)  # strategies and the journal are told of it
    assert wire.attempts == 3


def test_after_429_it_waits_longer(wire: FakeStream, make: Callable[..., KiteStream], listener: Listener) -> None:
    clock = SystemClock()
    wire.refusals.append(429)
    stream = make(crowded=60.0)
    stream.start()
    listener.wait_link(Link.BROKEN)
    due = stream.due
    assert due is not None
    assert 50 < (due - clock.now()).total_seconds() <= 60
    assert not stream.busy  # nothing to wait for until then


def test_a_server_that_is_not_there_is_tried_until_it_is(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener
) -> None:
    from dataclasses import replace

    stream = make(endpoint=replace(wire.endpoint, ws_root="ws://127.0.0.1:9"))
    stream.start()
    listener.wait_link(Link.BROKEN)
    assert "no connection" in listener.reason(Link.BROKEN)
    stream.endpoint = wire.endpoint
    listener.wait_link(Link.BROKEN, Link.CONNECTED)


def test_a_silent_connection_is_given_up_though_it_answers_pings(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener
) -> None:
    make(silence=0.2, heartbeat=0.05).start()
    listener.wait_link(Link.CONNECTED, Link.BROKEN, Link.CONNECTED)
    assert listener.reason(Link.BROKEN) == "silent for 0.2 s"


def test_a_heartbeat_keeps_a_connection_without_ticks(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener
) -> None:
    stream = make(silence=1.5)
    stream.start()
    socket = wire.socket(0)
    pause = Bell()
    for _ in range(20):
        socket.send(b"\x00")
        pause.wait(0.1)
    assert [link for link in stream.inbox.take() if isinstance(link, LinkChange) and link.link is Link.BROKEN] == []
    assert len(wire.sockets) == 1


def test_a_peer_that_answers_no_ping_is_given_up(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener
) -> None:
    wire.deaf = True
    make(heartbeat=0.1, silence=60.0).start()
    listener.wait_link(Link.CONNECTED, Link.BROKEN)
    assert "did not answer our ping" in listener.reason(Link.BROKEN)


def test_in_lock_step_silence_means_nothing(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener
) -> None:
    clock = ManualClock(datetime(2026, 11, 23, 12, 0))  # complete, like the exchange's in lock step
    make(silence=0.1, clock=clock).start()
    listener.wait_link(Link.CONNECTED)
    assert not Bell().wait(0.5)
    listener.until(lambda: True)
    assert Link.BROKEN not in listener.links
    assert len(wire.sockets) == 1


def test_frames_are_counted_by_our_own_address_after_they_are_in_the_inbox(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener
) -> None:
    stream = make()
    stream.start()
    socket = wire.socket(0)
    listener.wait_link(Link.CONNECTED)
    assert stream.frames_read == {socket.peer: 0}
    for _ in range(3):
        socket.send(ltp(INFY, 1.0))
    socket.send(b"\x00")
    socket.send('{"type":"message","data":"hello"}')
    socket.send(b"\x00\x09garbage")
    listener.until(lambda: stream.frames_read == {socket.peer: 6})
    listener.events += listener.inbox.take()
    assert len(listener.ticks) == 3
    assert stream.decoder.damaged == 1
    assert stream.notices[-1].text == "hello"
    socket.cut()
    listener.wait_link(Link.CONNECTED, Link.BROKEN, Link.CONNECTED)
    assert stream.frames_read == {wire.socket(1).peer: 0}


def test_a_count_never_runs_ahead_of_the_inbox(wire: FakeStream) -> None:
    """Lock step goes on when the count is reached: by then the frame must be in the inbox."""
    counts: list[int] = []

    class Watched(Inbox):
        def add(self, event: Any) -> None:
            if isinstance(event, Ticks):
                counts.extend(stream.frames_read.values())
            super().add(event)

    inbox = Watched()
    listener = Listener(inbox)
    stream = KiteStream(wire.endpoint, KEY, lambda: TOKEN, inbox, SystemClock())
    stream.start()
    listener.wait_link(Link.CONNECTED)
    for number in range(1, 21):
        wire.socket(0).send(ltp(INFY, number))
    listener.until(lambda: len(listener.ticks) == 20)
    stream.stop()
    assert counts == list(range(20))


def test_a_frame_without_an_event_rings_the_bell_too(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener
) -> None:
    """Who waits for the count must hear of a heartbeat."""
    stream = make()
    stream.start()
    listener.until(lambda: stream.connected and not stream.busy)
    while stream.inbox.bell.wait(0.05):  # what is left over from connecting
        pass
    wire.socket(0).send(b"\x00")
    assert stream.inbox.bell.wait(10)


def test_it_is_busy_until_the_server_has_read_the_subscription(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener
) -> None:
    stream = make()
    assert not stream.busy
    stream.start()
    stream.subscribe({INFY: "full"})
    listener.until(lambda: not stream.busy)
    assert wire.socket(0).modes == {INFY: "full"}


def test_it_stays_busy_while_the_server_has_not_shown_that_it_read(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener
) -> None:
    wire.deaf = True  # hears us, answers no ping
    stream = make(heartbeat=60.0)
    stream.subscribe({INFY: "full"})
    stream.start()
    listener.wait_link(Link.CONNECTED)
    wire.until(lambda: wire.socket(0).modes == {INFY: "full"})
    assert stream.busy


def test_more_instruments_than_a_connection_takes_open_another(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener
) -> None:
    stream = make(instruments=3)
    stream.subscribe(dict.fromkeys(range(1, 5), "quote"))
    stream.start()
    listener.until(lambda: len(wire.sockets) == 2 and not stream.busy)
    assert sorted(len(socket.modes) for socket in wire.sockets) == [1, 3]
    stream.subscribe(dict.fromkeys(range(5, 10), "quote"))
    listener.until(lambda: len(wire.sockets) == 3 and not stream.busy)
    assert sorted(token for socket in wire.sockets for token in socket.modes) == list(range(1, 10))
    with pytest.raises(RuleViolation, match="10 instruments are more than Kite streams: 3 connections of 3"):
        stream.subscribe({10: "quote"})
    stream.subscribe({9: "full"})  # known already: a change of mode needs no room


def test_a_stream_that_stands_goes_on_while_a_further_connection_is_opened(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener
) -> None:
    """No gap is to be repaired, and no entry pauses: what is streamed already is streamed on."""
    stream = make(instruments=1)
    stream.subscribe({INFY: "full"})
    stream.start()
    listener.wait_link(Link.CONNECTED)
    stream.subscribe({SBIN: "full"})
    second = wire.socket(1)
    wire.until(lambda: second.modes == {SBIN: "full"})
    listener.until(lambda: not stream.busy)
    second.send(ltp(SBIN, 1.0))
    listener.until(lambda: bool(listener.ticks))
    assert listener.links == [Link.CONNECTING, Link.CONNECTED]


def test_a_connection_that_was_given_up_is_followed_by_one_that_stands(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener
) -> None:
    stream = make()
    stream.start()
    listener.wait_link(Link.CONNECTED)
    stream.reconnect("silent in market hours")
    listener.wait_link(Link.CONNECTED, Link.BROKEN, Link.CONNECTED)
    assert listener.reason(Link.BROKEN) == "silent in market hours"
    wire.socket(1).send(ltp(INFY, 1.0))
    listener.until(lambda: bool(listener.ticks))
    assert wire.attempts == 2


def test_a_mode_that_kite_does_not_have_is_refused(make: Callable[..., KiteStream]) -> None:
    stream = make()
    with pytest.raises(RuleViolation, match="stream mode 'depth' of 1 is none of full, ltp, quote"):
        stream.subscribe({1: "depth"})
    assert stream.subscribed == {}


def test_stop_is_final_idempotent_and_can_be_followed_by_a_start(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener
) -> None:
    others = set(threading.enumerate())
    stream = make()
    stream.subscribe({INFY: "ltp"})
    stream.start()
    stream.start()
    listener.wait_link(Link.CONNECTED)
    stream.stop()
    stream.stop()
    listener.wait_link(Link.CONNECTED, Link.CLOSED)
    wire.until(lambda: not wire.socket(0).open)
    assert stream.frames_read == {}
    assert not [one for one in set(threading.enumerate()) - others if one.name == "kite-stream" and one.is_alive()]
    stream.start()
    listener.wait_link(Link.CLOSED, Link.CONNECTED)
    wire.until(lambda: len(wire.sockets) == 2 and wire.sockets[1].modes == {INFY: "ltp"})


def test_stop_ends_a_long_backoff_at_once(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener
) -> None:
    wire.refusals.append(500)
    stream = make(backoff=(300.0, 300.0))
    stream.start()
    listener.wait_link(Link.BROKEN)
    stream.stop()
    listener.wait_link(Link.BROKEN, Link.CLOSED)


class RealTime:
    """What the connections measure their own age by."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> RealTime:
    clock = RealTime()
    monkeypatch.setattr("btkite.kite.websocket.time", clock)
    return clock


class Breaking:
    """A stream whose market time stands still: a break waits until it is told to go on."""

    def __init__(self, wire: FakeStream, stream: KiteStream, listener: Listener, clock: ManualClock) -> None:
        self.wire, self.stream, self.listener, self.clock = wire, stream, listener, clock
        self.tries = 1

    def waits(self) -> float:
        """Seconds until the next attempt, when this one has broken."""
        self.listener.until(lambda: self.wire.attempts >= self.tries and self.stream.due is not None)
        due = self.stream.due
        assert due is not None
        return (due - self.clock.now()).total_seconds()

    def again(self) -> None:
        self.tries += 1
        self.stream.renew()

    def stands(self) -> None:
        """The connection that is tried now does."""
        self.listener.until(lambda: self.stream.connected)


@pytest.fixture
def breaking(wire: FakeStream, make: Callable[..., KiteStream], listener: Listener, real: RealTime) -> Breaking:
    clock = ManualClock(datetime(2026, 11, 23, 12, 0))
    return Breaking(wire, make(backoff=(1.0, 30.0), clock=clock), listener, clock)


def about(seconds: float) -> Any:
    """A pause is spread by a fifth, so that not everybody comes back at once."""
    return pytest.approx(seconds, rel=0.2001)


def test_each_break_waits_twice_as_long_as_the_last_but_never_longer_than_the_longest(
    wire: FakeStream, breaking: Breaking
) -> None:
    wire.refuse_all = 502
    breaking.stream.start()
    for expected in (1, 2, 4, 8, 16, 30, 30):
        assert breaking.waits() == about(expected)
        breaking.again()


@pytest.mark.parametrize(("age", "expected"), [(30.5, [1, 2]), (29.5, [16, 30])], ids=["stood", "did not stand"])
def test_a_connection_that_stood_for_a_while_starts_the_count_anew(
    wire: FakeStream, breaking: Breaking, real: RealTime, age: float, expected: list[float]
) -> None:
    wire.refusals.extend([502] * 4)
    breaking.stream.start()
    for before in (1, 2, 4, 8):
        assert breaking.waits() == about(before)
        real.now += 100.0  # the time of waiting and trying is none of standing
        breaking.again()
    breaking.stands()
    real.now += age
    wire.refuse_all = 502
    wire.socket(0).cut()
    assert breaking.waits() == about(expected[0])
    breaking.again()
    assert breaking.waits() == about(expected[1])


def test_short_breaks_of_a_long_day_are_each_the_first(wire: FakeStream, breaking: Breaking, real: RealTime) -> None:
    breaking.stream.start()
    for number in range(8):
        breaking.stands()
        real.now += 600.0
        wire.socket(number).cut()
        assert breaking.waits() == about(1)
        breaking.again()


def test_a_connection_that_is_cut_at_once_each_time_waits_ever_longer(wire: FakeStream, breaking: Breaking) -> None:
    breaking.stream.start()
    for number, expected in enumerate((1, 2, 4, 8)):
        breaking.stands()
        wire.socket(number).cut()
        assert breaking.waits() == about(expected)
        breaking.again()


def test_a_new_session_after_a_refusal_starts_the_count_anew(wire: FakeStream, breaking: Breaking) -> None:
    wire.refusals.extend([502, 502, 502, 403])
    breaking.stream.start()
    for before in (1, 2, 4):
        assert breaking.waits() == about(before)
        breaking.again()
    breaking.listener.wait_link(Link.REFUSED)
    wire.refuse_all = 502
    breaking.again()
    assert breaking.waits() == about(1)


def test_a_new_session_in_the_moment_of_the_end_does_not_keep_the_stream_from_ending(
    wire: FakeStream, make: Callable[..., KiteStream], listener: Listener
) -> None:
    wire.refuse_all = 502
    stream = make(backoff=(60.0, 60.0), connections=1)
    for number in range(20):
        stream.start()
        listener.until(lambda: stream.due is not None and wire.attempts > number)
        stream.renew()
        ends = threading.Thread(target=stream.stop, daemon=True)
        ends.start()
        ends.join(20)
        assert not ends.is_alive()


def test_renew_ends_a_backoff(wire: FakeStream, make: Callable[..., KiteStream], listener: Listener) -> None:
    wire.refusals.append(500)
    stream = make(backoff=(300.0, 300.0))
    stream.start()
    listener.wait_link(Link.BROKEN)
    stream.renew()
    listener.wait_link(Link.BROKEN, Link.CONNECTED)


@pytest.mark.parametrize("trouble", ["refused", "crowded", "cut", "absent"])
def test_the_token_appears_in_no_log_event_or_repr(
    wire: FakeStream,
    make: Callable[..., KiteStream],
    listener: Listener,
    caplog: pytest.LogCaptureFixture,
    trouble: str,
) -> None:
    from dataclasses import replace

    caplog.set_level(logging.DEBUG)
    endpoint = replace(wire.endpoint, ws_root="ws://127.0.0.1:9") if trouble == "absent" else wire.endpoint
    wire.refusals.extend({"refused": [403], "crowded": [429]}.get(trouble, []))
    stream = make(endpoint=endpoint)
    stream.start()
    if trouble == "cut":
        socket = wire.socket(0)
        socket.send(json.dumps({"type": "error", "data": f"bad access_token={TOKEN}"}))
        listener.wait_link(Link.CONNECTED)
        socket.cut()
    listener.wait_link(Link.REFUSED if trouble == "refused" else Link.BROKEN)
    stream.stop()
    shown = caplog.text + repr(stream) + repr(listener.events)
    assert TOKEN not in shown
    assert "kite-stream" in {record.threadName for record in caplog.records}


def test_a_certificate_that_nobody_vouches_for_is_not_accepted(
    make: Callable[..., KiteStream], listener: Listener
) -> None:
    """The token is in the URL: TLS is verified, or nothing is sent."""
    import socket
    import ssl
    import subprocess
    import tempfile
    from dataclasses import replace
    from pathlib import Path
    from shutil import which

    openssl = which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    with tempfile.TemporaryDirectory() as folder:
        key, certificate = Path(folder, "key.pem"), Path(folder, "cert.pem")
        command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
        subprocess.run(
            [*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True, timeout=30
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
    read: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            client, _ = server.accept()
            client.settimeout(10)
            try:
                with context.wrap_socket(client, server_side=True) as safe:
                    read.append(safe.recv(4096))
            except OSError:  # the handshake failed: what is hoped for
                read.append(b"")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        stream = make(
            endpoint=replace(make().endpoint, ws_root=f"wss://127.0.0.1:{server.getsockname()[1]}"),
            backoff=(60.0, 60.0),
        )
        stream.start()
        listener.wait_link(Link.BROKEN)
        assert "Certificate" in listener.reason(Link.BROKEN)
        thread.join(10)
        assert read == [b""]


def test_a_wait_that_ends_while_it_is_looked_at_is_over() -> None:
    """The stream's thread forgets the moment of its next attempt whenever it likes."""
    socket = WebSocket(SimpleNamespace(), 0)
    socket.link, socket.retry_at = Link.BROKEN, datetime(2026, 11, 23, 10)

    def now() -> datetime:
        socket.retry_at = None
        return datetime(2026, 11, 23, 10)

    socket.stream.clock = SimpleNamespace(now=now)
    assert socket.busy
