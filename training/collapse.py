"""The naive recipe under which Dice collapses, as the paper's section 5.3 reports.

What is naive: one learning rate for embedding and layers, no word dropout, batches as they come,
the last epoch kept whatever it is worth. On cyberbullying the positives are the majority, so
answering "positive" to everything already has a Dice of .91; a large step saturates every logit
there, and where all are saturated Dice has no gradient left to come back with. The paper states no
rate, so the lowest of `RATES` at which every seed collapses is looked for.
"""

from collections.abc import Sequence

from .configuration import Configuration
from .experiment import Run
from .runs import Kept, run_cells
from .splits import Protocol

NAME = "dice, naive recipe"
MODEL = "cyberbullying"
RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
SEARCH_SEEDS = (100, 101, 102)


def naive(rate: float) -> Configuration:
    """Return the naive recipe at a learning rate."""
    return Configuration(
        model=MODEL,
        variant="dice-naive",
        loss="dice",
        word_dropout=0,
        layer_rate=rate,
        embedding_rate=rate,
        batch_size=64,
        epochs=5,
        restore="last",
    )


def search(seeds: Sequence[int] = SEARCH_SEEDS) -> dict[float, list[Kept]]:
    """Run the naive recipe at every rate, validation only."""
    cells = [
        [Run(naive(rate), Protocol.PAPER, seed, read_test=False) for seed in seeds]
        for rate in RATES
    ]
    return dict(zip(RATES, run_cells(cells, "Naive Dice"), strict=True))


def lowest_collapsing_rate(found: dict[float, list[Kept]]) -> float | None:
    """Return the lowest rate from which on every seed collapsed."""
    lowest = None
    for rate, kept in sorted(found.items(), reverse=True):
        if not all(run.result.collapsed for run in kept):
            break
        lowest = rate
    return lowest
