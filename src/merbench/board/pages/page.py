"""What every page has: one file with its style and script inside, and a policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from merbench import __version__
from merbench.errors import visible

TEMPLATES = Path(__file__).parent / "templates"


def rendered(template: str, **values: Any) -> str:
    """Return a page. Whatever is put into it is escaped; only what `charts` drew is taken as it is.

    Args:
        template: a file of ``templates``.
        values: what the template names.
    """
    style, script = (Markup((TEMPLATES / name).read_text(encoding="utf-8").strip()) for name in ("style.css", "page.js"))  # noqa: S704  # ours
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_seen,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["breakable"] = _breakable
    page = environment.get_template(template)
    return page.render(style=style, script=script, policy=_policy(style, script), version=__version__, **values)


def _policy(style: str, script: str) -> str:
    """Return the Content-Security-Policy: this very style and script, images that lie in the page, and nothing else at all."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _breakable(text: str) -> Markup:
    """Return a method's name, which may be broken before its changes and after each, and nowhere within one."""
    return Markup("<wbr>").join(re.split(r"(?=\[)|(?<=[,+])", visible(text)))


def _seen(value: object) -> object:
    """Return text with what cannot be seen written out: a name turns no line around and breaks no encoding."""
    return visible(value) if type(value) is str else value
