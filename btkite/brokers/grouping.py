"""Which group an order belongs to: backtrader's ``parent=`` and ``oco=`` over the pure groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import backtrader as bt

from ..orders.groups import (
    Action,
    End,
    Ended,
    Event,
    Filled,
    Flatten,
    Group,
    Member,
    Role,
    asked,
    bracket,
    learn,
    oco,
    wanted,
)

_ROLES = {bt.Order.Limit: Role.TARGET}


class Groups:
    """The groups of one broker, by the refs of their members."""

    def __init__(self) -> None:
        self._groups: dict[int, Group] = {}
        self._of: dict[int, list[int]] = {}
        self._leader: dict[int, int] = {}

    def __contains__(self, ref: int) -> bool:
        """Whether an order is a member of a group that is still remembered."""
        return ref in self._of

    def add_bracket(self, parent: tuple[int, int], children: Iterable[tuple[int, int, int]]) -> None:
        """``parent`` is (ref, size), each child (ref, exectype, size)."""
        members = [(ref, _ROLES.get(exectype, Role.STOP), size) for ref, exectype, size in children]
        known = self._groups.get(parent[0])
        if known is not None and known.parent is not None:  # a child given later
            known = replace(known, members=(*known.members, *(Member(*member) for member in members)))
        else:
            known = bracket(parent, *members)
        self._groups[parent[0]] = known
        for ref in (parent[0], *(member[0] for member in members)):
            groups = self._of.setdefault(ref, [])
            if parent[0] not in groups:
                groups.append(parent[0])

    def add_oco(
        self, ref: int, size: int, other: int, other_size: int, *, other_alive: bool, alone: bool = True
    ) -> None:
        """``ref`` joins the OCO group of ``other``; of a group that is over it joins nothing. ``alone``: it is no
        bracket's child."""
        leader = self._leader.get(other, other)
        key = -leader  # an order may lead an OCO group and be a bracket's parent
        group = self._groups.get(key)
        if group is None:
            group = oco((other, other_size)) if other_alive else Group(())
            self._join(other, key, leader)
        members = group.members if not (group.exited or group.released) else ()
        self._groups[key] = Group((*members, *oco((ref, size)).members), alone=alone and group.alone)
        self._join(ref, key, leader)

    def _join(self, ref: int, key: int, leader: int) -> None:
        self._leader[ref] = leader
        self._of.setdefault(ref, []).append(key)

    def leader(self, ref: int) -> int:
        """The ref that names the OCO group of an order; 0 if it has none."""
        return self._leader.get(ref, 0)

    def mates(self, ref: int) -> list[int]:
        """``ref`` and those with it of which only one is to trade, as far as they live and nobody has asked for their
        end: a bracket's exits, or an OCO group."""
        found = {ref: None}
        for key in self._of.get(ref, ()):
            group = self._groups[key]
            if group.parent is None or group.parent.ref != ref:
                found |= {child.ref: None for child in group.children if child.alive and not child.leaving}
        return list(found)

    def filled(self, ref: int, total: int) -> None:
        """``total`` units of ``ref`` are filled."""
        self._learn(ref, Filled(ref, total))

    def ended(self, ref: int, how: End, total: int) -> None:
        """``ref`` has come to its end."""
        self._learn(ref, Ended(ref, how, total))

    def resized(self, ref: int, size: int) -> None:
        """The strategy changed ``ref`` to ``size`` units in all, and the market was told so, if it works there."""
        for key in self._of.get(ref, ()):
            group = self._groups[key]
            members = tuple(
                replace(member, size=size, told=size if member.active else 0) if member.ref == ref else member
                for member in group.members
            )
            self._groups[key] = replace(group, members=members)

    def closed_by_others(self, ref: int, left: int) -> None:
        """Others have closed so much that the bracket's exit ``ref`` is for ``left`` units (positive) of what its entry
        has filled by now."""
        for key in self._of.get(ref, ()):
            group = self._groups[key]
            if group.parent is not None and group.parent.ref != ref:
                self._groups[key] = replace(group, elsewhere=max(group.elsewhere, group.held - left))

    def told(self, ref: int, size: int) -> bool:
        """The market has ``ref`` at ``size`` units in all, whatever it was asked for; True if a group wants another."""
        for key in self._of.get(ref, ()):
            group = self._groups[key]
            members = tuple(
                replace(member, told=size) if member.ref == ref and member.active else member
                for member in group.members
            )
            self._groups[key] = replace(group, members=members)
        return any(action.ref == ref for _, action in self.wanted(ref))

    def wanted(self, ref: int) -> list[tuple[int, Action]]:
        """What the groups of ``ref`` want of the market and was not asked for yet: (key of the group, action)."""
        return [(key, action) for key in self._of.get(ref, ()) for action in wanted(self._groups[key])]

    def ask(self, key: int, action: Action) -> bool:
        """It is being done: it counts as asked for. False if, by what has happened meanwhile, nobody wants it."""
        group = self._groups.get(key)
        if group is None or action not in wanted(group):
            return False
        self._groups[key] = asked(group, action)
        return True

    def refs(self) -> list[int]:
        """One member of each group."""
        return [group.members[0].ref for group in self._groups.values() if group.members]

    def owed(self) -> set[int]:
        """Refs of orders for which something is to be traded back."""
        every = (action for group in self._groups.values() for action in wanted(group))
        return {action.ref for action in every if isinstance(action, Flatten)}

    def told_of(self, ref: int) -> int:
        """Units for which a bracket has sent its child ``ref`` to the market; 0 for a child that sleeps."""
        groups = (self._groups[key] for key in self._of.get(ref, ()))
        members = (group.member(ref) for group in groups if group.parent is not None and group.parent.ref != ref)
        return max((member.told for member in members if member is not None and member.active), default=0)

    def is_leaving(self, ref: int) -> bool:
        """Whether a group has asked for its cancellation."""
        members = (self._groups[key].member(ref) for key in self._of.get(ref, ()))
        return any(member is not None and member.alive and member.leaving for member in members)

    def tidy(self) -> None:
        """A new session: no fill of the last one can surface any more, so groups that are done may go."""
        for key in [key for key, group in self._groups.items() if group.done]:
            for member in self._groups.pop(key).members:
                left = [other for other in self._of.pop(member.ref, ()) if other != key]
                if left:
                    self._of[member.ref] = left
                if self._leader.get(member.ref) == -key:
                    del self._leader[member.ref]

    def state(self) -> dict[str, object]:
        """The groups that are not done as JSON, for the journal."""
        kept = {key: group for key, group in self._groups.items() if not group.done}
        members = {member.ref for group in kept.values() for member in group.members}
        return {
            "groups": {str(key): group.state() for key, group in kept.items()},
            "leaders": {str(ref): leader for ref, leader in self._leader.items() if ref in members},
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """What :meth:`state` gave, in another process."""
        for text, saved in state["groups"].items():
            members = tuple(Member(**{**member, "role": Role(member["role"])}) for member in saved["members"])
            self._groups[int(text)] = Group(**{**saved, "members": members})
            for member in members:
                self._of.setdefault(member.ref, []).append(int(text))
        self._leader.update({int(ref): leader for ref, leader in state["leaders"].items()})

    def _learn(self, ref: int, event: Event) -> None:
        for key in self._of.get(ref, ()):
            self._groups[key] = learn(self._groups[key], event)
