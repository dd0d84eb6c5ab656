"""Goals compared with figures."""

from typing import Any

import pytest

from benchmarks.goals import Verdict, verdicts
from benchmarks.over_http import OURS, SUBWORDS
from benchmarks.servers import ECHO

from .examples import Json, figures, spread, stored_figures


def verdict_on(what: str, stored: Json) -> Verdict:
    return next(
        verdict
        for verdict in verdicts(figures(stored))
        if what in verdict.what and not verdict.is_stretch
    )


def test_all_are_met_except_for_what_was_not_measured() -> None:
    assert [verdict.what for verdict in verdicts(figures()) if verdict.met is False] == []
    image = verdict_on("image", stored_figures())
    assert image.met is None
    assert image.measured == "not measured"


def test_a_figure_kept_from_an_earlier_run_has_its_date() -> None:
    assert verdict_on("train-all", stored_figures()).measured == "3.2 min, 2026-01-01"


@pytest.mark.parametrize(
    ("what", "workload", "other", "worse"),
    [
        ("16 connections, compared with the FastAPI", "1 text, 16 connections", ECHO, 0.99),
        ("1 connection, p50", "1 text, 1 connection", ECHO, 1.01),
        ("1 connection, p99", "1 text, 1 connection", ECHO, 1.01),
        (f"compared with {SUBWORDS}", "256 texts, 16 connections", SUBWORDS, 2.4),
    ],
)
def test_a_ratio_on_the_wrong_side_of_its_goal_is_not_met(
    what: str, workload: str, other: str, worse: float
) -> None:
    stored = stored_figures()
    assert verdict_on(what, stored).met
    for ratio in stored["http"][workload][other]["ours_to_it"].values():
        ratio["median"] = worse
    assert verdict_on(what, stored).met is False


@pytest.mark.parametrize(
    ("what", "path", "worse"),
    [
        ("256 texts over HTTP", ["http", "256 texts, 16 connections", OURS, "texts_per_s"], 99_999),
        ("default, numpy", ["in_process", "spam", "1024", "default, numpy"], 6.7),
        ("plain, numpy", ["in_process", "spam", "1024", "plain, numpy"], 4.1),
        ("one text, default, compiled", ["in_process", "spam", "1", "default, compiled"], 10.1),
        ("`make serve`", ["resources", "start_s", "make serve"], 1.01),
        ("p99 of one text", ["resources", "fairness", OURS, "p99_ratio"], 5.1),
        ("two workers", ["resources", "two_workers", OURS, "two_to_one"], 1.69),
    ],
)
def test_a_figure_on_the_wrong_side_of_its_goal_is_not_met(
    what: str, path: list[str], worse: float
) -> None:
    stored = stored_figures()
    assert verdict_on(what, stored).met
    place: Any = stored
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = spread(worse)
    assert verdict_on(what, stored).met is False


def test_growth_with_length_is_judged_by_its_worst_step() -> None:
    stored = stored_figures()
    steps = stored["growth"]["characters"]["default, numpy"]
    assert verdict_on("growth with length", stored).met
    steps["100000"] = spread(13.1 * steps["10000"]["median"])
    verdict = verdict_on("growth with length", stored)
    assert verdict.met is False
    assert "from 10,000 characters" in verdict.measured


@pytest.mark.parametrize("change", [{"quality": {"average_precision": 0.99}}, {"us": spread(14.9)}])
def test_the_frontier_requires_both_quality_and_cost(change: dict[str, Any]) -> None:
    stored = stored_figures()
    assert verdict_on("frontier of cost and quality, SMS", stored).met
    stored["frontier"]["spam"]["points"][-1] |= change  # fastText with subwords
    assert verdict_on("frontier of cost and quality, SMS", stored).met is False


def test_a_baselines_cheapest_point_counts() -> None:
    stored = stored_figures()
    points = stored["frontier"]["spam"]["points"]
    points.append(points[-1] | {"name": "fastText subwords (predict alone)", "us": spread(9)})
    assert verdict_on("frontier of cost and quality, SMS", stored).met is False


def test_without_a_compiled_engine_the_numpy_engine_is_judged() -> None:
    stored = stored_figures()
    part = stored["frontier"]["spam"]
    part["points"] = [one for one in part["points"] if one.get("engine") != "compiled"]
    del stored["in_process"]["spam"]["1"]["default, compiled"]
    assert verdict_on("frontier of cost and quality, SMS", stored).met is False
    assert verdict_on("one text, default, compiled", stored).met is None
