"""What one connection says; how it lives is seen through the whole stream, in test_stream.py."""

from __future__ import annotations

import json

from btkite.kite.websocket import difference


def test_the_messages_are_the_difference_and_come_in_portions() -> None:
    said = {1: "quote", 2: "full", 3: "ltp"}
    wanted = {2: "quote", 3: "ltp", 4: "quote", 5: "full"}
    messages = [json.loads(message) for message in difference(said, wanted)]
    assert messages == [
        {"a": "unsubscribe", "v": [1]},
        {"a": "subscribe", "v": [4, 5]},
        {"a": "mode", "v": ["quote", [2]]},
        {"a": "mode", "v": ["full", [5]]},
    ]
    many = [json.loads(message) for message in difference({}, dict.fromkeys(range(2500), "full"))]
    assert [(message["a"], len(message["v"])) for message in many[:3]] == [
        ("subscribe", 1000),
        ("subscribe", 1000),
        ("subscribe", 500),
    ]
    assert difference(wanted, wanted) == []
