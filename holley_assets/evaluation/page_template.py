"""Jinja as every page of the project uses it: text from data is escaped, and an unknown name is an error."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from importlib import resources
from typing import Any

import jinja2
from markupsafe import Markup

from holley_assets.texts import for_html

# Where a template wants the list of its sections.
CONTENTS = '<nav class="contents" aria-label="Sections of this page"></nav>'
_HEADING = re.compile(r"<h2>([^<]+)</h2>")


def page_template(package: str, name: str, filters: dict[str, Callable[..., Any]]) -> jinja2.Template:
    """Template ``name`` in the folder ``templates`` of ``package``.

    Args:
        filters: by the names that the template calls.
    """
    return _compiled(package, name, tuple(sorted(filters.items())))


@functools.cache
def _compiled(
    package: str, name: str, filters: tuple[tuple[str, Callable[..., Any]], ...]
) -> jinja2.Template:
    """The template, compiled once for all pages of a process."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters.update(filters)
    return environment.from_string(
        (resources.files(package) / "templates" / name).read_text(encoding="utf-8")
    )


def with_contents(page: str) -> str:
    """The page with links to its sections, the headings ``h2`` below :data:`CONTENTS`, in the place of it."""
    above, marker, below = page.partition(CONTENTS)
    if not marker:
        return page
    titles = _HEADING.findall(below)
    names = {title: re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") for title in titles}
    below = _HEADING.sub(lambda found: f'<h2 id="{names[found[1]]}">{found[1]}</h2>', below)
    links = "".join(f'<li><a href="#{names[title]}">{title}</a></li>' for title in titles)
    return above + marker.replace("></nav>", f"><ul>{links}</ul></nav>") + below


def page_style() -> str:
    """The style of all pages."""
    return (resources.files("holley_assets.evaluation") / "templates" / "report.css").read_text(
        encoding="utf-8"
    )


def _shown(value: Any) -> Any:
    """A value of the template; text that the project wrote itself, such as a picture, is marked as safe."""
    return for_html(value) if isinstance(value, str) and not isinstance(value, Markup) else value
