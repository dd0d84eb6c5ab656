"""What can be promised where a point cannot, and how many texts it takes."""

import numpy as np
import pytest

from dandelion.decision.evidence import CELLS, Evidence, cells
from dandelion.decision.operating_points import (
    InfeasibleError,
    fit,
    harmless_texts,
    requirements,
)


def table(harmless: dict[float, int], positive: dict[float, int]) -> np.ndarray:
    """Return int64[2, 602] of logit → texts."""
    counts = np.zeros((2, CELLS), dtype=np.int64)
    for row, texts in enumerate((harmless, positive)):
        for logit, number in texts.items():
            counts[row, cells(np.array([logit]))[0]] += number
    return counts


def evidence(harmless: dict[float, int], positive: dict[float, int]) -> Evidence:
    return Evidence({"messages": table(harmless, positive)})


def refused(point: str, found: Evidence, prior: float | None = None) -> InfeasibleError:
    with pytest.raises(InfeasibleError, match="cannot be promised") as raised:
        fit(point, found, prior=prior)
    return raised.value


# 4,501 harmless texts, none above −2; recall .91 there, at least .885 at 97.5 %.
SPAM = evidence({-9.0: 4000, -2.5: 501}, {4.0: 528, -1.0: 19, -2.2: 33, -6.0: 24})


def test_harmless_texts_limit_what_is_promised_at_a_low_prior() -> None:
    error = refused("precision>=0.99@prior=0.01", SPAM)
    assert error.best is not None
    assert 0.9 < error.best < 0.93
    assert error.need is not None
    assert (error.need.kind, error.need.texts) == ("harmless", error.texts_needed)
    assert error.need.texts == pytest.approx(harmless_texts(0.99, 0.01, 0.935), rel=0.04)
    assert 37_000 < error.need.texts < 41_000
    assert error.need.more == pytest.approx(error.need.texts - 4501, rel=0.03)
    assert str(error) == (
        "precision>=0.99@prior=0.01 cannot be promised at 95%: with 4,501 harmless and 604 "
        f"positive texts, at best precision>={error.best}@prior=0.01 can. It would take about "
        f"{error.need.texts:,} harmless texts like these, some {error.need.more:,} more."
    )


def test_more_than_a_million_texts_are_out_of_reach() -> None:
    error = refused("precision>=0.99@prior=0.0001", SPAM)
    assert error.texts_needed is not None
    assert error.texts_needed > 1_000_000
    assert str(error).endswith(
        " It would take over 1,000,000 harmless texts like these: out of reach for this model on "
        "such texts at this base rate."
    )
    assert str(refused("fpr<=0.000001", SPAM)).endswith("for this model on such texts.")


@pytest.mark.parametrize(
    ("point", "prior"),
    [
        ("fpr<=0.0001", None),
        ("recall>=0.999", None),
        ("rate<=0.0001", None),
        ("rate<=0.0001@prior=0.01", None),
        ("precision>=0.999", None),
        ("precision>=0.99@prior=0.01", None),
        ("precision>=0.99", 0.01),
    ],
)
def test_the_best_bound_is_the_last_one_that_is_fitted(point: str, prior: float | None) -> None:
    error = refused(point, SPAM, prior)
    assert error.best is not None
    sign = ">=" if ">=" in point else "<="
    quantity, rest = point.split(sign)
    at = "".join(rest.partition("@")[1:])
    fit(f"{quantity}{sign}{error.best}{at}", SPAM, prior=prior)
    small = min(error.best, 1 - error.best)
    stricter = error.best + (0.02 if sign == ">=" else -0.02) * small
    refused(f"{quantity}{sign}{stricter}{at}", SPAM, prior)


@pytest.mark.parametrize(
    ("point", "kind"),
    [("fpr<=0.0001", 0), ("recall>=0.999", 1), ("precision>=0.99@prior=0.01", 0)],
)
def test_the_texts_needed_are_those_that_suffice(point: str, kind: int) -> None:
    """Of perfect texts here: those at hand would have to be without an error, too."""
    perfect = {-9.0: 4501}, {4.0: 604}
    error = refused(point, evidence(*perfect))
    assert error.need is not None
    assert error.need.kind == ("harmless", "positive")[kind]

    def grown(texts: int) -> Evidence:
        numbers = [4501, 604]
        numbers[kind] = texts
        return evidence({-9.0: numbers[0]}, {4.0: numbers[1]})

    fit(point, grown(round(error.need.texts * 1.06)))
    refused(point, grown(round(error.need.texts * 0.94)))


