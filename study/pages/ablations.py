"""The page about single features of the networks."""

from training.tables import markdown_table

from ..schema.studies import AblationLine, Ablations
from .wording import reflow, title


def page(stored: Ablations) -> str:
    """Return ``ablations.md``."""
    header = ["", "changed", "macro-F1", "MCC", "AUROC", "AP", "kB"]
    sections = [
        f"## {one.title}\n\n{markdown_table(header, map(_line, one.lines))}"
        for one in stored.questions
        if one.lines
    ]
    samples = " ".join(
        f"{title(model)} is learned from a sample of {rows:,} rows here."
        for model, rows in stored.sample_rows.items()
    )
    heading = f"""\
# Ablations

Made by `python -m study ablate`: one change at a time to the committed configurations, grouped
protocol, means on validation over at most three of the seeds used for tuning, none of them
reported (macro-F1 and MCC at the fitted threshold), computed from the exported artifact; kB is its
size on disk. Every figure is in [ablations.json](ablations.json). Differences of a few units of the
third digit are noise. {samples} *nothing* is the configuration unchanged.
"""
    return reflow("\n".join([heading, *sections]))


def _line(one: AblationLine) -> list[str]:
    figures = (one.macro_f1, one.mcc, one.auroc, one.average_precision)
    return [
        f"{one.model}/{one.variant}",
        one.change or "nothing",
        *(f"{value:.4f}" for value in figures),
        f"{one.bytes / 1000:.0f}",
    ]
