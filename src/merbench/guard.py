"""What comes from outside: names that become paths, files that are read whole, and the shapes of what is in them.

Nothing here says what to do about a fault: it raises ValueError or OSError with the reason, and who called names the file and the remedy.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
import re
import stat
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import yaml

LONGEST_NAME = 200
"""Bytes of a name; file systems take 255, and endings are added."""

DEEPEST = 24
"""Levels of a YAML file; a request has four."""


def plain(name: str) -> str:
    """Return a name that is one part of a path and nothing else.

    Raises:
        ValueError: it is empty, too long, leads elsewhere (``..``, ``/``) or has characters that are not seen.
    """
    if not name.strip() or name in (".", "..") or "/" in name or "\\" in name:
        raise ValueError(f"'{name[:60]}' is no name of a file or folder")
    if not name.isprintable() or any(sign in name for sign in "*?[]"):
        raise ValueError(f"'{name[:60]}' has characters that no name may have")
    if len(name.encode()) > LONGEST_NAME:
        raise ValueError(f"a name of {len(name.encode())} bytes is too long: '{name[:40]}...'")
    return name


def inside(root: Path, *names: str) -> Path:
    """Return the path of these names below a root, from which neither they nor links lead away. The root itself may be a link.

    Raises:
        ValueError: a name is not plain, or a link leads out of the root.
    """
    return within(root, root.joinpath(*(plain(name) for name in names)))


def within(root: Path, path: Path, resolved: Path | None = None) -> Path:
    """Return a path that lies below a root when all links are followed.

    A link in a circle leads nowhere; that is told where it is opened.

    Args:
        root, path: as they are written.
        resolved: the root with its links followed, where a thousand paths are asked about.

    Raises:
        ValueError: a link leads out of the root.
    """
    with contextlib.suppress(OSError, RuntimeError):  # of a circle: one or the other, by version of Python
        if not path.resolve().is_relative_to(resolved or root.resolve()):
            raise ValueError(f"{path.name} is a link that leads out of {root}")
    return path


class Below:
    """Paths below one root, thousands of them: each folder above them is followed once, and then only what is a link itself.

    Args:
        root: as it is written; it may be a link.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._resolved = root, root.resolve()
        self._followed = {root}

    def check(self, path: Path) -> Path:
        """Return a path that lies below the root when all links are followed, as `within`.

        Raises:
            ValueError: a link leads out of the root.
        """
        if path != self._root and path.parent not in self._followed:
            within(self._root, path.parent, self._resolved)
            self._followed.add(path.parent)
        return within(self._root, path, self._resolved) if os.path.islink(path) else path  # noqa: PTH114  # a third of the time of is_symlink


def read(path: Path, limit: int) -> bytes:
    """Return the content of a file; a pipe is not waited for and a device not read.

    Args:
        path: of a file.
        limit: so many bytes at most.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is no file, or longer.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))  # opening a pipe would wait for its writer
    try:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("it is no file but a folder, a pipe or a device")
        size = min(about.st_size, limit)
        with open(handle, "rb", closefd=False) as file:
            content = file.read(size + 1)  # not limit + 1: memory for so many bytes is taken before any is read
            if len(content) > size:  # it grew, or is on a disk that does not tell sizes
                content += file.read(limit + 1 - len(content))
    finally:
        os.close(handle)
    if len(content) > limit:
        raise ValueError(f"it is longer than {limit:,} bytes")
    return content


def fits(value: object, hint: Any) -> bool:
    """Return whether a value read from JSON or YAML is of the type of a dataclass's field; numbers must be finite."""
    kind, inner = _parts(hint)
    if kind is Any:
        return True
    if type(value) is int and abs(value) >= 2**63:
        return False
    if kind is float:
        return type(value) in (int, float) and math.isfinite(typing.cast(float, value))
    if kind is Literal:
        return isinstance(value, str) and value in inner
    if kind in (typing.Union, types.UnionType):
        return any(fits(value, each) for each in inner)
    if kind in (list, tuple):
        return isinstance(value, list) and all(fits(item, inner[0]) for item in value)
    if kind in (dict, Mapping):
        return isinstance(value, dict) and all(isinstance(key, str) and fits(item, inner[1]) for key, item in value.items())
    return type(value) is kind


@functools.cache
def _parts(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """Return what a type is made of; an index has a thousand clips with the same few types."""
    return typing.get_origin(hint) or hint, typing.get_args(hint)


def checked(table: object, hints: Mapping[str, Any]) -> dict[str, Any]:
    """Return a table whose keys and types are those of a dataclass.

    Raises:
        ValueError: names the first that is not.
    """
    if not isinstance(table, dict) or set(table) != set(hints):
        raise ValueError(f"its keys are {', '.join(sorted(map(str, table))) if isinstance(table, dict) else 'none'}"[:300])
    for name, hint in hints.items():
        if not fits(table[name], hint):
            raise ValueError(f"'{name}' is not what it should be")
    return table


def parse_yaml(content: bytes) -> Any:
    """Return what a YAML file says: tables, lists, words and numbers; nothing is made, looked up or repeated.

    Raises:
        ValueError: it is no YAML in UTF-8, is too deep, or has tags, aliases, interpolations or a key twice; the line is named.
    """
    try:
        return yaml.load(content.decode("utf-8"), _Plain)  # noqa: S506  # a SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ValueError(f"line {mark.line + 1 if mark else 1}: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise ValueError(f"no YAML: {str(error).splitlines()[0]}") from error


def parse_table(content: bytes) -> dict[Any, Any]:
    """Return the table of a YAML file; an empty file is an empty one.

    Raises:
        ValueError: as `parse_yaml`, or it is something else.
    """
    found = parse_yaml(content)
    if found is not None and type(found) is not dict:
        raise ValueError("line 1: it is no table of names and values")
    return found or {}


class _Plain(yaml.SafeLoader):  # type: ignore[misc]  # yaml has no types
    """YAML without what a settings file does not need and an attack does."""

    level = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            self._refuse("an alias (*name): write the value itself", event)
        if event.tag not in (None, "!"):
            self._refuse(f"a tag ({event.tag}): write the value itself", event)
        if isinstance(event, yaml.ScalarEvent) and ("${" in event.value or event.value == "???"):
            self._refuse(f"'{event.value[:60]}' has no value of its own: write the value itself", event)
        self.level += 1
        if self.level > DEEPEST:
            self._refuse(f"more than {DEEPEST} levels", event)
        try:
            return super().compose_node(parent, index)
        finally:
            self.level -= 1

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value in seen:
                problem = f"the key '{key.value}' stands there twice" if isinstance(key, yaml.ScalarNode) else "a key is no word"
                raise yaml.constructor.ConstructorError(None, None, problem, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def _refuse(self, problem: str, event: Any) -> typing.NoReturn:
        raise yaml.composer.ComposerError(None, None, problem, event.start_mark)


_Plain.yaml_implicit_resolvers = {  # a date is a word
    first: [(tag, words) for tag, words in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Plain.add_implicit_resolver(  # 1e-3 is a number here, as in the rest of the world, and not a word as in YAML 1.1
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(?:\.[0-9]*)?[eE][-+]?[0-9]+\Z"), list("-+0123456789")
)
