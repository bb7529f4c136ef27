"""A strategy by its name on a command line: ``path/file.py:Class`` or ``module:Class``, and its parameters.

Whatever is wrong with them is one sentence that names the file, the line, or the nearest spelling: this is
user code, and the user's own mistake must not look like ours.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from types import ModuleType
from typing import Any

import backtrader as bt

from .errors import ConfigError

_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")


def load_strategy(where: str | type[bt.Strategy]) -> type[bt.Strategy]:
    """The strategy class of ``strategies/sma_cross.py:SmaCross`` or ``package.module:SmaCross``.

    Without ``:Class`` the module must hold exactly one strategy. A class is given back as it is.

    :raises ConfigError: if there is no such file, module or class, if it cannot be imported, or if it is no
        ``backtrader.Strategy``.
    """
    if isinstance(where, type):
        return _checked(where, where.__name__)
    source, name = _split(where)
    module = _from_file(Path(source)) if source.endswith(".py") else _from_module(source)
    if not name:
        return _only_one(module, source)
    found = getattr(module, name, None)
    if found is None:
        known = [cls.__name__ for cls in _strategies(module)]
        raise ConfigError(f"{source} has no class {name!r}{_meant(name, known) or _list('it has', known)}")
    return _checked(found, where)


def check_params(strategy: type[bt.Strategy], given: Iterable[str]) -> None:
    """:raises ConfigError: for a name that is no parameter of ``strategy``, with the nearest one."""
    known = list(defaults_of(strategy))
    for name in given:
        if name not in known:
            hint = _meant(name, known) or _list("it has", known)
            raise ConfigError(f"{strategy.__name__} has no parameter {name!r}{hint}")


def parse_params(strategy: type[bt.Strategy], given: Sequence[str]) -> dict[str, Any]:
    """``["fast=10", "exit=15:10"]`` as values of the kind of each parameter's default.

    A default of None says nothing about the kind: then a number, ``true``, ``false``, ``none``, or text.

    :raises ConfigError: for what is not ``name=value``, an unknown name, or a value of the wrong kind.
    """
    found: dict[str, Any] = {}
    defaults = defaults_of(strategy)
    for text in given:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals or not name:
            raise ConfigError(f"{text!r} is no parameter: write name=value, such as -p fast=10")
        check_params(strategy, [name])
        if name in found:
            raise ConfigError(f"the parameter {name} is given twice: once is enough")
        try:
            found[name] = _as_kind(value.strip(), defaults[name])
        except ValueError:
            kind = _KINDS.get(type(defaults[name]), type(defaults[name]).__name__)
            raise ConfigError(
                f"{strategy.__name__}'s parameter {name} is {kind} (default {defaults[name]!r}), not {value.strip()!r}"
            ) from None
    return found


_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    time: "a time of day",
    date: "a date",
    datetime: "a date and time",
}


def _as_kind(text: str, default: Any) -> Any:
    if default is None or text.lower() == "none":
        return _free(text)
    if isinstance(default, bool):
        if text.lower() in (*_TRUE, "1"):
            return True
        if text.lower() in (*_FALSE, "0"):
            return False
        raise ValueError(text)
    if isinstance(default, int):
        number = float(text.replace("_", ""))  # 1e5 is a whole number, too
        if number != int(number):
            raise ValueError(text)
        return int(number)
    if isinstance(default, float):
        return float(text.replace("_", ""))
    for kind in (datetime, date, time):
        if isinstance(default, kind):
            return kind.fromisoformat(text)
    return text if isinstance(default, str) else _free(text)


def _free(text: str) -> Any:
    """A value of which nobody said what it is."""
    lower = text.lower()
    if lower in ("none", "true", "false"):
        return {"none": None, "true": True, "false": False}[lower]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def defaults_of(strategy: type[bt.Strategy]) -> Mapping[str, Any]:
    """The strategy's parameters and what they are if nobody says otherwise."""
    return dict(strategy.params._getpairs())


# ---- modules ----------------------------------------------------------------------------------


def _split(where: str) -> tuple[str, str]:
    source, colon, name = where.rpartition(":")
    if not colon or (len(source) == 1 and name.startswith(("\\", "/"))):  # a drive letter's colon
        source, name = where, ""
    if not source:
        raise ConfigError(f"{where!r} names no strategy: write path/file.py:Class or module:Class")
    return source, name


def _from_file(path: Path) -> ModuleType:
    path = path.expanduser()
    if not path.is_file():
        folder = path.parent if path.parent.is_dir() else None
        known = [file.name for file in folder.glob("*.py")] if folder is not None else []
        near = difflib.get_close_matches(path.name, known, n=1)
        hint = f"; did you mean {path.parent / near[0]}?" if near else ""
        raise ConfigError(f"there is no strategy file {path}{hint}")
    path = path.resolve()
    # Under a name of its own: strategies/random.py must not become the standard library's.
    name = f"btkite_strategy_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look their module up
    _importable(path.parent)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise ConfigError(_failed(str(path), error, path)) from error
    return module


def _from_module(name: str) -> ModuleType:
    _importable(Path.cwd())
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name in (name, *_parents(name)):
            raise ConfigError(
                f"there is no module {name!r}: write path/file.py:Class, or run where it can be imported"
            ) from None
        raise ConfigError(_failed(name, error, None)) from error


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _importable(folder: Path) -> None:
    """What lies beside the strategy can be imported by it, as when Python runs the file."""
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


def _failed(what: str, error: BaseException, path: Path | None) -> str:
    line = None
    if isinstance(error, SyntaxError):
        line = error.lineno if path is None or error.filename == str(path) else None
    else:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if path and frame.filename == str(path)]
        line = frames[-1].lineno if frames else None
    place = f" (line {line})" if line else ""
    said = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{what} cannot be imported{place}: {type(error).__name__}: {said or 'no message'}"


def _strategies(module: ModuleType) -> list[type[bt.Strategy]]:
    """Those that the module defines itself, in its order."""
    return [
        found
        for found in vars(module).values()
        if isinstance(found, type) and issubclass(found, bt.Strategy) and found.__module__ == module.__name__
    ]


def _only_one(module: ModuleType, source: str) -> type[bt.Strategy]:
    found = _strategies(module)
    if len(found) == 1:
        return found[0]
    names = [cls.__name__ for cls in found]
    held = f"has the strategies {', '.join(names)}" if names else "has no strategy"
    raise ConfigError(f"{source} {held}: name one, as {source}:{names[0] if names else 'Class'}")


def _checked(found: Any, where: str) -> type[bt.Strategy]:
    if isinstance(found, type) and issubclass(found, bt.Strategy):
        return found
    raise ConfigError(f"{where} is no strategy: a strategy is a class made from backtrader.Strategy")


def _meant(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _list(words: str, names: Sequence[str]) -> str:
    return f"; {words} {', '.join(names)}" if names else ""
