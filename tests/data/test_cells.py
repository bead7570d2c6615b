"""What a cell means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merbench.data.cells import frame, units, word
from tests.data.test_sheets import full_width

PRINTABLE = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=40)


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        *[("123", 123), ("123.0", 123), (" 123 ", 123), ("\xa0123", 123), ("\uff11\uff12\uff13", 123), ("\uff11\uff0e\uff10", 1)],
        *[("0", 0), ("007", 7), ("\ufeff7", 7), ("7.", 7)],
        *[(cell, None) for cell in ("", " ", "/", "-", "--", "\u2013", "\u2014", "n/a", "N/A", "nan", "?", "\uff0f", "\uff0d", "\uff1f")],
    ],
)
def test_a_frame_number(cell: str, number: int | None) -> None:
    assert frame(cell) == number


@pytest.mark.parametrize(
    "cell",
    [
        "1,234",
        "1 234",
        "-3",
        "46.5",
        "1e3",
        "12\xb2",
        "\u2460",
        "\u0661\u0660",
        "\xbd",
        "1_0",
        "0x10",
        "True",
        "#N/A",
        "12?",
        "=A1",
        "9" * 13,
    ],
)
def test_what_is_no_frame_number(cell: str) -> None:
    """An exponent is no digit, a comma may be a decimal point, and an error is not nothing."""
    with pytest.raises(ValueError, match="is no frame number"):
        frame(cell)


@given(PRINTABLE)
def test_a_number_is_read_or_refused(cell: str) -> None:
    try:
        found = frame(cell)
    except ValueError:
        return
    assert found is None or (found >= 0 and str(found) in full_to_plain(cell))


def full_to_plain(cell: str) -> str:
    return "".join(chr(ord(sign) - 0xFEE0) if "\uff01" <= sign <= "\uff5e" else sign for sign in cell)


@given(st.integers(0, 10**12 - 1))
def test_every_number_is_read(number: int) -> None:
    assert frame(full_width(str(number))) == frame(f" {number}.00 ") == number


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        *[("L4+R12", ("L4", "R12")), ("4 + 12", ("4", "12")), ("R12+L4+R12", ("R12", "L4")), ("4, 12;14 15", ("4", "12", "14", "15"))],
        *[
            ("4\uff0c12\uff0b14\u300115", ("4", "12", "14", "15")),
            ("\uff2c\uff14", ("L4",)),
            ("4 and 12", ("4", "12")),
            ("4&7", ("4", "7")),
        ],
        *[("AU4+au 12", ("4", "12")), ("l4 + r 12", ("L4", "R12")), ("12B+4a", ("12B", "4A")), ("12(k)+4 (k)", ("12(k)", "4(k)"))],
        *[("12?", ("12?",)), ("12 ?+4", ("12?", "4")), ("?12", ("12?",)), ("R6 or R12", ("R6?", "R12?")), ("R6orR12", ("R6?", "R12?"))],
        *[
            ("(R6 or R12)", ("R6?", "R12?")),
            ("4+(6 or 7)", ("4", "6?", "7?")),
            ("(4+5) or 6", ("4?", "5?", "6?")),
            ("4+(R6)?", ("4", "R6?")),
        ],
        *[("12 or 14 + 5", ("12?", "14?", "5")), ("6 OR 7", ("6?", "7?"))],
        *[(cell, ()) for cell in ("", "/", "-", "?", "n/a", "+", "()", ")(", "or")],
    ],
)
def test_action_units(cell: str, found: tuple[str, ...]) -> None:
    assert units(cell) == found


@given(PRINTABLE | st.text("LR0123456789+,;()? or|AUk", max_size=30))
def test_units_of_any_text(cell: str) -> None:
    found = units(cell)
    assert len(set(found)) == len(found)
    assert all(unit and unit.count("?") <= 1 and unit.strip() == unit for unit in found)


@given(
    st.lists(st.from_regex(r"[LR]?[1-9][0-9]?[A-E]?\??", fullmatch=True), unique=True),
    st.sampled_from(["+", " + ", ", ", ";", " and ", "\uff0c"]),
)
def test_units_that_are_plain_are_as_they_were(written: list[str], separator: str) -> None:
    assert units(separator.join(written)) == tuple(written)


@pytest.mark.parametrize(
    ("cell", "found"),
    [("Others ", "others"), ("\uff28appiness", "happiness"), (" Happy \xa0 face\n", "happy face"), ("\ufeffFear", "fear"), ("", "")],
)
def test_a_word(cell: str, found: str) -> None:
    assert word(cell) == found


@given(PRINTABLE)
def test_a_word_is_its_own_plain_form(cell: str) -> None:
    assert word(word(word(cell))) == word(word(cell))
