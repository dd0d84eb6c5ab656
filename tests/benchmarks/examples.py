"""The content of ``benchmarks.json`` with made-up figures that meet every goal."""

from dataclasses import asdict
from typing import Any

from benchmarks.figures import Figures
from benchmarks.growth import CHARACTERS
from benchmarks.measure import Spread
from benchmarks.over_http import OURS, SUBWORDS
from benchmarks.servers import ECHO, RAW

Json = dict[str, Any]


def spread(value: float) -> Json:
    return asdict(Spread.of([value * 0.9, value, value * 1.2]))


def figures(stored: Json | None = None) -> Figures:
    return Figures.model_validate(stored or stored_figures())


def run(**changes: Any) -> Json:
    return {
        "date": "2026-01-02",
        "commit": "abcdef0",
        "quick": False,
        "rounds": 3,
        "minutes": 21.5,
        "machine": {
            "processor": "Some processor",
            "cores": 2,
            "memory_gb": 8,
            "kernel": "6.1",
            "python": "3.11.7",
            "load_before": 0.1,
        },
        "versions": {"numpy": "2.4.6"},
    } | changes


def stored_figures() -> Json:
    return {
        "run": run(),
        "remeasured": {},
        "commands": ["taskset --cpu-list 0 python -m app"],
        "frontier": {
            model: _frontier(quality)
            for model, quality in (
                ("spam", "average_precision"),
                ("cyberbullying", "average_precision"),
                ("cyberbullying_type", "macro_f1"),
            )
        },
        "http": {
            "1 text, 16 connections": _workload(1, {RAW: 12_000, ECHO: 6_000, OURS: 9_000}),
            "1 text, 1 connection": _workload(1, {ECHO: 4_000, OURS: 5_000}),
            "256 texts, 16 connections": _workload(256, {ECHO: 1_300, SUBWORDS: 160, OURS: 1_000}),
        },
        "in_process": {model: _in_process() for model in ("spam", "cyberbullying")},
        "bulk": {
            "1,000,000 texts, workers=2": {
                "texts_per_s": spread(500_000.0),
                "beyond_mb": spread(0.5),
            },
        },
        "resources": {
            "start_s": {ECHO: spread(0.4), "make serve": spread(0.8)},
            "memory": {
                ECHO: {"rss_mb": 52.0, "pss_mb": [42.0]},
                OURS: {"rss_mb": 110.0, "pss_mb": [100.0]},
            },
            "memory_of_two": {"rss_mb": 40.0, "pss_mb": [60.0, 58.0, 20.0]},
            "two_workers": {
                name: {
                    "one": spread(100_000),
                    "two": spread(180_000),
                    "load_share": spread(0.1),
                    "two_to_one": spread(1.8),
                }
                for name in (ECHO, OURS)
            },
            "fairness": {
                name: {
                    "alone": {"p50_us": spread(200), "p99_us": spread(400)},
                    "under_load": {"p50_us": spread(300), "p99_us": spread(1600)},
                    "p99_ratio": spread(4),
                }
                for name in (ECHO, OURS)
            },
            "scrape": {"ms": spread(5), "bytes": 40_000},
        },
        "growth": {
            "texts": {OURS: {step: _http(256) for step in ("1", "256")}},
            "characters": {
                "default, numpy": {str(step): spread(step * 1e-7) for step in CHARACTERS}
            },
            "connections": {OURS: {step: _http(1) for step in ("1", "16")}},
            "models": {
                OURS: {
                    step: {"rss_mb": 80.0, "start_s": spread(1), "requests_per_s": spread(9_000)}
                    for step in ("1", "20")
                }
            },
            "vocabulary": {
                "plain, numpy": {
                    "10000": {"us_per_text": spread(3), "load_s": 0.1, "artifact_mb": 1.0}
                }
            },
        },
        "extra": {"train_all_min": {"value": 3.2, "date": "2026-01-01"}},
    }


def _frontier(quality: str) -> Json:
    def point(name: str, us: float, value: float, **more: Any) -> Json:
        return {"name": name, "of": name, "us": spread(us), "quality": {quality: value}, **more}

    ours = {"kind": "ours", "shipped": True}
    theirs = {"kind": "baseline"}
    return {
        "quality": quality,
        "points": [
            point("wide, numpy", 20, 0.99, default=True, engine="numpy", **ours),
            point("wide, compiled", 5, 0.99, default=True, engine="compiled", **ours),
            point("dice, compiled", 3, 0.97, default=False, engine="compiled", **ours),
            point("fastText default", 10, 0.96, **theirs),
            point("fastText default", 4, 0.96, **theirs)
            | {"name": "fastText default (predict alone)"},
            point("fastText subwords", 21, 0.98, subwords=True, **theirs),
        ],
        "left_out": ["not cached"],
    }


def _workload(texts: int, rates: dict[str, float]) -> Json:
    ours = rates[OURS]
    found = {name: _http(texts, rate) for name, rate in rates.items()}
    for name, rate in rates.items():
        if name != OURS:
            found[name]["ours_to_it"] = {
                "requests_per_s": spread(ours / rate),
                "p50_us": spread(rate / ours),
                "p99_us": spread(rate / ours),
            }
    return found


def _http(texts: int, rate: float = 1_000) -> Json:
    return {
        "requests_per_s": spread(rate),
        "texts_per_s": spread(rate * texts),
        "p50_us": spread(1e6 / rate),
        "p99_us": spread(2e6 / rate),
        "bytes_per_request": spread(200 * texts),
        "request_bytes": 100.0 * texts,
        "load_share": spread(0.2),
    }


def _in_process() -> Json:
    return {
        "1024": {
            "default, numpy": spread(5),
            "plain, numpy": spread(3),
            "default, compiled": spread(4),
            "plain, compiled": spread(2),
        },
        "1": {
            "default, numpy": spread(90),
            "plain, numpy": spread(45),
            "default, compiled": spread(8),
            "plain, compiled": spread(6),
        },
    }
