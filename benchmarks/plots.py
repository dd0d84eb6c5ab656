"""Plots of the benchmark: the frontier of cost and quality, and how costs grow."""

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from study.plots import LINES, MARKERS, svg

Json = Mapping[str, Any]


def frontier(title: str, axis: str, points: Sequence[Json], quality: str) -> bytes:
    """Draw cost against quality; ours filled, the peers hollow, the frontier a step.

    Args:
        title: above the plot.
        axis: what the quality is.
        points: see ``benchmarks.json``.
        quality: the key of the quality in a point.

    Returns:
        An SVG file; equal arguments give equal bytes.
    """
    figure = Figure(figsize=(9, 5), layout="constrained")
    place = figure.subplots()
    for number, point in enumerate(points):
        us, color = point["us"], LINES[number % len(LINES)]
        ours = point["kind"] == "ours"
        place.errorbar(
            us["median"],
            point[quality],
            xerr=[[us["median"] - us["low"]], [us["high"] - us["median"]]],
            color=color,
            marker=MARKERS[(number // len(LINES) + number) % len(MARKERS)],
            markerfacecolor=color if ours else "white",
            markersize=9 if point.get("default") else 6,
            linestyle="none",
            linewidth=1,
            label=point["name"] + (" (default)" if point.get("default") else ""),
        )
    best = on_frontier(points, quality)
    place.step(
        [point["us"]["median"] for point in best],
        [point[quality] for point in best],
        where="post",
        color="grey",
        linewidth=0.8,
        zorder=0,
    )
    place.set_xscale("log")
    place.set_title(title)
    place.set_xlabel("µs per text, batch of 1,024, raw text, one core (low to high of the rounds)")
    place.set_ylabel(axis)
    place.grid(alpha=0.3)
    figure.legend(loc="outside right center", fontsize="small")
    return svg(figure)


def on_frontier(points: Sequence[Json], quality: str) -> list[Json]:
    """Keep the points that no other is both cheaper and as good as, the cheapest first."""
    best: list[Json] = []
    for point in sorted(points, key=lambda one: (one["us"]["median"], -one[quality])):
        if not best or point[quality] > best[-1][quality]:
            best.append(point)
    return best


def growth(title: str, axis: str, panels: Mapping[str, Mapping[str, Json]]) -> bytes:
    """Draw lines over what grows, both axes logarithmic, a panel a figure.

    Args:
        title: above all panels.
        axis: what grows.
        panels: label of the figure → who → step → its spread.

    Returns:
        An SVG file; equal arguments give equal bytes.
    """
    figure = Figure(figsize=(5.5 * len(panels), 4.2), layout="constrained")
    figure.suptitle(title)
    for place, (label, lines) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        for number, (name, steps) in enumerate(lines.items()):
            medians = [one["median"] for one in steps.values()]
            place.errorbar(
                [int(step) for step in steps],
                medians,
                yerr=[
                    [one["median"] - one["low"] for one in steps.values()],
                    [one["high"] - one["median"] for one in steps.values()],
                ],
                color=LINES[number % len(LINES)],
                marker=MARKERS[number % len(MARKERS)],
                markersize=4,
                linewidth=1.2,
                capsize=2,
                label=name,
            )
        place.set_xscale("log")
        place.set_yscale("log")
        place.set_xlabel(axis)
        place.set_ylabel(label)
        place.grid(alpha=0.3)
        place.legend(fontsize="small")
    return svg(figure)
