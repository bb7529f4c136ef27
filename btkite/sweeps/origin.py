"""Where a strategy comes from: what a worker is told to load, and a hash of the source that it stands on.

A class of a notebook or of ``__main__`` loses its parameters when it is pickled, so workers get its name:
``path/file.py:Class`` or ``module:Class``. The hash covers the strategy's file and what that imports of the user's own,
so that a changed strategy, or a changed helper of it, never takes old rows for its own.
"""

from __future__ import annotations

import ast
import hashlib
import sys
import sysconfig
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import backtrader as bt

from ..errors import ConfigError
from ..loading import load_strategy

_LIBRARIES = tuple(
    Path(path).resolve() for path in {sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib")}
)
_OURS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Origin:
    """``reference``: for :func:`btkite.loading.load_strategy`; empty for a class that only this process knows, and
    ``why`` says so. ``digest``: of the source, empty if there is none that could be trusted. ``modules``: the user's
    own that are in it, by name."""

    reference: str
    digest: str
    modules: tuple[str, ...] = ()
    why: str = ""


_loading = threading.local()


def load(where: str | type[bt.Strategy]) -> type[bt.Strategy]:
    """As :func:`btkite.loading.load_strategy`.

    :raises ConfigError: also if the file starts a sweep when it is imported.
    """
    if getattr(_loading, "now", False):
        raise ConfigError('a sweep was about to start a sweep: put the call below `if __name__ == "__main__":`')
    _loading.now = True
    try:
        return load_strategy(where)
    finally:
        _loading.now = False


def origin_of(strategy: type[bt.Strategy], asked: str | type[bt.Strategy]) -> Origin:
    """Of a strategy that has been loaded from ``asked``."""
    file = _file_of(strategy)
    if "<locals>" in strategy.__qualname__ or file is None:
        where = "inside a function" if "<locals>" in strategy.__qualname__ else "in a notebook or a shell"
        return Origin(
            "",
            "",
            why=f"{strategy.__name__} is defined {where}, where no other process finds it: put it into a file and name "
            "path/file.py:Class, or run it in this process (jobs=1)",
        )
    digest, modules = source_digest(file)
    if isinstance(asked, str):
        source, colon, name = asked.rpartition(":")
        source, name = (source, name) if colon and name.isidentifier() else (asked, strategy.__name__)
        if source.endswith(".py"):
            source = str(Path(source).expanduser().resolve())
        return Origin(f"{source}:{name}", digest, modules)
    return Origin(f"{file}:{strategy.__qualname__}", digest, modules)


def _file_of(strategy: type) -> Path | None:
    module = sys.modules.get(strategy.__module__)
    path = getattr(module, "__file__", None)
    return Path(path).resolve() if path and path.endswith(".py") and Path(path).is_file() else None


def source_digest(file: Path) -> tuple[str, tuple[str, ...]]:
    """A hash of a file and of all of the user's own modules that it imports, however deep; and their names.

    :raises ConfigError: if one cannot be read.
    """
    found: dict[Path, str] = {file: ""}
    waiting = [file]
    try:
        while waiting:
            for name, path in _imported(waiting.pop()):
                if path not in found:
                    found[path] = name
                    waiting.append(path)
        total = hashlib.sha256()
        for content in sorted(path.read_bytes() for path in found):
            total.update(hashlib.sha256(content).digest())
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be read: {error.strerror}") from error
    return total.hexdigest(), tuple(sorted(name for name in found.values() if name))


def _imported(file: Path) -> list[tuple[str, Path]]:
    """The user's own modules that a file names in its imports, wherever they stand."""
    try:
        tree = ast.parse(file.read_bytes())
    except SyntaxError:
        return []
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            names.add(base)
            names.update(f"{base}{'' if base.endswith('.') else '.'}{alias.name}" for alias in node.names)
    rows = []
    for name in sorted(names):
        path = _found(name, file)
        if path is not None and path != _OURS and _OURS not in path.parents:
            rows.append((name, path))
    return rows


def _found(name: str, file: Path) -> Path | None:
    """The file of a module, if it is the user's own."""
    bare = name.lstrip(".")
    level = len(name) - len(bare)
    folders = (
        [file.parents[level - 1]] if level else [file.parent, *map(Path, dict.fromkeys(p or "." for p in sys.path))]
    )
    for folder in folders:
        place = folder.joinpath(*bare.split(".")) if bare else folder
        for path in (place.with_suffix(".py") if bare else place / "__init__.py", place / "__init__.py"):
            if path.is_file():
                path = path.resolve()
                return None if any(library in path.parents for library in _LIBRARIES) else path
    return None


@lru_cache(maxsize=1)
def program() -> str:
    """A hash of what runs strategies: btkite's own source and tables, and the versions of what it stands on."""
    import platform

    import numpy

    total = hashlib.sha256(f"{platform.python_version()} {numpy.__version__} {bt.__version__}\n".encode())
    for path in sorted(_OURS.rglob("*")):
        if path.suffix in (".py", ".csv") and not {"cli", "exchange", "sweeps", "checks"} & set(path.parts[-3:]):
            total.update(path.relative_to(_OURS).as_posix().encode())
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def forget(modules: tuple[str, ...]) -> None:
    """A process that lives on (a cluster's worker) imports changed modules anew."""
    for name in modules:
        found: Any = sys.modules.get(name)
        if isinstance(found, ModuleType):
            del sys.modules[name]
