"""Numbers with their nouns."""


def number_of(number: float, noun: str) -> str:
    """Return a whole number and its noun: "1 text", "1,234 texts".

    Args:
        number: rounded to a whole one.
        noun: in the singular; its plural is regular.
    """
    shown = f"{number:,.0f}"
    return f"{shown} {noun}" if shown == "1" else f"{shown} {noun}s"
