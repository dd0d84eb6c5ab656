"""The goals, each held against the figures: what was aimed at, what was measured, met or not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from .frontier import ALONE
from .growth import CHARACTERS
from .in_process import BATCH
from .measure import digits
from .over_http import OURS, SUBWORDS
from .servers import ECHO, RAW

Json = Mapping[str, Any]

_TITLES: Final = {
    "spam": "SMS",
    "cyberbullying": "Cyberbullying",
    "cyberbullying_type": "Cyberbullying type",
}
_ONE_16: Final = "1 text, 16 connections"
_ONE_1: Final = "1 text, 1 connection"
_MANY: Final = "256 texts, 16 connections"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A goal and what became of it.

    Attributes:
        what: is measured.
        goal: in words.
        measured: in words.
        met: None where nothing was measured.
        is_stretch: whether it is only to be hoped for.
    """

    what: str
    goal: str
    measured: str
    met: bool | None
    is_stretch: bool = False


def verdicts(figures: Json) -> list[Verdict]:
    """Hold every goal against the figures of ``benchmarks.json``, medians deciding."""
    return [
        verdict
        for part in (_frontier, _http, _in_process, _resources, _growth, _extra)
        for verdict in part(figures)
    ]


def _frontier(figures: Json) -> Iterator[Verdict]:
    for model, found in figures["frontier"].items():
        quality = found["quality"]
        (default,) = [point for point in served_points(found["points"]) if point["default"]]
        others = cheapest([point for point in found["points"] if point.get("subwords")])
        ratios = {
            name: point["us"]["median"] / default["us"]["median"] for name, point in others.items()
        }
        yield Verdict(
            f"the frontier, {_TITLES[model]}",
            "default better and ≥ 3 × cheaper than each peer with subwords or character n-grams",
            f"{default['us']['median']:.3g} µs at {default[quality]:.4f}; "
            + "; ".join(
                f"{name}: {ratio:.2g} × its cost, {others[name][quality]:.4f}"
                for name, ratio in ratios.items()
            ),
            bool(ratios)
            and all(
                ratio >= 3 and default[quality] > others[name][quality]
                for name, ratio in ratios.items()
            ),
        )
        yield _beats_defaults(model, found["points"], quality)


def _beats_defaults(model: str, points: list[Json], quality: str) -> Verdict:
    (theirs,) = [point for point in points if point["name"] == f"fastText default {ALONE}"]
    better = [
        point
        for point in served_points(points)
        if point["shipped"] and point[quality] > theirs[quality]
    ]
    bound = theirs["us"]["median"]
    best = min(better, key=lambda point: point["us"]["median"], default=None)
    return Verdict(
        f"the frontier, {_TITLES[model]}",
        "a shipped artifact better than fastText's defaults, at no more than their cost",
        "none is better"
        if best is None
        else f"{best['name']}: {best['us']['median']:.3g} µs, theirs {bound:.3g} µs",
        best is not None and best["us"]["median"] <= bound,
        is_stretch=True,
    )


def served_points(points: list[Json]) -> list[Json]:
    """Keep our points of the engine that the service takes: the compiled one where there is one."""
    ours = [point for point in points if point["kind"] == "ours"]
    compiled = [point for point in ours if point["engine"] == "compiled"]
    return compiled or ours


def cheapest(points: list[Json]) -> dict[str, Json]:
    """Of the points of one fit keep the cheapest."""
    found: dict[str, Json] = {}
    for point in sorted(points, key=lambda point: -point["us"]["median"]):
        found[point["of"]] = point
    return found


def _http(figures: Json) -> Iterator[Verdict]:
    shapes = figures["http"]
    for other, bound, is_stretch in ((ECHO, 1.0, False), (RAW, 0.7, True)):
        found = shapes[_ONE_16][other]
        ratio = found["ours_to_it"]["requests_per_s"]["median"]
        ours = shapes[_ONE_16][OURS]["requests_per_s"]["median"]
        yield Verdict(
            f"one text over HTTP, 16 connections, against the {other}",
            f"≥ {bound} × its req/s",
            f"{ratio:.2f} × ({ours:,.0f} against {found['requests_per_s']['median']:,.0f})",
            ratio >= bound,
            is_stretch,
        )
    for name in ("p50_us", "p99_us"):
        ours, echo = (shapes[_ONE_1][who] for who in (OURS, ECHO))
        yield Verdict(
            f"one text over HTTP, 1 connection, {name.removesuffix('_us')}",
            "≤ the echo's",
            f"{ours[name]['median']:,.0f} µs against {echo[name]['median']:,.0f} µs; round by "
            f"round {echo['ours_to_it'][name]['median']:.2f} ×",
            echo["ours_to_it"][name]["median"] <= 1,
        )
    texts = shapes[_MANY][OURS]["texts_per_s"]["median"]
    what = "256 texts over HTTP, one core"
    yield _at_least(what, texts, 100_000, "texts/s")
    ratio = shapes[_MANY][SUBWORDS]["ours_to_it"]["requests_per_s"]["median"]
    yield _at_least(f"{what}, against {SUBWORDS}", ratio, 2.5, "×")
    yield _at_least(what, texts, 250_000, "texts/s", is_stretch=True)


