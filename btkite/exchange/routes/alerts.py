"""Alerts and alert-triggered orders: stored and counted (``exchange/alerts.py``)."""

from __future__ import annotations

from typing import Any

from ..refusals import no_permission
from .call import Call, Route


def _allowed(call: Call) -> None:
    if not call.venue.settings.alerts_allowed:
        raise no_permission()


def create(call: Call) -> Any:
    _allowed(call)
    return call.venue.alerts.create(call.form, call.venue.now)


def every(call: Call) -> Any:
    _allowed(call)
    return call.venue.alerts.rows(call.query.get("status", ""), call.whole("page", 1), call.whole("page_size", 0))


def one(call: Call) -> Any:
    _allowed(call)
    return call.venue.alerts.get(call.path["uuid"]).full()


def replace(call: Call) -> Any:
    _allowed(call)
    return call.venue.alerts.replace(call.path["uuid"], call.form, call.venue.now)


def delete(call: Call) -> Any:
    _allowed(call)
    call.venue.alerts.delete(call.several("uuid"), call.venue.now)
    return None


def history(call: Call) -> Any:
    _allowed(call)
    return call.venue.alerts.get(call.path["uuid"]).history


TABLE = (
    Route("POST", "/alerts", create),
    Route("GET", "/alerts", every),
    Route("DELETE", "/alerts", delete),
    Route("GET", "/alerts/{uuid}", one),
    Route("PUT", "/alerts/{uuid}", replace),
    Route("GET", "/alerts/{uuid}/history", history),
)
