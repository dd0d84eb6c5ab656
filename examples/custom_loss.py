"""Write a custom loss and train with it.

Shows: the signature of a loss, how it is registered, and how an option reaches it. To keep a loss,
put the function into `training/losses/` and its line into `LOSSES` there instead; CONTRIBUTING.md
lists the steps.

Run, from the root of a checkout (`make install-training` first)::

    python examples/custom_loss.py

Prints the test metrics of a small model trained with the loss, then the loss and the option that
its artifact records.
"""

import csv
import tempfile
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from dandelion import Classifier
from training import cli
from training.losses.options import Positive
from training.losses.registry import LOSSES, Registered


def one_sided(logits: Tensor, targets: Tensor, *, cost: Positive = 5.0) -> Tensor:
    """Cross-entropy in which a missed positive costs ``cost`` times a false alarm.

    Args:
        logits: float[n].
        targets: float[n] of zeros and ones.
        cost: an option; its type says what is allowed: ``--set 'loss_options={cost=3}'``.

    Returns:
        A scalar.
    """
    weight = torch.tensor(cost, dtype=logits.dtype)
    return functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=weight)


def write_csv(path: Path) -> None:
    """Write 120 made-up messages with their labels, one in five a refund request."""
    days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
    names = "ana ben cara dev eli fay gus hana ian jo kim leo mia ned ola pia quinn rob sue tom"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        for day in days:
            for number, name in enumerate(names.split()):
                refund = number % 5 == 0
                text = "wants the money back" if refund else "asks about delivery"
                writer.writerow([f"{name} {text} on {day}", "refund" if refund else "other"])


def main(directory: Path) -> None:
    """Register the loss, train with it through the command line, and read the artifact."""
    LOSSES["one_sided"] = Registered(one_sided)

    data = directory / "messages.csv"
    write_csv(data)
    cli.app(
        [
            "train",
            *("--name", "refunds", "--data", str(data), "--positive", "refund"),
            *("--loss", "one_sided", "--set", "loss_options={cost=3}"),
            *("--output", str(directory / "artifacts")),
            *("--set", "hidden=16", "--set", "epochs=6", "--set", "wide.bits=12"),
        ],
        standalone_mode=False,
    )
    manifest = Classifier.load(directory / "artifacts" / "refunds" / "wide").manifest
    print(f"loss: {manifest.loss}, options: {manifest.config['loss_options']}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
