"""The page of all settings, written from the settings themselves.

``python -m holley_assets.settings.reference > holley_assets/settings/README.md`` renews it; a test compares both.
"""

from __future__ import annotations

from pydantic_core import PydanticUndefined

from holley_assets.settings.loading import SECTIONS, allowed_words
from holley_assets.settings.section import Section, variable_name

INTRODUCTION = """\
# Settings

All settings are environment variables. A value that is not allowed ends the run before any work, in one line that
names the variable, the value and what is allowed. A variable that starts with `HOLLEY_` and is not on this page is
named in the run's log. This page is written by `python -m holley_assets.settings.reference`; change the settings in the
code, never this page.
"""


def settings_rows(section: type[Section]) -> list[str]:
    """One Markdown table row for each setting of ``section``: variable, default, what is allowed, meaning."""
    rows = []
    for name, field in section.model_fields.items():
        default = "unset" if field.default in (None, PydanticUndefined) else f"`{field.default}`"
        # A bare < would start a tag.
        meaning = str(field.description).replace("<", "&lt;")
        allowed = allowed_words(section, name)
        rows.append(f"| `{variable_name(section, name)}` | {default} | {allowed} | {meaning} |")
    return rows


def settings_page() -> str:
    """The whole page, as Markdown."""
    parts = [INTRODUCTION]
    for name, section in SECTIONS.items():
        title = name.replace("_", " ").capitalize()
        table = [
            "| variable | default | allowed | meaning |",
            "| --- | --- | --- | --- |",
            *settings_rows(section),
        ]
        parts.append(f"## {title}\n\n" + "\n".join(table) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(settings_page(), end="")
