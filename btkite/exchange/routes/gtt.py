"""GTT: triggers that outlive the day (``exchange/gtt.py``)."""

from __future__ import annotations

from typing import Any

from .call import Call, Route


def every(call: Call) -> Any:
    return call.venue.gtt.rows()


def one(call: Call) -> Any:
    return call.venue.gtt.get(call.path["trigger_id"])


def create(call: Call) -> Any:
    return call.venue.gtt.create(call.form)


def modify(call: Call) -> Any:
    return call.venue.gtt.modify(call.path["trigger_id"], call.form)


def delete(call: Call) -> Any:
    return call.venue.gtt.delete(call.path["trigger_id"])


TABLE = (
    Route("GET", "/gtt/triggers", every, sandbox=False),
    Route("POST", "/gtt/triggers", create, trigger=True, sandbox=False),
    Route("GET", "/gtt/triggers/{trigger_id}", one, sandbox=False),
    Route("PUT", "/gtt/triggers/{trigger_id}", modify, trigger=True, sandbox=False),
    Route("DELETE", "/gtt/triggers/{trigger_id}", delete, trigger=True, sandbox=False),
)
