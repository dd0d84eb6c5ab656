"""What is said about a text apart from its score."""

from enum import StrEnum


class Notice(StrEnum):
    """Why the score of a text is to be doubted."""

    NO_CONTENT = "no_content"
    """No word has a letter outside links and mentions: there is nothing to judge."""
    LOW_EVIDENCE = "low_evidence"
    """Few of its words are known."""
