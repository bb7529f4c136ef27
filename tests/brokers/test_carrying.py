"""A placement that passes from one exit to another takes with it all that is known of it and under way."""

from __future__ import annotations

from typing import Any

from tests.brokers.scene import CALM
from tests.brokers.test_exits import bracket, exits, run


def test_everything_that_is_known_of_a_placement_passes_to_its_new_bearer(live):
    found: list[Any] = []

    def pass_on(s: Any) -> None:
        broker, (stop, target) = s.broker, s.given[1:3]
        tables = (
            broker._changes, broker._changing, broker._differs, broker._lagging, broker._resumed, broker._again,
            broker._tries,
        )  # fmt: skip
        marks = (broker._leaving, broker._unwanted, broker._expiring, broker._replacing, broker._by_strategy)
        was = [dict(table) for table in tables]
        order_id, tag = stop.info.order_id, stop.info.tag
        for number, table in enumerate(tables):
            table.update({stop.ref: 100 + number, target.ref: -1})
        for mark in marks:
            mark.add(stop.ref)
        broker.pass_on(stop, target)
        found.append([(table.get(target.ref), stop.ref in table) for table in tables])
        found.append([(target.ref in mark, stop.ref in mark) for mark in marks])
        found.append((broker._order_ids.get(target.ref), broker._order_ids.get(stop.ref), broker._ids[order_id]))
        found.append((broker._tags[tag], target.info.tag, target.info.order_id, stop.info.get("order_id")))
        found.append((order_id, tag, stop.ref, target.ref))
        for mark in marks:
            mark.discard(target.ref)
        broker.pass_on(target, stop)
        found.append([target.ref in mark or stop.ref in mark for mark in marks])
        for table, before in zip(tables, was, strict=True):
            table.clear()
            table.update(before)

    run(live, [CALM] * 9, {2: bracket(), 6: pass_on})
    tables, marks, ids, tags, (order_id, tag, stop, target), back = found
    assert tables == [(100 + number, False) for number in range(7)]
    assert marks == [(True, False)] * 5
    assert ids == (order_id, None, target)
    assert tags == (target, tag, order_id, None)
    assert back == [False] * 5
    assert stop != target
    assert exits(live) == [("SL-M", "TRIGGER PENDING", 10, 0)]
