"""No position is without its stop at Kite when nobody sees the price: a process of its own, before a market that runs.

The one exit order at Kite stands for the target when the link breaks, or nothing but heartbeats comes, or the process
is asked to go. The exchange's own book says how long the stop was away, and that it trades without us.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from btkite.clock import to_ist
from tests.faults.process import SYMBOLS, Live, live, until

SPEED = 1.0
"""The market's own prints are twenty seconds apart: a price that is put stands until it is seen."""
WITHIN = timedelta(seconds=60)
"""Market time in which the stop is back: ten seconds, on a machine on which others work, too."""

PROBE = '''
import backtrader as bt

class Probe(bt.Strategy):
    """One bracket at its first bar."""

    given = False

    def next(self):
        if not self.given:
            self.given, last = True, self.data.close[0]
            self.buy_bracket(size=6, exectype=bt.Order.Market, stopprice=last * 0.99, limitprice=last * 1.01)
'''


def sales(running: Live) -> list[dict[str, Any]]:
    return [row for row in running.steer.orders() if row["transaction_type"] == "SELL"]


def the_exit(running: Live) -> dict[str, Any]:
    (row,) = sales(running)
    return row


def is_stop(row: dict[str, Any]) -> bool:
    return row["status"] == "TRIGGER PENDING"


KEPT = "kept here, not at Kite"


def status(running: Live) -> str:
    """What ``btkite status`` says, on one line."""
    running.command("status", "--mode", "live").wait()
    path = running.folder / "out-status.txt"
    text = " ".join(path.read_text().split())
    path.unlink()
    return text


@contextmanager
def standing_for_the_target(folder: Path, **settings: Any) -> Iterator[tuple[Live, float]]:
    """The process, and the price of its target, at which Kite's order stands. Until the end nothing trades but by our
    hand."""
    with live(folder, speed=60, **settings) as running:
        (folder / "probe.py").write_text(PROBE)
        running.start(BTKITE_DATA__SILENCE=600)
        until(lambda: sales(running) and is_stop(the_exit(running)), "the stop stands")
        running.steer.speed(SPEED)
        trigger = float(the_exit(running)["trigger_price"])

        def near() -> bool:
            running.steer.put_price(SYMBOLS[0], round(trigger / 0.99 * 1.0085 * 10) / 10, volume=10)
            return bool(the_exit(running)["order_type"] == "LIMIT")

        until(near, "the target stands")
        yield running, float(the_exit(running)["price"])


def blind(running: Live, how: str, *, quotes: bool) -> datetime:
    if not quotes:
        running.steer.arm("server_error", path="/quote*", times=None)
    if how == "cut":
        running.steer.arm("upgrade_refused", times=None, status=503)
        running.steer.arm("socket_cut")
    else:
        running.steer.arm(how, seconds=3000)
    return running.steer.now()


@pytest.mark.parametrize("how", ["cut", "heartbeat_only", "socket_half_open"])
def test_where_prices_do_not_come_the_stop_is_back_and_trades_without_us(tmp_path: Path, how: str) -> None:
    with standing_for_the_target(tmp_path) as (running, target):
        since = blind(running, how, quotes=False)
        until(lambda: is_stop(the_exit(running)), "the stop is back")
        back = to_ist(datetime.fromisoformat(the_exit(running)["history"][-1]["order_timestamp"]))
        assert back - since <= WITHIN
        sent = len(running.asked("PUT", "/orders"))
        running.passes(5)
        assert len(running.asked("PUT", "/orders")) == sent, "it stays until a price comes"
        running.steer.put_price(SYMBOLS[0], round(target * 0.97, 1), volume=100)
        until(lambda: the_exit(running)["status"] == "COMPLETE", "the stop has traded")
        until(lambda: not any(row["quantity"] for row in running.steer.positions()), "the position is closed")


def test_quotes_take_the_place_of_ticks(tmp_path: Path) -> None:
    """The price falls through the stop, and only Kite's quotes tell of it."""
    with standing_for_the_target(tmp_path) as (running, target):
        blind(running, "heartbeat_only", quotes=True)
        running.steer.put_price(SYMBOLS[0], round(target * 0.95, 1), volume=100)
        sent = len(running.asked("PUT", "/orders"))
        until(lambda: len(running.asked("PUT", "/orders")) > sent, "the exit is changed")
        assert running.asked("PUT", "/orders")[sent]["form"]["order_type"] == "MARKET"
        assert running.asked("GET", "/quote/ltp")


def test_a_stop_that_the_price_has_passed_unseen_goes_at_market(tmp_path: Path) -> None:
    """Kite refuses it, and that is how we hear of the price."""
    with standing_for_the_target(tmp_path, check_trigger_side=True) as (running, target):
        blind(running, "cut", quotes=False)
        running.steer.put_price(SYMBOLS[0], round(target * 0.95, 1), volume=100)
        until(lambda: the_exit(running)["order_type"] == "MARKET", "it goes at market")
        running.steer.put_price(SYMBOLS[0], round(target * 0.95, 1), volume=100)
        until(lambda: the_exit(running)["status"] == "COMPLETE", "it has traded")
        assert len(sales(running)) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_is_asked_to_go_leaves_the_stop(tmp_path: Path, number: signal.Signals) -> None:
    with standing_for_the_target(tmp_path) as (running, target):
        until(lambda: KEPT in status(running), "the status says which exit is not at Kite")
        running.process.send_signal(number)
        assert running.end() == (0 if number == signal.SIGTERM else 128 + number)
        assert is_stop(the_exit(running)), running.words()
        assert KEPT in running.words()
        assert KEPT in status(running)  # of the journal
        running.steer.put_price(SYMBOLS[0], round(target * 0.97, 1), volume=100)
        assert the_exit(running)["status"] == "COMPLETE"
