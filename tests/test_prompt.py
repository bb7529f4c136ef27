"""What a live run changes in the interpreter is taken back by the last of those that overlap."""

from __future__ import annotations

import gc
import sys

from btkite.prompt import prompt


def test_runs_that_overlap_leave_the_interpreter_as_the_first_has_found_it():
    before = sys.getswitchinterval()
    first, second = prompt(on=True), prompt(on=True)
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert sys.getswitchinterval() < before
    assert gc.get_freeze_count()
    second.__exit__(None, None, None)
    assert sys.getswitchinterval() == before
    assert not gc.get_freeze_count()


def test_a_backtest_changes_nothing():
    before = sys.getswitchinterval()
    with prompt(on=False):
        assert sys.getswitchinterval() == before
        assert not gc.get_freeze_count()
