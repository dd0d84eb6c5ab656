"""The goals, each compared with the figures: what was aimed for, what was measured, met or not."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from .engines import COMPILED
from .figures import Figures, Frontier, Point
from .frontier import ALONE
from .growth import CHARACTERS
from .in_process import BATCH
from .measure import digits
from .over_http import OURS, SUBWORDS
from .samples import TITLES
from .servers import ECHO, RAW

_ONE_TEXT_16: Final = "1 text, 16 connections"
_ONE_TEXT_1: Final = "1 text, 1 connection"
_BATCH_16: Final = "256 texts, 16 connections"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A goal and whether it is met.

    Attributes:
        what: the quantity, in words.
        goal: its bound, in words.
        measured: the figure, in words.
        met: None if nothing was measured.
        is_stretch: whether missing it is acceptable.
    """

    what: str
    goal: str
    measured: str
    met: bool | None
    is_stretch: bool = False


def verdicts(figures: Figures) -> list[Verdict]:
    """Compare every goal with the medians of the figures."""
    return [
        verdict
        for part in (_frontier, _http, _in_process, _resources, _growth, _extra)
        for verdict in part(figures)
    ]


def _frontier(figures: Figures) -> Iterator[Verdict]:
    for model, found in figures.frontier.items():
        quality = found.quality
        (default,) = [point for point in served_points(found.points) if point.default]
        others = cheapest([point for point in found.points if point.subwords])
        ratios = {name: point.us.median / default.us.median for name, point in others.items()}
        yield Verdict(
            f"frontier of cost and quality, {TITLES[model]}",
            "default better and ≥ 3 × cheaper than each baseline with subwords or character "
            "n-grams",
            f"{default.us.median:.3g} µs at {default.quality[quality]:.4f}; "
            + "; ".join(
                f"{name}: {ratio:.2g} × its cost, {others[name].quality[quality]:.4f}"
                for name, ratio in ratios.items()
            ),
            bool(ratios)
            and all(
                ratio >= 3 and default.quality[quality] > others[name].quality[quality]
                for name, ratio in ratios.items()
            ),
        )
        yield _beats_fasttext_defaults(model, found)


def _beats_fasttext_defaults(model: str, found: Frontier) -> Verdict:
    (theirs,) = [point for point in found.points if point.name == f"fastText default {ALONE}"]
    better = [
        point
        for point in served_points(found.points)
        if point.shipped and point.quality[found.quality] > theirs.quality[found.quality]
    ]
    bound = theirs.us.median
    best = min(better, key=lambda point: point.us.median, default=None)
    return Verdict(
        f"frontier of cost and quality, {TITLES[model]}",
        "a shipped artifact better than fastText's defaults at no higher cost",
        "none is better"
        if best is None
        else f"{best.name}: {best.us.median:.3g} µs, fastText {bound:.3g} µs",
        best is not None and best.us.median <= bound,
        is_stretch=True,
    )


def served_points(points: list[Point]) -> list[Point]:
    """Return our points with the engine that the service uses: compiled, where available."""
    ours = [point for point in points if point.kind == "ours"]
    compiled = [point for point in ours if point.engine == COMPILED]
    return compiled or ours


def cheapest(points: list[Point]) -> dict[str, Point]:
    """Return the cheapest point of each model."""
    found: dict[str, Point] = {}
    for point in sorted(points, key=lambda point: -point.us.median):
        found[point.of] = point
    return found


def _http(figures: Figures) -> Iterator[Verdict]:
    single = figures.http[_ONE_TEXT_16]
    for other, bound, is_stretch in ((ECHO, 1.0, False), (RAW, 0.7, True)):
        ratio = _ratio(figures, _ONE_TEXT_16, other)
        ours, theirs = (single[name].requests_per_s.median for name in (OURS, other))
        yield Verdict(
            f"one text over HTTP, 16 connections, compared with the {other}",
            f"≥ {bound} × its req/s",
            f"{ratio:.2f} × ({ours:,.0f} and {theirs:,.0f})",
            ratio >= bound,
            is_stretch,
        )
    yield from _latency(figures)
    texts = figures.http[_BATCH_16][OURS].texts_per_s.median
    what = "256 texts over HTTP, one core"
    yield _at_least(what, texts, 100_000, "texts/s")
    ratio = _ratio(figures, _BATCH_16, SUBWORDS)
    yield _at_least(f"{what}, compared with {SUBWORDS}", ratio, 2.5, "×")
    yield _at_least(what, texts, 250_000, "texts/s", is_stretch=True)


