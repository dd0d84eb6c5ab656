"""Goals held against figures."""

from typing import Any

import pytest

from benchmarks.goals import Verdict, verdicts
from benchmarks.over_http import OURS, SUBWORDS
from benchmarks.servers import ECHO

from .examples import figures, spread


def found(what: str, made_up: dict[str, Any]) -> Verdict:
    return next(
        verdict for verdict in verdicts(made_up) if what in verdict.what and not verdict.is_stretch
    )


def test_all_are_met_but_for_what_was_not_measured() -> None:
    assert [verdict.what for verdict in verdicts(figures()) if verdict.met is False] == []
    image = found("image", figures())
    assert image.met is None
    assert image.measured == "not measured"


def test_what_was_kept_from_before_tells_its_date() -> None:
    assert found("train-all", figures()).measured == "3.2 min, 2026-01-01"


@pytest.mark.parametrize(
    ("what", "shape", "other", "worse"),
    [
        ("16 connections, against the FastAPI", "1 text, 16 connections", ECHO, 0.99),
        ("1 connection, p50", "1 text, 1 connection", ECHO, 1.01),
        ("1 connection, p99", "1 text, 1 connection", ECHO, 1.01),
        (f"against {SUBWORDS}", "256 texts, 16 connections", SUBWORDS, 2.4),
    ],
)
def test_a_ratio_on_the_wrong_side_of_its_goal_is_not_met(
    what: str, shape: str, other: str, worse: float
) -> None:
    made_up = figures()
    assert found(what, made_up).met
    for ratio in made_up["http"][shape][other]["ours_to_it"].values():
        ratio["median"] = worse
    assert found(what, made_up).met is False


@pytest.mark.parametrize(
    ("what", "path", "worse"),
    [
        ("256 texts over HTTP", ["http", "256 texts, 16 connections", OURS, "texts_per_s"], 99_999),
        ("default in NumPy", ["in_process", "spam", "1024", "default, numpy"], 6.7),
        ("plain in NumPy", ["in_process", "spam", "1024", "plain, numpy"], 4.1),
        ("one text, default, compiled", ["in_process", "spam", "1", "default, compiled"], 10.1),
        ("`make serve`", ["resources", "start_s", "make serve"], 1.01),
        ("p99 of one text", ["resources", "fairness", OURS, "beside_to_alone"], 5.1),
        ("two workers", ["resources", "two_workers", OURS, "two_to_one"], 1.69),
    ],
)
def test_a_figure_on_the_wrong_side_of_its_goal_is_not_met(
    what: str, path: list[str], worse: float
) -> None:
    made_up = figures()
    assert found(what, made_up).met
    place: Any = made_up
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = spread(worse)
    assert found(what, made_up).met is False


def test_length_is_judged_by_its_worst_step() -> None:
    made_up = figures()
    steps = made_up["growth"]["characters"]["default, numpy"]
    assert found("cost with length", made_up).met
    steps["100000"] = spread(13.1 * steps["10000"]["median"])
    verdict = found("cost with length", made_up)
    assert verdict.met is False
    assert "from 10,000 characters" in verdict.measured


@pytest.mark.parametrize("change", [{"average_precision": 0.99}, {"us": spread(14.9)}])
def test_the_frontier_asks_for_quality_and_for_cost(change: dict[str, Any]) -> None:
    made_up = figures()
    assert found("the frontier, SMS", made_up).met
    made_up["frontier"]["spam"]["points"][-1] |= change  # fastText with subwords
    assert found("the frontier, SMS", made_up).met is False


def test_the_cheapest_way_of_a_peer_counts() -> None:
    made_up = figures()
    points = made_up["frontier"]["spam"]["points"]
    points.append(points[-1] | {"name": "fastText subwords (predict alone)", "us": spread(9)})
    assert found("the frontier, SMS", made_up).met is False


def test_without_a_compiled_engine_the_numpy_one_is_judged() -> None:
    made_up = figures()
    part = made_up["frontier"]["spam"]
    part["points"] = [one for one in part["points"] if one.get("engine") != "compiled"]
    del made_up["in_process"]["spam"]["1"]["default, compiled"]
    assert found("the frontier, SMS", made_up).met is False
    assert found("one text, default, compiled", made_up).met is None
