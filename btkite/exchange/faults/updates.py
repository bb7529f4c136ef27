"""What may become of an order update: kinds whose ``where`` is ``update``.

``act`` gets one delivery and says which come of it; what it keeps back it hands to the plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ..clock import SECOND
from .kinds import Arg, Args, Kind

if TYPE_CHECKING:
    from .plan import Plan


class Delivery(NamedTuple):
    """One update on its way, and the channels that it takes: the stream, and the app's postback address."""

    row: Mapping[str, Any]
    stream: bool = True
    postback: str | None = None


def _lost(plan: Plan, args: Args, one: Delivery) -> list[Delivery]:
    channel = args["channel"]
    return [one._replace(stream=one.stream and channel == "postback", postback=_only(one, channel == "stream"))]


def _only(one: Delivery, kept: bool) -> str | None:
    return one.postback if kept else None


def _duplicated(plan: Plan, args: Args, one: Delivery) -> list[Delivery]:
    return [one] + [one._replace(postback=None)] * args["copies"]


def _twice(plan: Plan, args: Args, one: Delivery) -> list[Delivery]:
    return [one, one]


def _delayed(plan: Plan, args: Args, one: Delivery) -> list[Delivery]:
    plan.later(round(args["seconds"] * SECOND), [one])
    return []


def _reordered(plan: Plan, args: Args, one: Delivery) -> list[Delivery]:
    plan.hold_back(one, round(args["seconds"] * SECOND))
    return []


def _partial_after(plan: Plan, args: Args, one: Delivery) -> list[Delivery]:
    row = one.row
    quantity = int(row["quantity"])
    filled = max(1, int(quantity * args["share"]))
    if row["status"] != "COMPLETE" or filled >= quantity:
        return [one]
    left = {"pending_quantity": quantity - filled, "unfilled_quantity": quantity - filled}
    partial = {**row, "status": "UPDATE", "filled_quantity": filled, **left}
    return [one, one._replace(row=partial)]


KINDS = (
    Kind("order_update_lost", "update", "An order update is never sent.", act=_lost,
         args={"channel": Arg("both", "stream, postback or both")}),
    Kind("order_update_duplicated", "update", "The stream sends an order update more than once.", act=_duplicated,
         args={"copies": Arg(1, "how many more")}),
    Kind("order_update_twice", "update", "An order update comes twice by the stream and twice as a postback.",
         act=_twice),
    Kind("order_update_delayed", "update", "An order update comes late.", act=_delayed,
         args={"seconds": Arg(30.0, "how late, in seconds of the market")}),
    Kind("order_update_reordered", "update", "An order update comes after the one that follows it.", act=_reordered,
         args={"seconds": Arg(30.0, "seconds of the market after which it comes if none follows")}),
    Kind("partial_after_complete", "update", "After COMPLETE, the update of a partial fill comes once more.",
         act=_partial_after, match={"fields": {"status": "COMPLETE"}},
         args={"share": Arg(0.5, "the part of the quantity that it says is filled")}),
)  # fmt: skip
