"""Lists and dictionaries as Python scripts print them, read by a grammar of their own: nothing is evaluated, imported or looked up.

`ast.literal_eval` knows no ``tensor([0, 1])`` and needs a gigabyte for ten megabytes; this reads in one pass and holds what it returns.
"""

from __future__ import annotations

import re

Value = str | int | float | list["Value"] | dict[str, "Value"]

DEEPEST = 8
"""Levels; a dictionary of databases, subjects and their predictions has four."""

LONGEST_NUMBER = 40
"""Characters."""

LONGEST_WORD = 1000
"""Characters. A word is never gone back into: what Python would keep to try again is a hundred bytes a character."""

TOKEN = re.compile(
    rf"""\s*+(?:
        (?P<wrap>(?:torch\.|np\.|numpy\.|collections\.)?
            (?:tensor|array|u?int(?:8|16|32|64)|float(?:16|32|64)|str_|list|tuple|OrderedDict|defaultdict)\(
            (?:<class\ '[a-z]+'>,)?)
      | (?P<option>(?:dtype|device|grad_fn|requires_grad|size|layout)=(?:'[^'\n]{{0,40}}'|[\w.:]{{1,40}}|<[\w. ]{{1,60}}>|\(\d{{1,9}},\)))
      | (?P<number>[-+]?(?:[0-9]++\.?+[0-9]*+|\.[0-9]++)(?:[eE][-+]?[0-9]{{1,3}}+)?+(?![\w.]))
      | (?P<word>'(?:[^'\\\n]|\\.){{0,{LONGEST_WORD}}}+'|"(?:[^"\\\n]|\\.){{0,{LONGEST_WORD}}}+")
      | (?P<shortened>\.\.\.)
      | (?P<sign>[\[\]{{}}(),:])
    )""",
    re.VERBOSE,
)
CLOSING = {"[": "]", "(": ")", "{": "}"}


def parse(text: str, start: int = 0) -> tuple[Value, int]:
    """Return the value that begins at a place of a text, and where it ends.

    Wrappers that printing adds are taken off: ``tensor([0, 1], device='cuda:0')`` and ``array([0 1])`` are ``[0, 1]``, ``np.int64(1)``
    is 1; a tuple is a list; keys are words.

    Raises:
        ValueError: there is none, or it is cut off, shortened, too deep, or something that no list of predictions has.
    """
    return _Reader(text, start).whole()


class _Reader:
    def __init__(self, text: str, start: int) -> None:
        self.text, self.place = text, start
        self.kind, self.spelled = "", ""
        self._next()

    def whole(self) -> tuple[Value, int]:
        value = self._value(0)
        return value, self.begun

    def _next(self) -> None:
        self.begun = self.place
        found = TOKEN.match(self.text, self.place)
        if found is None or found.lastgroup is None:
            self.kind, self.spelled = "end", self.text[self.place : self.place + 20].strip()
            return
        self.kind, self.spelled, self.place = found.lastgroup, found[found.lastgroup], found.end()

    def _value(self, depth: int) -> Value:
        if depth > DEEPEST:
            raise self._fault(f"more than {DEEPEST} levels")
        kind, spelled = self.kind, self.spelled
        if kind == "wrap":
            return self._wrapped(depth)
        if kind == "number":
            self._next()
            return _number(spelled)
        if kind == "word":
            self._next()
            return spelled[1:-1]
        if kind == "sign" and spelled in "[(":
            return self._list(CLOSING[spelled], depth)
        if kind == "sign" and spelled == "{":
            return self._table(depth)
        if kind == "shortened":
            raise self._fault("printing shortened it to '...': print the whole list, as .tolist() gives it")
        raise self._fault(f"'{spelled}' is no number, word, list or dictionary" if spelled else "it is cut off")

    def _wrapped(self, depth: int) -> Value:
        self._next()
        value = self._value(depth + 1)
        while self._is(","):
            self._next()
            if self.kind == "option":
                self._next()
        self._close(")")
        return value

    def _list(self, closing: str, depth: int) -> list[Value]:
        self._next()
        values: list[Value] = []
        while not self._is(closing):
            values.append(self._value(depth + 1))
            if self._is(","):
                self._next()
            elif self.kind != "number" and not self._is(closing):  # numpy prints no commas between numbers
                raise self._fault(f"a list is not closed by '{closing}'")
        self._next()
        return values

    def _table(self, depth: int) -> dict[str, Value]:
        self._next()
        values: dict[str, Value] = {}
        while not self._is("}"):
            key = self._value(depth + 1)
            if isinstance(key, list | dict):
                raise self._fault("a key is no word")
            self._close(":")
            if str(key) in values:
                raise self._fault(f"the key '{str(key)[:60]}' stands there twice")
            values[str(key)] = self._value(depth + 1)
            if not self._is("}"):
                self._close(",")
        self._next()
        return values

    def _is(self, sign: str) -> bool:
        return self.kind == "sign" and self.spelled == sign

    def _close(self, sign: str) -> None:
        if not self._is(sign):
            raise self._fault(f"'{sign}' is missing" if self.spelled else "it is cut off")
        self._next()

    def _fault(self, what: str) -> ValueError:
        return ValueError(f"line {self.text.count(chr(10), 0, self.begun) + 1}: {what}")


def _number(spelled: str) -> int | float:
    if len(spelled) > LONGEST_NUMBER:
        raise ValueError(f"'{spelled[:20]}...' has {len(spelled)} digits")
    return float(spelled) if any(sign in spelled for sign in ".eE") else int(spelled)
