"""Clocks: naive IST whatever the host's zone, waits that end, and the simulated exchange's time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
import time_machine
from hypothesis import given
from hypothesis import strategies as st

from btkite import clock
from btkite.clock import Bell, ExchangeClock, ManualClock, SystemClock, from_epoch, to_epoch, to_ist
from tests import far

NOON = datetime(2026, 11, 23, 12)
OPEN = datetime(2024, 7, 2, 9, 15)


# ---- conversions ---------------------------------------------------------------------------------------


def test_epoch_is_ist_wall_time() -> None:
    assert from_epoch(0) == datetime(1970, 1, 1, 5, 30)
    assert to_epoch(datetime(2026, 11, 23, 12)) == datetime(2026, 11, 23, 6, 30, tzinfo=UTC).timestamp()


@given(st.integers(0, 4_102_444_800))
def test_epoch_and_back(seconds: int) -> None:
    assert to_epoch(from_epoch(seconds)) == seconds


@given(st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1)), st.integers(-14 * 60, 14 * 60))
def test_an_aware_datetime_is_converted_and_a_naive_one_is_ist(moment: datetime, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    assert to_ist(moment) == moment
    assert to_epoch(to_ist(moment.replace(tzinfo=zone))) == moment.replace(tzinfo=zone).timestamp()
    assert to_ist(moment.replace(tzinfo=zone)).tzinfo is None


# ---- the bell ------------------------------------------------------------------------------------------


def test_a_ring_that_nobody_waits_for_is_kept_and_used_up_by_one() -> None:
    bell = Bell()
    bell.ring()
    bell.ring()
    assert bell.wait(0) is True
    assert bell.wait(0) is False


def test_a_ring_of_another_thread_ends_a_wait() -> None:
    bell = Bell()
    threading.Timer(0.01, bell.ring).start()
    assert bell.wait(30) is True


# ---- the machine's clock -------------------------------------------------------------------------------

ZONES = ["UTC", "Asia/Kolkata", "America/New_York", "Pacific/Kiritimati", "Europe/London"]
ASK = "from btkite.clock import SystemClock, to_epoch; import time; print(to_epoch(SystemClock().now()) - time.time())"


@pytest.mark.parametrize("zone", ZONES)
def test_the_machines_clock_says_ist_in_every_zone(zone: str) -> None:
    root = Path(clock.__file__).parents[1]
    asked = subprocess.run(
        [sys.executable, "-c", ASK],
        env={"TZ": zone, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert abs(float(asked.stdout)) < 5


@pytest.mark.parametrize("year", [2027, 2031])
def test_the_machines_clock_goes_on_after_the_tables_end(year: int) -> None:
    with time_machine.travel(datetime(year, 3, 1, 3, 45, tzinfo=UTC), tick=False):
        assert SystemClock().now() == SystemClock().heard() == datetime(year, 3, 1, 9, 15)


def test_a_program_that_a_test_starts_on_another_day_is_on_that_day() -> None:
    code = "from btkite.clock import SystemClock; import datetime; print(SystemClock().now(), datetime.datetime.now())"
    environment = {**os.environ, "TZ": "UTC", **far.environment(far.moment_of("2031-01-15"))}
    asked = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    told = asked.stdout.split()
    assert [told[0], told[2]] == ["2031-01-15", "2031-01-15"]
    assert (told[1][:3], told[3][:3]) == ("10:", "04:")


def test_a_wait_of_the_machines_clock_ends_at_its_moment_or_at_a_ring() -> None:
    system, bell = SystemClock(), Bell()
    assert system.wait(bell, system.now() - timedelta(hours=1)) is False
    assert system.wait(bell, system.now() + timedelta(milliseconds=20)) is False
    bell.ring()
    assert system.wait(bell, system.now() + timedelta(hours=1)) is True
    assert not system.complete
    assert not system.done


# ---- by hand -------------------------------------------------------------------------------------------


def test_a_manual_clock_jumps_to_the_end_of_a_wait_and_never_back() -> None:
    manual, bell = ManualClock(NOON), Bell()
    assert manual.wait(bell, NOON + timedelta(minutes=5)) is False
    assert manual.now() == manual.heard() == NOON + timedelta(minutes=5)
    manual.wait(bell, NOON)
    assert manual.now() == NOON + timedelta(minutes=5)
    bell.ring()
    assert manual.wait(bell, NOON + timedelta(hours=1)) is True
    assert manual.now() == NOON + timedelta(minutes=5)


# ---- a simulated exchange's, on the wire -----------------------------------------------------------------


class FakeExchange:
    """Answers the clock's questions with what the test says, and remembers them."""

    def __init__(self) -> None:
        self.asked: list[dict] = []
        self.status = 200
        self.cut = 0
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if fake.cut:
                    fake.cut -= 1
                    self.close_connection = True
                    return
                fake.asked.append(asked)
                content = json.dumps({"status": "success", "data": fake.answer()}).encode()
                self.send_response(fake.status)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *args: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        self.root = f"http://127.0.0.1:{self.server.server_address[1]}"

    def says(self, now: datetime, speed: float = 0.0, *, done: bool = False, sent: dict | None = None) -> None:
        """From now on; time stands, whatever the speed."""
        self.answer = lambda: {"now": f"{now.isoformat()}+05:30", "speed": speed, "done": done, "sent": sent or {}}

    def runs(self, speed: float) -> None:
        """From now on time runs; ``self.late`` market seconds are lost on the way of each answer."""
        begun, self.late = time.monotonic(), 0.0

        def answer() -> dict:
            passed = (time.monotonic() - begun) * speed - self.late
            return {"now": f"{(OPEN + timedelta(seconds=passed)).isoformat()}+05:30", "speed": speed}

        self.answer = answer

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def exchange():
    fake = FakeExchange()
    fake.says(OPEN)
    yield fake
    fake.close()


