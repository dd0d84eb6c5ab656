"""Learning curves, as the paper's Figures 1 to 6."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

_CURVES = {"accuracy": "Accuracy", "f1": "F1", "loss": "Loss"}
_TRAINING, _VALIDATION = "#0072b2", "#d55e00"  # told apart by colour-blind readers too


def learning_curves(
    title: str, histories: Mapping[str, Sequence[Mapping[str, Any]]], *, numbered: bool
) -> bytes:
    """Draw accuracy, F1 and loss over epochs, training and validation, a column a data set.

    Args:
        title: above all panels.
        histories: data set → an entry an epoch, see `training.trainer.Epoch`.
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
            for fold, color in (("train", _TRAINING), ("validation", _VALIDATION)):
                values = [epoch[fold][curve] for epoch in history]
                panel.plot(epochs, values, color=color, marker=".", label=fold)
            number = f"Figure {row * len(histories) + column + 1}: " if numbered else ""
            panel.set_title(f"{number}{label}, {name}", fontsize="medium")
            panel.set_xlabel("Epoch")
            panel.xaxis.get_major_locator().set_params(integer=True)
            panel.grid(alpha=0.3)
            panel.legend()
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "dandelion", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return buffer.getvalue()