def _in_process(figures: Json) -> Iterator[Verdict]:
    found = figures["in_process"]["spam"]
    for who, bound in (("default", 150_000), ("plain", 250_000)):
        us = found[str(BATCH)][f"{who}, numpy"]["median"]
        what = f"in process, SMS, batch of 1,024, one core, {who} in NumPy"
        yield _at_least(what, 1e6 / us, bound, "texts/s")
    for who, bound in (
        ("default, numpy", 100),
        ("plain, numpy", 50),
        ("default, compiled", 10),
        ("plain, compiled", 10),
    ):
        us = found["1"].get(who, {}).get("median")
        yield _at_most(f"in process, one text, {who}", us, bound, "µs")


def _resources(figures: Json) -> Iterator[Verdict]:
    found = figures["resources"]
    two, workers = found["memory_of_two"], found["two_workers"]
    start = found["start_s"]["make serve"]["median"]
    yield _at_most("`make serve`, second start to first answer", start, 1, "s")
    yield _at_most("memory of one worker, RSS", found["memory"][OURS]["rss_mb"], 120, "MB")
    yield _at_most("memory of each further worker, PSS", two["pss_mb"][0], 65, "MB")
    yield _at_least(
        "two workers on two cores, batches of 256, against one",
        workers[OURS]["two_to_one"]["median"],
        1.7,
        "×",
        note=f"; the load itself takes {workers[OURS]['load_share']['median']:.0%} of "
        f"a core; the echo {workers[ECHO]['two_to_one']['median']:.2f} ×",
    )
    fairness = found["fairness"]
    yield _at_most(
        "p99 of one text while another keeps sending batches of 4,096, against alone",
        fairness[OURS]["beside_to_alone"]["median"],
        5,
        "×",
        note=f"; the echo {fairness[ECHO]['beside_to_alone']['median']:.1f} ×",
    )


def _growth(figures: Json) -> Iterator[Verdict]:
    worst = max(
        (steps[str(ten)]["median"] / steps[str(one)]["median"], name, one)
        for name, steps in figures["growth"]["characters"].items()
        for one, ten in pairwise(CHARACTERS)
    )
    yield Verdict(
        "cost with length, to 1 MB of text, in process",
        "10 × the characters ≤ 13 × the time",
        f"{worst[0]:.1f} × at worst ({worst[1]}, from {worst[2]:,} characters)",
        worst[0] <= 13,
    )


def _extra(figures: Json) -> Iterator[Verdict]:
    """What is measured only when asked, else kept from before with its date."""
    for name, what, bound, unit in (
        ("train_all_min", "`make train-all` (shipped set)", 20, "min"),
        (
            "image_mb",
            "image, compressed, with its base: Debian with Python (debootstrap, minimal)",
            200,
            "MB",
        ),
    ):
        found = figures["extra"].get(name)
        yield _at_most(
            what, found and found["value"], bound, unit, note=found and f", {found['date']}"
        )


def _at_least(what: str, figure: float | None, bound: float, unit: str, **more: Any) -> Verdict:
    met = None if figure is None else figure >= bound
    return _bounded(what, figure, met, f"≥ {digits(bound)} {unit}", unit, **more)


def _at_most(what: str, figure: float | None, bound: float, unit: str, **more: Any) -> Verdict:
    met = None if figure is None else figure <= bound
    return _bounded(what, figure, met, f"≤ {digits(bound)} {unit}", unit, **more)


def _bounded(  # noqa: PLR0913
    what: str,
    figure: float | None,
    met: bool | None,
    goal: str,
    unit: str,
    *,
    is_stretch: bool = False,
    note: str | None = None,
) -> Verdict:
    measured = "not measured" if figure is None else f"{digits(figure)} {unit}{note or ''}"
    return Verdict(what, goal, measured, met, is_stretch)