def test_an_exchange_that_stands_still_is_in_lock_step_and_a_running_one_is_not(exchange: FakeExchange) -> None:
    assert ExchangeClock(exchange.root).complete
    exchange.says(OPEN, 60.0)
    assert not ExchangeClock(exchange.root).complete


def test_in_lock_step_time_moves_only_when_asked_and_only_to_what_is_due(exchange: FakeExchange) -> None:
    market, bell = ExchangeClock(exchange.root), Bell()
    assert market.now() == market.heard() == OPEN
    exchange.says(OPEN + timedelta(minutes=1))
    assert market.now() == OPEN
    assert market.wait(bell, OPEN + timedelta(seconds=90)) is True
    assert market.now() == OPEN + timedelta(minutes=1)
    assert exchange.asked[-1] == {"next": "bar", "until": "2024-07-02T09:16:30.000000+05:30"}


def test_in_lock_step_a_ring_and_work_under_way_come_before_time(exchange: FakeExchange) -> None:
    market, bell = ExchangeClock(exchange.root), Bell()
    bell.ring()
    assert market.wait(bell) is True
    market.idle = lambda: False
    threading.Timer(0.01, bell.ring).start()
    assert market.wait(bell) is True
    assert exchange.asked == [{}]


def test_in_lock_step_it_goes_on_when_all_frames_are_read(exchange: FakeExchange) -> None:
    market, bell = ExchangeClock(exchange.root), Bell()
    read = {"127.0.0.1:5": 3}
    market.frames_read = lambda: dict(read)
    exchange.says(OPEN, sent={"127.0.0.1:5": 7, "127.0.0.1:6": 99})

    def more() -> None:
        read["127.0.0.1:5"] = 7
        bell.ring()

    threading.Timer(0.02, more).start()
    market.wait(bell)
    assert read["127.0.0.1:5"] == 7


def test_in_lock_step_frames_that_never_come_are_an_error(exchange: FakeExchange) -> None:
    market = ExchangeClock(exchange.root, timeout=0.05)
    market.frames_read = lambda: {"127.0.0.1:5": 3}
    exchange.says(OPEN, sent={"127.0.0.1:5": 7})
    with pytest.raises(TimeoutError, match="lock step: the exchange sent"):
        market.wait(Bell())


def test_a_running_exchanges_time_goes_on_between_two_answers(exchange: FakeExchange) -> None:
    begun = time.monotonic()
    exchange.runs(600.0)
    market = ExchangeClock(exchange.root)
    told = market.now()
    market.wait(Bell(), told + timedelta(seconds=30))  # 50 ms
    seen = market.now()
    assert timedelta(seconds=29) <= seen - told
    assert seen - OPEN <= timedelta(seconds=(time.monotonic() - begun) * 600)


