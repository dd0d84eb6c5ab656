"""Plots of the benchmark: cost against quality, and how cost grows."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from study.plots import LINES, MARKERS, svg

from .figures import Point
from .measure import Spread


def frontier(title: str, axis: str, points: Sequence[Point], quality: str) -> bytes:
    """Plot cost against quality: ours filled, the baselines hollow, the frontier as a step.

    Args:
        title: above the plot.
        axis: label of the quality.
        points: at least one.
        quality: key of the quality in ``Point.quality``.

    Returns:
        An SVG file; equal arguments give equal bytes.
    """
    figure = Figure(figsize=(9, 5), layout="constrained")
    axes = figure.subplots()
    for number, point in enumerate(points):
        us, color = point.us, LINES[number % len(LINES)]
        axes.errorbar(
            us.median,
            point.quality[quality],
            xerr=[[us.median - us.low], [us.high - us.median]],
            color=color,
            marker=MARKERS[(number // len(LINES) + number) % len(MARKERS)],
            markerfacecolor=color if point.kind == "ours" else "white",
            markersize=9 if point.default else 6,
            linestyle="none",
            linewidth=1,
            label=point.name + (" (default)" if point.default else ""),
        )
    best = on_frontier(points, quality)
    axes.step(
        [point.us.median for point in best],
        [point.quality[quality] for point in best],
        where="post",
        color="grey",
        linewidth=0.8,
        zorder=0,
    )
    axes.set_xscale("log")
    axes.set_title(title)
    axes.set_xlabel("µs per text, batch of 1,024, raw text, one core (low to high of the rounds)")
    axes.set_ylabel(axis)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right center", fontsize="small")
    return svg(figure)


def on_frontier(points: Sequence[Point], quality: str) -> list[Point]:
    """Return the points that no cheaper point matches in quality, cheapest first."""
    best: list[Point] = []
    for point in sorted(points, key=lambda one: (one.us.median, -one.quality[quality])):
        if not best or point.quality[quality] > best[-1].quality[quality]:
            best.append(point)
    return best


def growth(
    title: str, axis: str, panels: Mapping[str, Mapping[str, Mapping[str, Spread]]]
) -> bytes:
    """Plot one panel per figure, with both axes logarithmic.

    Args:
        title: above all panels.
        axis: label of what grows.
        panels: label of the figure → line → step → spread.

    Returns:
        An SVG file; equal arguments give equal bytes.
    """
    figure = Figure(figsize=(5.5 * len(panels), 4.2), layout="constrained")
    figure.suptitle(title)
    all_axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (label, lines) in zip(all_axes, panels.items(), strict=True):
        for number, (name, steps) in enumerate(lines.items()):
            spreads = list(steps.values())
            medians = [spread.median for spread in spreads]
            axes.errorbar(
                [int(step) for step in steps],
                medians,
                yerr=[
                    [spread.median - spread.low for spread in spreads],
                    [spread.high - spread.median for spread in spreads],
                ],
                color=LINES[number % len(LINES)],
                marker=MARKERS[number % len(MARKERS)],
                markersize=4,
                linewidth=1.2,
                capsize=2,
                label=name,
            )
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(axis)
        axes.set_ylabel(label)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    return svg(figure)
