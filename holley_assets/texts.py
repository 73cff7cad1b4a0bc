"""Text that comes from data, as it may be shown: one function a place.

A part type, a model, a file's name or an engine's error may hold anything: markup, formulas, line breaks, a customer's
address. Whoever shows such text takes the function of the place, and never fails on what the text is. An e-mail
address is hidden in every place, and can be counted.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

HIDDEN_ADDRESS = "(e-mail address)"
HIDDEN_VALUE = "(hidden)"
LONGEST_LINE = 300
# MLflow takes names of up to 250 characters for metrics, parameters and tags.
_LONGEST_KEY = 250
_LONGEST_LABEL = 40
_LONGEST_CELL = 2000

# Domain of an address. The search begins at the @, and what stands before it is found by going back: from the left, a
# long word without any @, such as an embedded image, would be searched again from each of its letters.
_DOMAIN = re.compile(r"(?:@|%40)(?:[^\s@<>\"'()\[\]{},;:|\\/.]{1,63}\.){1,8}[^\W\d_]{2,63}", re.IGNORECASE)
# a@2x.jpg is a picture for a screen of twice the density; the queries keep it too.
_DENSITY = re.compile(r"@\d+(?:\.\d+)?x\.(?:jpe?g|png|gif|webp|avif|svg)", re.IGNORECASE | re.ASCII)
_BEFORE_AN_ADDRESS = frozenset(' \t\r\n\f\v<>"()[]{},;:|\\/@=&?')
_LONGEST_USER = 64
# MLflow's own list of characters that a name may hold.
_NO_KEY = re.compile(r"[^\w\-./ :]")
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&])")
_QUOTED_VALUE = re.compile(r"'.*'")
# DuckDB puts names and values into the same quotes; a name follows the word that says what it is of.
_QUOTED_NAME_OR_VALUE = re.compile(r'(?i)(\b(?:column|table) "\w+")|"[^"]*"')
_NAMED_VALUE = re.compile(
    r"(?i)\b(value|string|literal|date|datetime|time|timestamp|numeric|json)(\s*:\s*)[^;]+"
)


def mask_addresses(text: str) -> tuple[str, int]:
    """``text`` with every e-mail address hidden, and how many there were. Linear in the length of ``text``."""
    parts: list[str] = []
    end = 0
    for found in _DOMAIN.finditer(text):
        if _DENSITY.fullmatch(found.group()):
            continue
        start = found.start()
        while (
            start > end
            and found.start() - start < _LONGEST_USER
            and text[start - 1] not in _BEFORE_AN_ADDRESS
        ):
            start -= 1
        if start < found.start():
            parts += [text[end:start], HIDDEN_ADDRESS]
            end = found.end()
    return "".join([*parts, text[end:]]), len(parts) // 2


def mask_all(value: Any) -> tuple[Any, int]:
    """``value``, of mappings, lists and plain values, with every address in it hidden, in keys too; and their number.

    Keys that are one after that are told apart by a number: nothing is lost.
    """
    if isinstance(value, str):
        return mask_addresses(value)
    count = 0
    if isinstance(value, Mapping):
        masked: dict[Any, Any] = {}
        for key, item in value.items():
            shown, of_key = mask_all(key)
            name, number = shown, 1
            while name in masked:
                number += 1
                name = f"{shown} {number}"
            masked[name], of_item = mask_all(item)
            count += of_key + of_item
        return masked, count
    if isinstance(value, list):
        items = [mask_all(item) for item in value]
        return [item for item, _ in items], sum(of_item for _, of_item in items)
    return value, 0


def for_log(text: str, longest: int = LONGEST_LINE) -> str:
    """One line for a log, an error or an alert: every character can be seen, a line break is ``\\n``."""
    visible = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in mask_addresses(text)[0]
    )
    return _shortened(visible, longest)


def for_plot(text: str) -> str:
    """A label that matplotlib writes as it is: no formula, no line break, and never left out of a legend."""
    # Where every $ has a backslash before it, matplotlib sees no formula and takes the backslashes away.
    label = _shortened(_one_line(mask_addresses(text)[0]), _LONGEST_LABEL).replace("$", r"\$")
    # A label that begins with _ is left out of legends.
    return f" {label}" if label.startswith("_") else label


def for_html(text: str) -> str:
    """Text for a page whose template escapes what it is given: no address, no control character, not endless."""
    if text.startswith("data:"):
        # An image that this project drew.
        return text
    return _shortened(_seen(mask_addresses(text)[0]), _LONGEST_CELL)


def for_terminal(text: str) -> str:
    """Text on a terminal: no address, and nothing that moves the cursor, changes colours or titles or hides text."""
    return _seen(mask_addresses(text)[0])


def for_markdown(text: str) -> str:
    """Text in Markdown that stays text: no link, no table cell, no markup of any kind."""
    return _MARKDOWN.sub(r"\\\1", _shortened(_one_line(mask_addresses(text)[0]), LONGEST_LINE))


def for_mlflow_key(text: str) -> str:
    """A name that MLflow takes. ``hit_rate@4`` is ``hit_rate_at_4``; what loses more keeps a hash of what it was.

    MLflow keeps names as paths, and takes none that is another's in fewer letters, such as ``a/`` or ``a//b``.
    """
    plain = mask_addresses(text)[0].replace("@", "_at_")
    key = _NO_KEY.sub("_", plain)
    path = posixpath.normpath(key)
    if (
        plain == key == path
        and len(key) <= _LONGEST_KEY
        and not key.startswith(("/", "."))
        and ".." not in key
    ):
        return key
    digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{path.strip('/.').replace('..', '_')[: _LONGEST_KEY - 9]}-{digest}"


def without_values(text: str) -> str:
    """First line of an engine's error without the values that it quotes: tables, columns and counts stay.

    What stands in quotes may be a customer's address, and so may what follows ``value:``.
    """
    lines = text.strip().splitlines()
    line = lines[0].strip() if lines else "no words"
    # The outermost quotes: a value may hold some itself.
    line = _QUOTED_VALUE.sub(f"'{HIDDEN_VALUE}'", line)
    line = _QUOTED_NAME_OR_VALUE.sub(lambda found: found[1] or f'"{HIDDEN_VALUE}"', line)
    return for_log(_NAMED_VALUE.sub(rf"\1\2{HIDDEN_VALUE}", line))


def _one_line(text: str) -> str:
    return " ".join(_seen(text).split())


def _seen(text: str) -> str:
    return "".join(" " if _is_unseen(character) else character for character in text)


def _is_unseen(character: str) -> bool:
    # Control characters, such as line breaks and those that turn the direction of writing, and halves of pairs.
    return unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
