"""The one exception that a user's mistake becomes."""


class UserError(Exception):
    """The request or the data are wrong: says what, where, and what to do. The command line answers it with exit code 2.

    Args:
        what: what is wrong, in one sentence.
        where: the file, folder, row or key in which it was found; may be empty.
        remedy: what the reader can do about it.
    """

    def __init__(self, what: str, *, where: object = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, str(where), remedy
        lines = [what]
        if self.where:
            lines.append(f"where: {self.where}")
        if remedy:
            lines.append(f"do: {remedy}")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[object, ...]:
        """Keyword arguments do not survive the default pickling, and workers send errors home."""
        return (_rebuild, (self.what, self.where, self.remedy))


def _rebuild(what: str, where: str, remedy: str) -> UserError:
    return UserError(what, where=where, remedy=remedy)