def test_what_has_rung_does_not_wait_for_the_time_of_day(
    exchange: FakeExchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who hears a tick takes it; the exchange is asked when nothing has come, or when its word is old."""
    passed = 0.0
    monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=lambda: passed))
    exchange.says(OPEN, 1.0)
    market, bell = ExchangeClock(exchange.root), Bell()
    asked = []
    for passed in (0.1, 0.3, 0.9, 1.1):
        bell.ring()
        assert market.wait(bell, OPEN + timedelta(hours=1)) is True
        asked.append(len(exchange.asked))
    assert asked == [1, 1, 1, 2]
    passed = 1.4
    assert market.wait(bell, market.now()) is False  # nothing came: before the wait, and after it
    assert len(exchange.asked) == 4


def test_a_slow_answer_does_not_turn_time_back(exchange: FakeExchange) -> None:
    exchange.runs(600.0)
    market = ExchangeClock(exchange.root)
    seen = market.now()
    for exchange.late in (300, 0, 120, 450, 0):  # as if it had been up to 0.75 s under way
        market.settle(Bell())
        assert market.now() >= seen
        seen = market.now()


def test_another_market_or_another_speed_is_taken_as_it_is(exchange: FakeExchange) -> None:
    exchange.says(OPEN, 600.0)
    market = ExchangeClock(exchange.root)
    exchange.says(OPEN - timedelta(days=30), 600.0)
    market.settle(Bell())
    assert market.now() < OPEN - timedelta(days=29)
    exchange.says(OPEN - timedelta(days=30, seconds=5), 0.0)
    market.settle(Bell())
    assert market.now() == OPEN - timedelta(days=30, seconds=5)


def test_heard_stays_behind_until_the_frames_are_read(exchange: FakeExchange) -> None:
    exchange.says(OPEN, 600.0)
    market, read = ExchangeClock(exchange.root), {"127.0.0.1:5": 3}
    market.frames_read = lambda: dict(read)
    later = OPEN + timedelta(minutes=10)
    exchange.says(later, 600.0, sent={"127.0.0.1:5": 4})
    market.settle(Bell())
    assert market.now() >= later
    assert market.heard() == OPEN
    read["127.0.0.1:5"] = 4
    assert market.heard() == later


def test_what_was_heard_is_never_ahead_of_what_the_exchange_said(exchange: FakeExchange) -> None:
    """We go on by our own reckoning; bars are closed, and history is asked for, by the exchange's word only."""
    exchange.says(OPEN, 36_000.0)
    market = ExchangeClock(exchange.root)
    said = OPEN + timedelta(milliseconds=1)  # an exchange that is behind: a moment here is minutes there
    exchange.says(said, 36_000.0)
    assert market.settle(Bell()) == said
    assert market.now() > said
    assert market.heard() == said


def test_a_socket_that_the_exchange_has_cut_is_not_heard_until_we_notice(exchange: FakeExchange) -> None:
    exchange.says(OPEN, 600.0, sent={"127.0.0.1:5": 3})
    market, read = ExchangeClock(exchange.root), {"127.0.0.1:5": 3}
    market.frames_read = lambda: dict(read)
    market.settle(Bell())
    later = OPEN + timedelta(minutes=10)
    exchange.says(later, 600.0, sent={"127.0.0.1:9": 7})
    market.settle(Bell())
    assert market.heard() == OPEN
    read.clear()
    assert market.heard() == later


def test_behind_a_proxy_nobody_can_tell_and_now_is_heard(exchange: FakeExchange) -> None:
    exchange.says(OPEN, 600.0, sent={"127.0.0.1:77": 3})
    market = ExchangeClock(exchange.root)
    market.frames_read = lambda: {"127.0.0.1:5": 0}
    exchange.says(OPEN + timedelta(minutes=1), 600.0, sent={"127.0.0.1:77": 9})
    market.settle(Bell())
    assert market.heard() == OPEN + timedelta(minutes=1)


def test_done_means_that_we_have_read_all_of_it(exchange: FakeExchange) -> None:
    exchange.says(OPEN, 600.0)
    market, read = ExchangeClock(exchange.root), {"127.0.0.1:5": 3}
    market.frames_read = lambda: dict(read)
    assert not market.done
    exchange.says(OPEN, 600.0, done=True, sent={"127.0.0.1:5": 4})
    market.settle(Bell())
    assert not market.done
    read.clear()  # the socket is gone: nothing more can come
    assert market.done


def test_a_connection_that_was_closed_while_idle_is_opened_again_once(exchange: FakeExchange) -> None:
    market = ExchangeClock(exchange.root)
    exchange.cut = 1
    exchange.says(OPEN + timedelta(minutes=1))
    market.wait(Bell())
    assert market.now() == OPEN + timedelta(minutes=1)


def test_lock_step_needs_its_exchange_but_a_running_clock_goes_on_without(exchange: FakeExchange) -> None:
    stands = ExchangeClock(exchange.root)
    exchange.says(OPEN, 600.0)
    runs = ExchangeClock(exchange.root)
    exchange.cut = 99
    with pytest.raises(OSError):
        stands.wait(Bell())
    seen = runs.now()
    runs.wait(Bell(), seen + timedelta(seconds=12))
    assert runs.now() > seen


def test_what_the_exchange_refuses_is_said(exchange: FakeExchange) -> None:
    market = ExchangeClock(exchange.root)
    exchange.status = 400
    with pytest.raises(RuntimeError, match="clock refused"):
        market.wait(Bell())
    market.close()
    market.close()


def test_on_a_real_exchange_lock_step_stops_at_each_bar(kite_exchange, bars) -> None:
    kite_exchange.reset(bars("uptrend", count=3))
    market, bell = ExchangeClock(kite_exchange.url), Bell()
    seen = []
    while not market.done:
        market.wait(bell)
        seen.append(market.now())
    first = kite_exchange.candles["NSE:TEST"].first
    assert [first + timedelta(minutes=n) for n in (1, 2, 3)] == [
        moment for moment in dict.fromkeys(seen) if moment > first
    ][:3]
    market.close()