def _ratio(figures: Figures, workload: str, other: str) -> float:
    ratios = figures.http[workload][other].ours_to_it
    if ratios is None:
        raise ValueError(f"{workload}: no ratio of ours to the {other}")
    return ratios.requests_per_s.median


def _latency(figures: Figures) -> Iterator[Verdict]:
    ours, echo = (figures.http[_ONE_TEXT_1][name] for name in (OURS, ECHO))
    ratios = echo.ours_to_it
    if ratios is None:
        raise ValueError(f"{_ONE_TEXT_1}: no ratio of ours to the {ECHO}")
    for name, our, their, ratio in (
        ("p50", ours.p50_us, echo.p50_us, ratios.p50_us.median),
        ("p99", ours.p99_us, echo.p99_us, ratios.p99_us.median),
    ):
        yield Verdict(
            f"one text over HTTP, 1 connection, {name}",
            "≤ the echo's",
            f"{our.median:,.0f} µs, the echo {their.median:,.0f} µs; round by round {ratio:.2f} ×",
            ratio <= 1,
        )


def _in_process(figures: Figures) -> Iterator[Verdict]:
    found = figures.in_process["spam"]
    for name, bound in (("default", 150_000), ("plain", 250_000)):
        us = found[str(BATCH)][f"{name}, numpy"].median
        what = f"in process, SMS, batch of 1,024, one core, {name}, numpy"
        yield _at_least(what, 1e6 / us, bound, "texts/s")
    for name, bound in (
        ("default, numpy", 100),
        ("plain, numpy", 50),
        ("default, compiled", 10),
        ("plain, compiled", 10),
    ):
        spread = found["1"].get(name)
        us_of_one = None if spread is None else spread.median
        yield _at_most(f"in process, one text, {name}", us_of_one, bound, "µs")


def _resources(figures: Figures) -> Iterator[Verdict]:
    found = figures.resources
    start = found.start_s["make serve"].median
    yield _at_most("`make serve`, second start to first response", start, 1, "s")
    yield _at_most("memory of one worker, RSS", found.memory[OURS].rss_mb, 120, "MB")
    yield _at_most("memory of each further worker, PSS", found.memory_of_two.pss_mb[0], 65, "MB")
    ours, echo = (found.two_workers[name] for name in (OURS, ECHO))
    yield _at_least(
        "two workers on two cores, batches of 256, compared with one",
        ours.two_to_one.median,
        1.7,
        "×",
        note=f"; the load generator takes {ours.load_share.median:.0%} of a core; "
        f"the echo {echo.two_to_one.median:.2f} ×",
    )
    yield _at_most(
        "p99 of one text while another connection sends batches of 4,096, compared with alone",
        found.fairness[OURS].p99_ratio.median,
        5,
        "×",
        note=f"; the echo {found.fairness[ECHO].p99_ratio.median:.1f} ×",
    )


def _growth(figures: Figures) -> Iterator[Verdict]:
    worst = max(
        (steps[str(ten)].median / steps[str(one)].median, name, one)
        for name, steps in figures.growth.characters.items()
        for one, ten in pairwise(CHARACTERS)
    )
    yield Verdict(
        "growth with length, up to 1 MB of text, in process",
        "10 × the characters in ≤ 13 × the time",
        f"{worst[0]:.1f} × at worst ({worst[1]}, from {worst[2]:,} characters)",
        worst[0] <= 13,
    )


def _extra(figures: Figures) -> Iterator[Verdict]:
    """Judge what is measured on request only, and otherwise kept with its date."""
    for name, what, bound, unit in (
        ("train_all_min", "`make train-all` (shipped set)", 20, "min"),
        (
            "image_mb",
            "image, compressed, including its base: Debian with Python (debootstrap, minimal)",
            200,
            "MB",
        ),
    ):
        found = figures.extra.get(name)
        if found is None:
            yield _at_most(what, None, bound, unit)
        else:
            yield _at_most(what, found.value, bound, unit, note=f", {found.date}")


def _at_least(  # noqa: PLR0913
    what: str,
    figure: float | None,
    bound: float,
    unit: str,
    *,
    is_stretch: bool = False,
    note: str = "",
) -> Verdict:
    met = None if figure is None else figure >= bound
    goal = f"≥ {digits(bound)} {unit}"
    return Verdict(what, goal, _measured(figure, unit, note), met, is_stretch)


def _at_most(what: str, figure: float | None, bound: float, unit: str, note: str = "") -> Verdict:
    met = None if figure is None else figure <= bound
    return Verdict(what, f"≤ {digits(bound)} {unit}", _measured(figure, unit, note), met)


def _measured(figure: float | None, unit: str, note: str) -> str:
    return "not measured" if figure is None else f"{digits(figure)} {unit}{note}"