def test_no_number_of_texts_makes_a_model_better() -> None:
    alike = evidence({-3.0: 500, 3.0: 500}, {-3.0: 100, 3.0: 900})
    for point in ("precision>=0.9@prior=0.01", "precision>=0.9"):
        error = refused(point, alike)
        assert error.texts_needed is None
        assert "More texts like these would not do" in str(error)
    error = refused("fpr<=0.4", evidence({16.0: 500, 0.0: 400}, {3.0: 10}))
    assert error.texts_needed is None
    assert error.best == pytest.approx(0.583, abs=0.0015)


def test_the_worst_source_is_named() -> None:
    two = Evidence(
        {"calm": table({-9.0: 3000}, {4.0: 50}), "rude": table({-9.0: 40}, {4.0: 50})},
        {"ordinary": ("calm",)},
    )
    fit("fpr<=0.01[ordinary]", two)
    error = refused("fpr<=0.01[ordinary],fpr<=0.01[rude]", two)
    assert "fpr<=0.01[rude] cannot be promised at 95%: with 40 harmless" in str(error)
    assert error.point == "fpr<=0.01[ordinary],fpr<=0.01[rude]"
    assert error.need is not None
    assert 290 <= error.need.texts <= 310  # 299 without a false alarm


def test_of_several_sources_the_hardest_is_named() -> None:
    two = Evidence({"calm": table({-9.0: 3000}, {4.0: 50}), "rude": table({-9.0: 40}, {4.0: 50})})
    error = refused("fpr<=0.01", two)
    assert "with 40 harmless and 50 positive texts of 'rude', where it is hardest" in str(error)
    assert error.need is not None
    assert 290 <= error.need.texts <= 310


def test_constraints_that_meet_nowhere_are_explained() -> None:
    found = evidence({-9.0: 3000, 2.0: 300}, {4.0: 500, 0.0: 200})
    for point in ("fpr<=0.01", "recall>=0.9"):
        fit(point, found)
    error = refused("fpr<=0.01,recall>=0.9", found)
    assert "each constraint can be by itself, but no threshold meets all" in str(error)
    assert error.best == pytest.approx(0.684, abs=0.003)
    assert f"at best recall>={error.best} can be promised" in str(error)


def test_a_false_alarm_at_the_top_limits_what_is_promised() -> None:
    """The first test, of 29 texts, fails; so the many texts below cannot help."""
    found = evidence({8.0: 1, -9.0: 1000}, {8.0: 28, 5.0: 300})
    error = refused("precision>=0.9", found)
    assert error.best == pytest.approx(0.846, abs=0.001)  # 28 of 29
    fit(f"precision>={error.best}", found)


def test_nothing_at_all_can_be_promised_of_a_text() -> None:
    error = refused("recall>=0.9", evidence({0.0: 1}, {-16.0: 1}))
    assert (error.best, error.texts_needed) == (None, None)
    assert "nor any other bound" in str(error)


def test_requirements_are_a_table_of_priors_and_targets() -> None:
    found = requirements(SPAM, [0.5, 0.9, 0.99], [0.1, 0.01])
    assert [(one.prior, one.target) for one in found] == [
        (prior, target) for prior in (0.1, 0.01) for target in (0.5, 0.9, 0.99)
    ]
    easy, hard = found[0], found[-1]
    assert easy.fitted is not None
    assert easy.fitted.precision.lower >= 0.5
    assert hard.fitted is None
    error = refused("precision>=0.99@prior=0.01", SPAM)
    assert (hard.best, hard.need) == (error.best, error.need)


@pytest.mark.parametrize(("target", "prior", "recall"), [(0.99, 0.01, 0.9), (0.5, 0.2, 1.0)])
def test_harmless_texts_are_the_fewest(target: float, prior: float, recall: float) -> None:
    texts = harmless_texts(target, prior, recall)

    def promised(texts: int) -> float:
        fpr = 1 - 0.025 ** (1 / texts)
        return prior * recall / (prior * recall + (1 - prior) * fpr)

    assert promised(texts) >= target > promised(texts - 1)
