"""What a method says of an argument that means nothing, or that nothing would read."""

from __future__ import annotations

from merbench.errors import UserError


def check(name: str, value: object, right: bool, wanted: str) -> None:
    """Refuse a value that means nothing.

    Args:
        name: of the argument.
        value: of the argument.
        right: whether it means something; written as ``0 < value``, not as its opposite, so that what is no number is refused too.
        wanted: what does, such as ``a share above 0, at most 1``.

    Raises:
        UserError: it is not right.
    """
    if not right:
        raise UserError(f"method.{name} is {value}", where=f"method.{name}", remedy=f"give {wanted}")


def check_read(name: str, value: float, default: float, read: bool, otherwise: str) -> None:
    """Refuse a value that was asked for where nothing reads it: a row would be named for what did nothing.

    Args:
        name: of the argument.
        value: of the argument.
        default: of the argument; whoever has it has asked for nothing.
        read: whether the method reads the argument.
        otherwise: why it does not, such as ``there is no proposal loss``.

    Raises:
        UserError: something else than the default is asked for, and nothing reads it.
    """
    if value != default and not read:
        raise UserError(
            f"{otherwise}: method.{name}={value} would change nothing",
            where=f"method.{name}",
            remedy="leave it out, or what goes against it",
        )
