"""Plots: learning curves as the paper's Figures 1 to 6, heat maps, sweeps, curves, reliability."""

import io
import math
from collections.abc import Collection, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .schema.results import EpochFigures, FoldFigures

_CURVES: Final[Mapping[Literal["accuracy", "f1", "loss"], str]] = {
    "accuracy": "Accuracy",
    "f1": "F1",
    "loss": "Loss",
}
_TRAINING, _VALIDATION = "#0072b2", "#d55e00"  # distinct for colour-blind readers too
# Okabe & Ito's colours, each line with a marker of its own as well.
LINES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#56b4e9", "#e69f00")
MARKERS = "osD^vPX"
_TICKS: Final = (0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999)
_LEAST_RATE: Final = 1e-4  # that a logarithmic axis shows


class Cell(NamedTuple):
    """A cell of a heat map.

    Attributes:
        value: in [0, 1], shown as a colour and with two digits.
        mark: written below the value, framed; empty for none.
    """

    value: float
    mark: str


class Point(NamedTuple):
    """A mean with its interval."""

    mean: float
    low: float
    high: float


def learning_curves(
    title: str, histories: Mapping[str, Sequence[EpochFigures]], *, numbered: bool
) -> bytes:
    """Draw accuracy, F1 and loss over epochs, training and validation, a column per data set.

    Args:
        title: above all panels.
        histories: data set → an entry per epoch.
        numbered: whether the panels carry the paper's figure numbers.

    Returns:
        An SVG file; equal arguments give equal bytes.
    """
    figure = Figure(figsize=(9, 9), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(len(_CURVES), len(histories), squeeze=False)
    for row, (curve, label) in enumerate(_CURVES.items()):
        for column, (name, history) in enumerate(histories.items()):
            panel = axes[row][column]
            epochs = range(1, len(history) + 1)
            folds = {
                "train": ([one.train for one in history], _TRAINING),
                "validation": ([one.validation for one in history], _VALIDATION),
            }
            for fold, (figures, color) in folds.items():
                values = [_value(one, curve) for one in figures]
                panel.plot(epochs, values, color=color, marker=".", label=fold)
            number = f"Figure {row * len(histories) + column + 1}: " if numbered else ""
            panel.set_title(f"{number}{label}, {name}", fontsize="medium")
            panel.set_xlabel("Epoch")
            panel.xaxis.get_major_locator().set_params(integer=True)
            panel.grid(alpha=0.3)
            panel.legend()
    return svg(figure)


def heat_maps(
    title: str,
    panels: Mapping[tuple[str, str], Mapping[str, Sequence[Cell]]],
    *,
    columns: Sequence[str],
    axis: str,
    lowest: float = 0.0,
) -> bytes:
    """Draw heat maps in a grid.

    Args:
        title: above all panels.
        panels: (row of the grid, column of the grid) → row of the map → a cell per column.
        columns: the maps' columns.
        axis: what the columns are.
        lowest: value of the darkest colour; lower values look the same.

    Returns:
        An SVG file; equal arguments give equal bytes.
    """
    grid_rows = list(dict.fromkeys(line for line, _ in panels))
    grid_columns = list(dict.fromkeys(column for _, column in panels))
    rows = max(map(len, panels.values()))
    size = (
        2.4 + 0.62 * len(columns) * len(grid_columns),
        1.4 + (0.9 + 0.5 * rows) * len(grid_rows),
    )
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(len(grid_rows), len(grid_columns), squeeze=False)
    for (line, column), cells in panels.items():
        place = axes[grid_rows.index(line)][grid_columns.index(column)]
        _draw_map(place, cells, columns, lowest)
        place.set_ylim(rows - 0.5, -0.5)  # cells of one size in every map
        place.set_title(f"{line}: {column}", fontsize="medium")
        place.set_xlabel(axis)
    return svg(figure)


def sweep(
    title: str,
    panels: Mapping[tuple[str, str], Mapping[str, Sequence[Point]]],
    *,
    steps: Sequence[str],
    axis: str,
) -> bytes:
    """Draw lines with intervals over the steps of a sweep, panels in a grid.

    Args:
        title: above all panels.
        panels: (row of the grid, column of the grid) → line's name → a point per step.
        steps: labels of the steps, drawn evenly spaced.
        axis: what the steps are.

    Returns:
        An SVG file; equal arguments give equal bytes.
    """
    grid_rows = list(dict.fromkeys(line for line, _ in panels))
    grid_columns = list(dict.fromkeys(column for _, column in panels))
    figure = Figure(figsize=(4.5 * len(grid_columns), 3 * len(grid_rows) + 1), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(len(grid_rows), len(grid_columns), squeeze=False)
    for (line, column), lines in panels.items():
        place = axes[grid_rows.index(line)][grid_columns.index(column)]
        for number, (name, points) in enumerate(lines.items()):
            # Next to each other, so that no interval hides another.
            shift = 0.08 * (number - (len(lines) - 1) / 2)
            means = [point.mean for point in points]
            place.errorbar(
                [step + shift for step in range(len(points))],
                means,
                yerr=[
                    [point.mean - point.low for point in points],
                    [point.high - point.mean for point in points],
                ],
                color=LINES[number % len(LINES)],
                marker=MARKERS[number % len(MARKERS)],
                markersize=4,
                linewidth=1.2,
                capsize=2,
                label=name,
            )
        place.set_title(f"{line}: {column}", fontsize="medium")
        place.set_xticks(range(len(steps)), steps)
        place.set_xlabel(axis)
        # An interval of a few seeds may exceed the range of the metric.
        lowest, highest = place.get_ylim()
        place.set_ylim(max(lowest, -0.02), min(highest, 1.02))
        place.grid(alpha=0.3)
    handles, names = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return svg(figure)


def threshold_curves(
    title: str,
    panels: Mapping[str, Mapping[str, Sequence[Point]]],
    thresholds: Sequence[float],
    *,
    logarithmic: Collection[str] = (),
) -> bytes:
    """Draw lines with bands over thresholds, one panel next to the other.

    Args:
        title: above all panels.
        panels: title of a panel → name of a line → a point per threshold.
        thresholds: in (0, 1), ascending, drawn by their log-odds.
        logarithmic: panels whose vertical axis is.

    Returns:
        An SVG file; equal arguments give equal bytes.
    """
    figure = Figure(figsize=(4 * len(panels), 4), layout="constrained")
    figure.suptitle(title)
    places = [_log_odds(one) for one in thresholds]
    for panel, (name, lines) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
    ):
        for (line, points), color in zip(lines.items(), LINES, strict=False):
            panel.plot(places, [one.mean for one in points], color=color, label=line)
            low, high = [one.low for one in points], [one.high for one in points]
            panel.fill_between(places, low, high, color=color, alpha=0.2, linewidth=0)
        panel.set_title(name, fontsize="medium")
        panel.set_xlabel("threshold")
        ticks = [one for one in _TICKS if places[0] <= _log_odds(one) <= places[-1]]
        names = [f"{one:g}".removeprefix("0") for one in ticks]
        panel.set_xticks([_log_odds(one) for one in ticks], names, fontsize="small")
        if name in logarithmic:
            panel.set_yscale("log")
            panel.set_ylim(_LEAST_RATE, 1)
        else:
            panel.set_ylim(-0.02, 1.02)
        panel.grid(alpha=0.3)
        if len(lines) > 1:
            panel.legend(fontsize="small")
    return svg(figure)


def reliability(
    title: str, panels: Mapping[str, Mapping[str, Sequence[tuple[float, Point]]]]
) -> bytes:
    """Draw reliability diagrams in a grid: the share of positives over the score.

    Args:
        title: above all panels.
        panels: title of a panel → name of a line → mean score and share of positives of each bin.

    Returns:
        An SVG file; equal arguments give equal bytes.
    """
    columns = min(3, len(panels))
    rows = math.ceil(len(panels) / columns)
    figure = Figure(figsize=(3.4 * columns, 3.4 * rows + 0.8), layout="constrained")
    figure.suptitle(title)
    places = figure.subplots(rows, columns, squeeze=False).flat
    for place, (name, lines) in zip(places, panels.items(), strict=False):
        place.plot([0, 1], [0, 1], color="#999999", linestyle="--", linewidth=1)
        styles = zip(LINES, MARKERS, strict=True)
        for (line, bins), (color, marker) in zip(lines.items(), styles, strict=False):
            scores, points = [score for score, _ in bins], [point for _, point in bins]
            means = [one.mean for one in points]
            spread = [
                [one.mean - one.low for one in points],
                [one.high - one.mean for one in points],
            ]
            place.errorbar(
                scores, means, spread, color=color, lw=1, marker=marker, ms=3, label=line
            )
        place.set_title(name, fontsize="medium")
        place.set_xlabel("score")
        place.set_ylabel("share of positives")
        place.set_xlim(-0.05, 1.05)
        place.set_ylim(-0.05, 1.05)
        place.grid(alpha=0.3)
    for place in figure.axes[len(panels) :]:
        place.set_axis_off()
    handles, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return svg(figure)


def _log_odds(score: float) -> float:
    return math.log(score / (1 - score))


def _value(figures: FoldFigures, curve: Literal["accuracy", "f1", "loss"]) -> float:
    value: float = getattr(figures, curve)
    return value


def _draw_map(
    place: Axes, cells: Mapping[str, Sequence[Cell]], columns: Sequence[str], lowest: float
) -> None:
    values = [[cell.value for cell in row] for row in cells.values()]
    place.imshow(values, cmap="cividis", vmin=lowest, vmax=1, aspect="auto")
    place.set_xticks(range(len(columns)), columns, fontsize="small")
    place.set_yticks(range(len(cells)), list(cells), fontsize="small")
    for line, row in enumerate(cells.values()):
        for column, cell in enumerate(row):
            text = f"{cell.value:.2f}".removeprefix("0")
            if cell.mark:
                text += f"\n{cell.mark}"
                corner = (column - 0.44, line - 0.42)
                place.add_patch(Rectangle(corner, 0.88, 0.84, fill=False, ec=_VALIDATION, lw=2.5))
            color = "black" if cell.value > (1 + lowest) / 2 else "white"
            place.text(column, line, text, ha="center", va="center", fontsize=7.5, color=color)


def svg(figure: Figure) -> bytes:
    """Write a figure as an SVG file; equal figures give equal bytes."""
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "dandelion", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
