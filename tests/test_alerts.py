"""Alerts, delivered by apprise to a real HTTP server on loopback."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from datetime import datetime

import pytest
from pydantic import SecretStr

from btkite.alerts import Alerts
from btkite.clock import ManualClock
from btkite.errors import ConfigError
from tests.receiver import Receiver

NOON = datetime(2026, 11, 2, 12, 0)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    one = Receiver()
    yield one
    one.close()


def test_an_alert_arrives_with_title_body_and_grade(receiver: Receiver) -> None:
    alerts = Alerts([SecretStr(receiver.url)])
    assert alerts.send("critical", "gate halted", "lost 5.1 % of the capital")
    assert alerts.close(10)
    (got,) = receiver.got
    assert (got["title"], got["message"], got["type"]) == ("gate halted", "lost 5.1 % of the capital", "failure")
    assert alerts.delivered == 1


def test_an_alert_below_the_level_is_logged_only(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    alerts = Alerts([receiver.url], level="error")
    with caplog.at_level(logging.INFO, logger="btkite.alerts"):
        assert not alerts.send("warning", "feed silent")
    assert alerts.close(10)
    assert receiver.got == []
    assert "feed silent" in caplog.text


def test_an_alert_of_the_same_key_is_held_back_for_the_window_and_counted_after_it(receiver: Receiver) -> None:
    clock = ManualClock(NOON)
    alerts = Alerts([receiver.url], dedupe_seconds=60, clock=clock)
    sent = [alerts.send("warning", "feed silent", f"for {n} s", key="silent") for n in range(3)]
    other = alerts.send("warning", "token expired")
    clock.advance(59.9)
    inside = alerts.send("warning", "feed silent", "for 59 s", key="silent")
    clock.advance(0.1)
    after = alerts.send("warning", "feed silent", "for 60 s", key="silent")
    assert alerts.close(10)
    assert (sent, other, inside, after) == ([True, False, False], True, False, True)
    assert [got["message"].splitlines()[0] for got in receiver.got] == ["for 0 s", "token expired", "for 60 s"]
    assert "3 more" in receiver.got[-1]["message"]


def test_a_full_queue_drops_the_oldest_and_counts_it(receiver: Receiver) -> None:
    receiver.gate.clear()
    alerts = Alerts([receiver.url], queue=2)
    alerts.send("warning", "0")
    assert receiver.asked.wait(10)  # the first has left the queue and waits at the receiver
    for title in "1234":
        assert alerts.send("warning", title)
    receiver.gate.set()
    assert alerts.close(10)
    assert [got["title"] for got in receiver.got] == ["0", "3", "4"]
    assert alerts.dropped == 2


def test_sending_does_not_wait_for_a_receiver_that_hangs(receiver: Receiver) -> None:
    receiver.gate.clear()
    alerts = Alerts([receiver.url], retry_after=())
    alerts.send("warning", "one")
    assert receiver.asked.wait(10)
    alerts.send("warning", "two")  # would block here
    assert not alerts.close(0.05)
    assert receiver.got == []


def test_a_failed_delivery_is_tried_again(receiver: Receiver) -> None:
    receiver.statuses = [500, 503]
    alerts = Alerts([receiver.url], retry_after=(0.0, 0.0))
    alerts.send("error", "order rejected")
    assert alerts.close(10)
    assert [got["title"] for got in receiver.got] == ["order rejected"]
    assert (alerts.delivered, alerts.failed) == (1, 0)


def test_a_receiver_that_refuses_for_good_is_counted_and_does_not_stop_the_next(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.statuses = [500]
    alerts = Alerts([receiver.url], retry_after=())
    with caplog.at_level(logging.WARNING, logger="btkite.alerts"):
        alerts.send("error", "first")
        alerts.send("error", "second")
        assert alerts.close(10)
    assert [got["title"] for got in receiver.got] == ["second"]
    assert (alerts.delivered, alerts.failed) == (1, 1)
    assert "alert not delivered" in caplog.text


def test_a_dead_address_does_not_hold_up_the_living_one(receiver: Receiver) -> None:
    dead = Receiver()
    url = dead.url
    dead.close()
    alerts = Alerts([url, receiver.url], retry_after=())
    alerts.send("warning", "here")
    assert alerts.close(20)
    assert [got["title"] for got in receiver.got] == ["here"]
    assert (alerts.delivered, alerts.failed) == (1, 1)


def test_secrets_are_masked_in_what_is_sent(receiver: Receiver) -> None:
    alerts = Alerts([receiver.url])
    alerts.send("error", "login failed", "GET /?access_token=Zm9vYmFyMTIz&x=1 answered 403")
    assert alerts.close(10)
    assert receiver.got[0]["message"] == "GET /?access_token=***&x=1 answered 403"


def test_an_unknown_address_is_refused_without_being_shown() -> None:
    with pytest.raises(ConfigError) as caught:
        Alerts([SecretStr("json://127.0.0.1/"), SecretStr("nosuch://hunter2token99/")])
    assert "alerts.urls[1]" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_bots_token_inside_an_address_is_masked_wherever_it_turns_up() -> None:
    from btkite.log import redact_text

    alerts = Alerts([SecretStr("tgram://123456789:AbCdEfGhIjKlMnOpQrStUvWxYz012345678/987654321/")])
    assert alerts.close(10)
    shown = redact_text('"POST /bot123456789:AbCdEfGhIjKlMnOpQrStUvWxYz012345678/sendMessage HTTP/1.1"')
    assert "AbCdEf" not in shown


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ConfigError, match="info, warning, error, critical"):
        Alerts(level="loud")


def test_without_addresses_there_is_no_thread_and_nothing_is_on_its_way() -> None:
    before = threading.active_count()
    alerts = Alerts()
    assert threading.active_count() == before
    assert not alerts.send("critical", "gate halted")
    assert alerts.close()


def test_after_closing_nothing_is_taken(receiver: Receiver) -> None:
    alerts = Alerts([receiver.url])
    assert alerts.close(10)
    assert not alerts.send("critical", "too late")
    assert receiver.got == []
