"""``btkite.run``: one strategy on history, on paper or live; and the checks that come before it.

:func:`prepare` says no to whatever is wrong, in one sentence, before anything has been started or asked of
anybody; :meth:`Run.go` then runs. What differs between modes is read from :mod:`btkite.modes`.

``asking`` what is wanted → ``prices`` for it → the ``plan`` → ``going``; below them the ``checks``, the
``banner``, the ``markets``, what is kept while it runs (``keeping``), what is said (``words``) and on which bars it
was made (``delivered``).
"""

from __future__ import annotations

from .asking import prepare, run
from .keeping import account_record
from .markets import account_of, config_on, reached
from .plan import Run
from .prices import MADE_UP

__all__ = ["MADE_UP", "Run", "account_of", "account_record", "config_on", "prepare", "reached", "run"]
