"""The table of what Kite says and what it means, for an order and for a read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from btkite.errors import (
    BtkiteError,
    KiteError,
    KiteUnavailable,
    NotPermitted,
    OrderRefused,
    OrderUncertain,
    SessionExpired,
)
from btkite.kite.failures import BAD_ANSWER, NO_ANSWER, NOT_SENT, Failure, translate

PROTECTION = (
    "Market orders without market protection are not allowed via API. "
    "Please set market protection or use a Limit order."
)
TIMED_OUT = "Order request timed out. Please check the order book and confirm before placing again."
IP = "IP (1.2.3.4) is not allowed to place orders for this app. Update allowed IPs on the Kite developer console."

ORDERS = [
    (400, "InputException", PROTECTION, OrderRefused),
    (400, "OrderException", "Tick size for this script is 0.10.", OrderRefused),
    (400, "MarginException", "Insufficient funds. Required margin is 2 but available margin is 1.", OrderRefused),
    (400, "HoldingException", "Insufficient holdings. Available: 10, Requested: 20", OrderRefused),
    (400, "InputException", "Order cannot be cancelled as it is being processed. Try later.", OrderRefused),
    (428, "InputException", "10 quantity needs authorisation at depository.", OrderRefused),
    (429, "NetworkException", "Too many requests", OrderRefused),
    (503, "NetworkException", "Maximum allowed order modifications exceeded.", OrderRefused),
    (
        503,
        "NetworkException",
        "Our order management system is under scheduled maintenance. Try placing your AMO order after 5.30 AM.",
        OrderRefused,
    ),
    (400, "NetworkException", TIMED_OUT, OrderUncertain),
    (400, "GeneralException", "Request failed (kitetrade-oms).", OrderUncertain),
    (504, "NetworkException", "Gateway timed out", OrderUncertain),
    (500, "OrderException", "something", OrderUncertain),
    (502, "DataException", "OMS reply not understood", OrderUncertain),
    (502, "", "HTTP 502 with an answer that is not Kite's", OrderUncertain),
    (400, "", "HTTP 400 with an answer that is not Kite's", OrderUncertain),
    (403, "", "HTTP 403 with an answer that is not Kite's", OrderUncertain),
    (429, "", "HTTP 429 with an answer that is not Kite's", OrderUncertain),
    (200, "", "HTTP 200 with an answer that is not Kite's", OrderUncertain),
    (0, "", "no answer in time", OrderUncertain),
    (403, "TokenException", "Incorrect `api_key` or `access_token`.", SessionExpired),
    (403, "GeneralException", "Incorrect `api_key` or `access_token`.", SessionExpired),
    (403, "PermissionException", "Insufficient permission for that call.", NotPermitted),
    (403, "GeneralException", IP, NotPermitted),
    (400, "InputException", IP, NotPermitted),
    (403, "PermissionException", "No IPs configured for this app. Add allowed IPs on the console.", NotPermitted),
]


@pytest.mark.parametrize(("code", "kind", "message", "meaning"), ORDERS)
def test_what_an_order_call_is_told(code: int, kind: str, message: str, meaning: type[BtkiteError]) -> None:
    raised = translate(Failure(code, kind, message), order=True)
    assert type(raised) is meaning
    assert message in str(raised)  # Kite's words are kept
    if isinstance(raised, KiteError) and kind:
        assert (raised.code, raised.error_type) == (code, kind)


READS = [
    (403, "TokenException", "Incorrect `api_key` or `access_token`.", SessionExpired),
    (403, "PermissionException", "Insufficient permission for that call.", NotPermitted),
    (400, "InputException", "interval exceeds max limit: 60 days", KiteError),
    (404, "GeneralException", "Route not found", KiteError),
    (400, "GeneralException", "Request failed (kitetrade-oms).", KiteUnavailable),
    (429, "NetworkException", "Too many requests", KiteUnavailable),
    (503, "NetworkException", "down", KiteUnavailable),
    (502, "", "HTTP 502 with an answer that is not Kite's", KiteUnavailable),
    (0, "", "no answer in time", KiteUnavailable),
]


@pytest.mark.parametrize(("code", "kind", "message", "meaning"), READS)
def test_what_a_read_is_told(code: int, kind: str, message: str, meaning: type[BtkiteError]) -> None:
    raised = translate(Failure(code, kind, message), order=False)
    assert type(raised) is meaning
    assert message in str(raised)


def test_the_depository_refusal_says_what_to_do() -> None:
    raised = translate(Failure(428, "InputException", "10 quantity needs authorisation at depository."), order=True)
    assert "authorise these holdings" in str(raised)


def test_no_answer_and_not_sent_and_a_strange_answer_are_told_apart() -> None:
    kinds = [
        translate(failure, order=True)
        for failure in (Failure(0, "", "x"), Failure(0, "", "x", sent=False), Failure(200, "", "x"))
    ]
    assert [error.error_type for error in kinds if isinstance(error, OrderUncertain)] == [
        NO_ANSWER,
        NOT_SENT,
        BAD_ANSWER,
    ]


@given(
    st.integers(0, 599),
    st.sampled_from(["", "NetworkException", "InputException", "GeneralException", "OrderException"]),
    st.text(max_size=40),
)
def test_an_order_is_only_called_refused_if_kite_said_so(code: int, kind: str, message: str) -> None:
    raised = translate(Failure(code, kind, message), order=True)
    if isinstance(raised, OrderRefused):
        assert kind
        assert code >= 400
    if code < 400:
        assert isinstance(raised, OrderUncertain)
