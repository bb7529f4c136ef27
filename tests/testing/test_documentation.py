"""docs/testing.md is executed, and complete."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from btkite.testing.canned import SHAPES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")


def test_the_example_of_the_page_passes(tmp_path):
    blocks = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL)
    assert [name for name, _ in blocks] == ["breakout.py", "test_breakout.py", "test_broken.py"]
    for name, code in blocks:
        (tmp_path / name).write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "."]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=100, cwd=tmp_path)
    assert "5 passed" in ran.stdout, ran.stdout + ran.stderr


def test_every_shape_is_on_the_page_in_the_words_of_the_code():
    table = PAGE.partition("<!-- shapes -->")[2].partition("<!-- /shapes -->")[0]
    assert re.findall(r"^\| `(\w+)` \| (.*) \|$", table, re.MULTILINE) == [
        (name, words) for name, (_, words) in SHAPES.items()
    ]
