"""Brackets, OCO groups and trailing stops as pure functions from what is known to what is to be done.

A :class:`Group` holds facts that only grow: what each member has filled, and who has ended. :func:`wanted`
looks at the facts alone and says what the market must be told, so that a restart computes the same again,
and events may come in any order, twice, or late. What is being done is :func:`asked` for, one action after the
other; :func:`settle` does both at once, and :func:`react` is one event followed by it.

The rules, for a bracket:

* Children work from the parent's first fill, each for what the parent has filled and no child has taken out.
* What one child fills, its siblings are reduced by; when nothing is left for them they are cancelled.
* The first exit ends the entry: what the parent has not filled is cancelled.
* A parent that ends with nothing filled takes its children with it; after a partial fill they stay.
* A child that is cancelled or expires dissolves the group, as in backtrader: siblings and an unfilled
  parent are cancelled. A child that Kite *rejects* leaves its sibling at work, which may be all that
  protects the position.
* What others have closed of what the parent has filled, no child works for; what the parent fills then, they do.
* What a late fill leaves without an exit, or an exit too many has reversed, is closed at market.

For OCO: any execution of one member, even a partial one, or its cancellation, cancels the others, as
backtrader does. What another fills all the same, in the race with its cancellation, is closed at market.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from ..values import Side


class Role(StrEnum):
    """What a member is for."""

    PARENT = "parent"
    STOP = "stop"
    TARGET = "target"
    OCO = "oco"


class End(StrEnum):
    """How an order came to its end, in backtrader's words."""

    COMPLETED = "completed"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    MARGIN = "margin"


@dataclass(frozen=True, slots=True)
class Member:
    """One order of a group.

    ``size`` is what the strategy asked for, positive. ``told`` is the whole size that the market knows
    of, its filled part included: 0 while a child is dormant. ``leaving``: we have asked for its cancellation.
    ``closed``: units of an OCO group's member that :class:`Flatten` was asked for.
    """

    ref: int
    role: Role
    size: int
    filled: int = 0
    alive: bool = True
    active: bool = False
    told: int = 0
    leaving: bool = False
    closed: int = 0

    def state(self) -> dict[str, Any]:
        """For JSON."""
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def open(self) -> int:
        """Units of it that rest on the book."""
        return max(0, self.told - self.filled) if self.alive and self.active else 0


@dataclass(frozen=True, slots=True)
class Group:
    """A bracket (exactly one PARENT) or an OCO group (all OCO).

    ``released``: the strategy took it apart; what is held is its own affair. ``flattened``: units that
    :class:`Flatten` was asked for, signed as there. ``first``: of an OCO group, who traded first; 0 for nobody.
    ``alone``: an OCO group whose members are no bracket's children, where the bracket sees to the position.
    ``elsewhere``: units that a bracket's entry has filled and others have closed: no exit is to be for them.
    """

    members: tuple[Member, ...]
    released: bool = False
    flattened: int = 0
    first: int = 0
    alone: bool = True
    elsewhere: int = 0

    def state(self) -> dict[str, Any]:
        """For JSON. (``asdict`` copies each field deeply, at twenty times the price, and a book has hundreds.)"""
        own = {name: getattr(self, name) for name in self.__slots__}
        return {**own, "members": [member.state() for member in self.members]}

    @property
    def parent(self) -> Member | None:
        return next((member for member in self.members if member.role is Role.PARENT), None)

    @property
    def children(self) -> tuple[Member, ...]:
        return tuple(member for member in self.members if member.role is not Role.PARENT)

    def member(self, ref: int) -> Member | None:
        return next((member for member in self.members if member.ref == ref), None)

    @property
    def exited(self) -> int:
        """Units that the children have filled."""
        return sum(child.filled for child in self.children)

    @property
    def held(self) -> int:
        """Units of a bracket's entry that are still in the position; negative if it was reversed."""
        parent = self.parent
        return 0 if parent is None else parent.filled - self.exited - self.flattened

    @property
    def left(self) -> int:
        """Units that its exits are still for."""
        return self.held - self.elsewhere

    @property
    def raced(self) -> bool:
        """True if two orders have traded of which only one should have: a person must look."""
        if self.parent is not None:
            return self.flattened < 0 or self.held < 0
        return sum(member.filled > 0 for member in self.members) > 1

    @property
    def done(self) -> bool:
        """No member works any more and nothing is held: only a fill that surfaces late can change that."""
        return self.held >= 0 >= self.left and not any(member.alive for member in self.members)


@dataclass(frozen=True, slots=True)
class Filled:
    """``ref`` has filled ``filled`` units in all."""

    ref: int
    filled: int


@dataclass(frozen=True, slots=True)
class Ended:
    """``ref`` works no more; ``filled`` units of it were filled in all."""

    ref: int
    how: End
    filled: int = 0


Event = Filled | Ended


@dataclass(frozen=True, slots=True)
class Activate:
    """Send this child to the market, for ``size`` units."""

    ref: int
    size: int


@dataclass(frozen=True, slots=True)
class Resize:
    """Change a child that works to ``size`` units in all, its filled part included."""

    ref: int
    size: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """End this member; one that was never sent is just dropped."""

    ref: int


@dataclass(frozen=True, slots=True)
class Flatten:
    """No member can set this right: trade ``size`` units at market, and tell a person.

    Positive: units of ``ref`` that are left without any exit, to be closed on the other side. Negative: units
    that were exited once too often, to be bought back on its own side. ``ref`` is the entry's, of an OCO group
    the one's that has traded although another had.
    """

    ref: int
    size: int


Action = Activate | Resize | Cancel | Flatten


