"""The one exception that a user's mistake becomes."""


class UserError(Exception):
    """The request or the data are wrong: says what, where, and what to do. The command line answers it with exit code 2.

    Args:
        what: what is wrong, in one sentence.
        where: the file, folder, row or key in which it was found; may be empty.
        remedy: what the reader can do about it.
    """

    def __init__(self, what: str, *, where: object = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = visible(what), visible(str(where), keep=""), visible(remedy)
        lines = [self.what]
        if self.where:
            lines.append(f"where: {self.where}")
        if self.remedy:
            lines.append(f"do: {self.remedy}")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[object, ...]:
        """Keyword arguments do not survive the default pickling, and workers send errors home."""
        return (_rebuild, (self.what, self.where, self.remedy))


def _rebuild(what: str, where: str, remedy: str) -> UserError:
    return UserError(what, where=where, remedy=remedy)


def visible(text: str, keep: str = "\n") -> str:
    """Return a text with what cannot be seen written out: a file's name or cell moves no cursor, and adds no line to a message."""
    return "".join(sign if sign.isprintable() or sign in keep else sign.encode("unicode_escape").decode() for sign in text)


def told(error: BaseException) -> str:
    """Return ``ValueError: the reason``; of an exception that cannot say its reason, the kind alone."""
    try:
        return visible(f"{type(error).__name__}: {error}")
    except Exception:  # noqa: BLE001  # whatever a method's own exception does when it is asked
        return type(error).__name__
