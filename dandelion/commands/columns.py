"""Rows of figures, laid out for people."""

from collections.abc import Sequence

from ..decision.intervals import Interval


def columns(rows: Sequence[Sequence[str]], left: int = 1) -> str:
    """Lay out rows in columns as wide as they need to be.

    Args:
        rows: the header and the others, of equal length.
        left: how many columns are aligned to the left; figures are aligned to the right.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if at < left else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def percent(share: float) -> str:
    """Return a share in percent, with more digits if it is small.

    Example:
        >>> [percent(share) for share in (0.5, 0.052, 0.0052, 0.00052)]
        ['50.0', '5.2', '0.52', '0.052']
    """
    return f"{100 * share:.1f}" if share >= 0.01 or not share else f"{100 * share:.2g}"


def interval(found: Interval | None) -> str:
    """Return an estimate and its interval in percent; a dash for none."""
    if found is None:
        return "-"
    return f"{percent(found.estimate)} [{percent(found.lower)}, {percent(found.upper)}]"
