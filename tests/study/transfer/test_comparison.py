"""Differences of the baselines to ours."""

import numpy as np

from study.schema.transfer import Interval, SourceRow
from study.transfer.comparison import compare
from study.transfer.measure import Read
from study.transfer.recipes import LR, OURS
from study.transfer.units import Plan, Unit

LEARNED = Unit("Learned", ("learned",), "equal")
FOREIGN = (Unit("First", ("first",), "equal"), Unit("Second", ("second",), "equal"))


def read(recipe: str, unit: str, figure: float) -> Read:
    interval = Interval(figure, figure, figure)
    row = SourceRow(
        recipe=recipe,
        trial="any",
        unit=unit,
        source=unit.lower(),
        use="measured only",
        label="equal",
        has_seen=False,
        texts=10,
        dropped=0,
        positives=5,
        groups=10,
        auroc=interval,
        average_precision=figure,
        recall=interval,
        ceiling=None,
        at=[],
    )
    samples = np.full(4, figure)
    return Read(row, samples, samples)


def test_what_ours_is_not_read_on_is_not_compared() -> None:
    found = [read(OURS, "First", 0.75), read(OURS, "Second", 0.5)]
    found += [read(LR, "First", 0.25), read(LR, "Second", 0.25), read(LR, "Learned", 1.0)]
    means, differences = compare(Plan((LEARNED,), FOREIGN), found)
    assert {(one.recipe, one.auroc.value) for one in means if one.auroc} == {
        (OURS, 0.625),
        (LR, 0.25),
    }
    assert {one.over: one.difference.value for one in differences if one.figure == "auroc"} == {
        "First": 0.5,
        "Second": 0.25,
        means[0].over: 0.375,
    }