def bracket(parent: tuple[int, int], *children: tuple[int, Role, int], filled: int = 0, alive: bool = True) -> Group:
    """A bracket from ``(ref, size)`` of its entry and ``(ref, role, size)`` of each exit; only the entry works.

    ``filled`` and ``alive`` say how far the entry has come, if the exits are given only later.
    """
    ref, size = parent
    entry = Member(ref, Role.PARENT, size, filled, alive and filled < size, active=True, told=size)
    return Group((entry, *(Member(child, role, units) for child, role, units in children)))


def oco(*members: tuple[int, int]) -> Group:
    """An OCO group from ``(ref, size)`` of each; all work."""
    return Group(tuple(Member(ref, Role.OCO, size, active=True, told=size) for ref, size in members))


def react(group: Group, event: Event) -> tuple[Group, tuple[Action, ...]]:
    """The group after one event, and what is to be done; the group takes the actions as told.

    An event of an order that is no member changes nothing.
    """
    return settle(learn(group, event))


def learn(group: Group, event: Event) -> Group:
    """The facts with those of ``event``: fills never shrink, the dead stay dead."""
    member = group.member(event.ref)
    if member is None:
        return group
    filled = max(member.filled, event.filled)
    ended = isinstance(event, Ended)
    whole = member.told > 0 and filled >= member.told
    changed = replace(member, filled=filled, alive=member.alive and not ended and not whole)
    released, first = group.released, group.first
    if isinstance(event, Ended) and event.how in (End.CANCELED, End.EXPIRED):
        # Somebody other than this group ended an exit.
        released = released or (member.alive and not member.leaving and member.role is not Role.PARENT)
    if filled and group.parent is None:
        first = first or event.ref
    return replace(_put(group, changed), released=released, first=first)


def settle(group: Group) -> tuple[Group, tuple[Action, ...]]:
    """What the facts ask for that was not asked for yet; the group takes it as asked for."""
    actions = wanted(group)
    for action in actions:
        group = asked(group, action)
    return group, actions


def wanted(group: Group) -> tuple[Action, ...]:
    """What the facts ask for that was not asked for yet, in the order in which it is to be done."""
    return tuple(_bracket(group) if group.parent is not None else _oco(group))


def _oco(group: Group) -> Iterable[Action]:
    """Once one has executed or was taken back, the others go; a rejected one leaves them."""
    if not (group.exited or group.released):
        return []
    others = [member for member in group.members if member.ref != group.first]
    actions: list[Action] = [Cancel(member.ref) for member in others if member.alive and not member.leaving]
    for member in others if group.alone else ():
        if member.filled > member.closed:
            actions.append(Flatten(member.ref, member.filled - member.closed))
    return actions


def _bracket(group: Group) -> Iterable[Action]:
    parent = group.parent
    assert parent is not None
    left, exited = group.left, group.exited
    children = [child for child in group.children if child.alive and not child.leaving]
    over = group.released or (left <= 0 and (exited > 0 or not parent.alive))
    actions: list[Action] = []
    # Reduce and cancel before anything is added: no moment with more exits than units.
    if over:
        actions += [Cancel(child.ref) for child in children]
        children = []
    sizes = {child.ref: child.filled + min(child.size - child.filled, left) for child in children}
    actions += [
        Resize(child.ref, sizes[child.ref]) for child in children if child.active and sizes[child.ref] < child.told
    ]
    if parent.alive and not parent.leaving and (exited > 0 or group.released):
        actions.append(Cancel(parent.ref))
    for child in children:
        if child.active and sizes[child.ref] > child.told:
            actions.append(Resize(child.ref, sizes[child.ref]))
        elif not child.active and left > 0:
            actions.append(Activate(child.ref, sizes[child.ref]))
    if group.held < 0:
        actions.append(Flatten(parent.ref, group.held))
    elif left > 0 and not children and not group.released and _abandoned(group):
        actions.append(Flatten(parent.ref, left))
    return actions


def _abandoned(group: Group) -> bool:
    """True if the group itself, by an exit or by its cancels, left its units without a child.

    Not if Kite rejected every child: the strategy was told so and holds what it holds.
    """
    return group.exited > 0 or any(child.leaving for child in group.children)


def asked(group: Group, action: Action) -> Group:
    """The group when the market is being told so."""
    if isinstance(action, Flatten) and group.parent is not None:
        return replace(group, flattened=group.flattened + action.size)
    member = group.member(action.ref)
    assert member is not None
    if isinstance(action, Flatten):
        return _put(group, replace(member, closed=member.closed + action.size))
    if isinstance(action, Cancel):
        # A child that was never sent is gone at once; what works is gone when the market says so.
        return _put(group, replace(member, leaving=True, alive=member.active))
    return _put(group, replace(member, active=True, told=action.size))


def _put(group: Group, changed: Member) -> Group:
    members = tuple(changed if member.ref == changed.ref else member for member in group.members)
    return replace(group, members=members)


def trail(
    trigger: float | None, side: Side, close: float, *, amount: float | None = None, percent: float | None = None
) -> float:
    """The trigger of a trailing stop after a bar that closed at ``close`` ₹: backtrader's ``trailadjust``.

    ``amount`` in ₹, else ``percent`` as a fraction of the close (0.02 = 2 %). It moves only towards the
    market: a sell's upwards, a buy's downwards. ``trigger`` is None when it is set for the first time, with
    the price at which the order was given. A StopTrailLimit's limit keeps its distance to the trigger.
    """
    distance = amount if amount else close * percent if percent else 0.0
    if side is Side.BUY:
        return min(math.inf if trigger is None else trigger, close + distance)
    return max(-math.inf if trigger is None else trigger, close - distance)
