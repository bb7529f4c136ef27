"""Refusals of Kite's that more than one place here gives, in its own words."""

from __future__ import annotations

from .errors import Refusal

TIMED_OUT = "Order request timed out. Please check the order book and confirm before placing again."
NO_IPS = "No IPs configured for this app. Add allowed IPs on the Kite developer console."


def wrong_token() -> Refusal:
    """The refusal that every client must know."""
    return Refusal(403, "TokenException", "Incorrect `api_key` or `access_token`.")


def no_permission() -> Refusal:
    """A call that the app's plan does not have."""
    return Refusal(403, "PermissionException", "Insufficient permission for that call.")


def wrong_address(address: str, error_type: str) -> Refusal:
    """An order call from an address that is not on the list."""
    console = "Update allowed IPs on the Kite developer console."
    return Refusal(403, error_type, f"IP ({address}) is not allowed to place orders for this app. {console}")


def too_many_calls() -> Refusal:
    """A call, or a socket, that is over the limit."""
    return Refusal(429, "NetworkException", "Too many requests")


def too_many_changes() -> Refusal:
    """The modification cap."""
    return Refusal(400, "NetworkException", "Maximum allowed order modifications exceeded.")


def not_authorised(quantity: int | str) -> Refusal:
    """A sale of holdings before the depository has the day's word for it."""
    return Refusal(428, "InputException", f"{quantity} quantity needs authorisation at depository.")


def unknown_order() -> Refusal:
    """An order id that is not in the book."""
    return Refusal(400, "InputException", "Couldn't find that `order_id`.")
