"""Numbers as the report writes them for people.

A real minus sign, and none before zero; a no-break space before the percent sign; a dash for what does not
exist.
"""

from __future__ import annotations

MISSING = "–"


def signed(value: float) -> str:
    """A difference of shares in percentage points, for reading: 0.0312 → ``+3.12``."""
    return f"{100.0 * value:+z.2f}".replace("-", "−")


def points(value: float) -> str:
    """A size without sign: 0.0312 → ``3.12 points``."""
    return f"{100.0 * value:.2f} points"


def magnitude(value: float | None) -> str:
    """0.0123 → ``1.23``, in percentage points, for a size that has no direction."""
    return MISSING if value is None else f"{100.0 * value:.2f}"


def count(value: int | None) -> str:
    """12345 → ``12,345``."""
    return MISSING if value is None else f"{value:,}"


def share(value: float | None, digits: int = 1) -> str:
    """0.1234 → ``12.3 %``."""
    return MISSING if value is None else f"{100.0 * value:.{digits}f}\u00a0%"


def difference(value: float | None) -> str:
    """0.0123 → ``+1.23``, in percentage points."""
    return MISSING if value is None else signed(value)


def relative(value: float | None) -> str:
    """0.123 → ``+12.3 %``."""
    return MISSING if value is None else f"{100.0 * value:+z.1f}\u00a0%".replace("-", "−")


def decimal(value: float | None, digits: int = 4) -> str:
    """0.123456 → ``0.1235``."""
    return MISSING if value is None else f"{value:z.{digits}f}".replace("-", "−")


def addend(value: float | None, digits: int = 3) -> str:
    """A term of a sum: 0.01234 → ``+0.012``."""
    return MISSING if value is None else f"{value:+z.{digits}f}".replace("-", "−")


def dollars(value: float | None) -> str:
    """1234.5 → ``$1,234.50``."""
    return MISSING if value is None else f"${value:,.2f}"


def number(value: float | None) -> str:
    """Four significant digits, for numbers of any kind: 12345.6 → ``12,350``, 0.012345 → ``0.01235``."""
    if value is None:
        return MISSING
    rounded = float(f"{value:.4g}") + 0.0
    return (f"{rounded:,.0f}" if abs(rounded) >= 1000 else f"{rounded:g}").replace("-", "−")


def probability(value: float | None) -> str:
    """A p-value: four digits, and ``< 0.0001`` below."""
    if value is None:
        return MISSING
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def span(bounds: list[float] | None, kind: str = "difference") -> str:
    """An interval, each end as :func:`difference`, :func:`relative` or :func:`share` writes it.

    One without width is none: drawing from users who are all alike gives the same mean each time, however few they are.
    """
    if bounds is None or bounds[0] == bounds[1]:
        return MISSING
    write = {"difference": difference, "relative": relative, "share": share}[kind]
    return f"{write(bounds[0])} to {write(bounds[1])}"
