"""Plots, read back as text: an SVG keeps its words."""

import re

from study.plots import Cell, Point, heat_maps, learning_curves, sweep
from study.schema.results import EpochFigures, FoldFigures


def words(figure: bytes) -> list[str]:
    return re.findall(r">([^<>\n]+)</t(?:ext|span)>", figure.decode())


def history(count: int) -> list[EpochFigures]:
    fold = FoldFigures(loss=0.5, accuracy=0.5, f1=0.5)
    return [EpochFigures(fold, fold, 0.5, 0.5)] * count


def test_learning_curves_number_their_panels() -> None:
    numbered = words(learning_curves("Dice", {"SMS": history(3)}, numbered=True))
    assert {"Dice", "Figure 1: Accuracy, SMS", "Figure 3: Loss, SMS"} <= set(numbered)
    plain = words(learning_curves("Dice", {"SMS": history(3)}, numbered=False))
    assert "Loss, SMS" in plain


def test_a_heat_map_shows_every_cell_and_frames_the_marked() -> None:
    panels = {
        ("SMS", "naive"): {"Dice": [Cell(0.234, "3/3"), Cell(0.96, "")]},
        ("SMS", "cured"): {"Dice": [Cell(0.95, ""), Cell(0.97, "")]},
    }
    figure = heat_maps("Map", panels, columns=["1e-3", "1e-1"], axis="rate")
    shown = words(figure)
    assert {"SMS: naive", "SMS: cured", ".23", "3/3", ".96", ".95", ".97", "1e-1"} <= set(shown)
    assert shown.count("3/3") == 1
    assert figure == heat_maps("Map", panels, columns=["1e-3", "1e-1"], axis="rate")
    unmarked = {place: {"Dice": [Cell(0.5, "")] * 2} for place in panels}
    frames = [
        one.count(b"#d55e00")
        for one in (figure, heat_maps("Map", unmarked, columns=["a", "b"], axis="rate"))
    ]
    assert frames == [1, 0]


def test_a_sweep_has_lines_names_and_intervals() -> None:
    panels = {
        ("SMS", "AP"): {
            "BCE": [Point(0.9, 0.8, 1.0), Point(0.7, 0.5, 0.9)],
            "Dice": [Point(0.8, 0.7, 0.9), Point(0.4, 0.2, 0.6)],
        }
    }
    figure = sweep("Sweep", panels, steps=["13 %", "1 %"], axis="minority")
    assert {"SMS: AP", "BCE", "Dice", "13 %", "1 %", "minority"} <= set(words(figure))
    assert figure == sweep("Sweep", panels, steps=["13 %", "1 %"], axis="minority")
    narrow = {
        place: {name: [Point(one.mean, one.mean, one.mean) for one in points]}
        for place, lines in panels.items()
        for name, points in lines.items()
    }
    assert figure != sweep("Sweep", narrow, steps=["13 %", "1 %"], axis="minority")
