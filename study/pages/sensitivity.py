"""The page about learning rates: where losses collapse, why Dice does, and the cure."""

import json
from collections.abc import Iterator, Mapping, Sequence

from training.tables import figure, markdown_table

from ..schema.studies import Network, Sensitivity, SensitivityCell
from .wording import percent, rate, reflow, title, variant_title


def page(stored: Sensitivity) -> str:
    """Return ``sensitivity.md``."""
    rates = [rate(one) for one in stored.rates]
    changed = [rate(one) for one in _changed_rates(stored)]
    return reflow(f"""\
# Where losses collapse, why, and the cure

Made by `python -m study sensitivity`; every figure is in [sensitivity.json](sensitivity.json).

{paragraph(stored)}

![Macro-F1 and collapsed runs over learning rates, naive and cured](sensitivity.svg)

Grouped protocol, figures on validation, seeds {", ".join(map(str, stored.seeds))}, the plain
DAN, five epochs of batches of 64, the last one kept; Cyberbullying on a fixed sample of
{stored.sample_rows:,} rows, chosen by whole groups. *Collapsed*: at threshold 0.5, G-mean under
.1 and accuracy within .002 of a constant prediction's. The axis is the learning rate of the layers;
the embedding's is a fixed multiple of it, naive 1, cured 3. Below {rate(stored.promised_from)} five
epochs are too few: a constant prediction there is an unfinished run, whatever the loss.

## The paper's section 5.3

"Dice Loss is very sensitive to the learning rate": naive Dice on Cyberbullying, collapsed runs,
macro-F1 at 0.5, and the epoch with the best macro-F1 at the fitted threshold, a mean:

{_table(rates, [_line(name, cells) for name, cells in _dice_lines(stored)])}
{_cause(stored)}

## One change at a time

Changes to naive Dice on Cyberbullying: collapsed runs and macro-F1 at 0.5. Without a collapse:
{_without_collapse(stored)}.

{_table(changed, [_line(name, cells, best=False) for name, cells in _changed_lines(stored)])}
## The cure

In a configuration, at any learning rate of the layers, as long as the embedding's is three times
it:

```toml
{_toml(stored.cure)}```

The embedding's rate helps at small rates; the other two prevent the collapse.

Checked on all the data, and with a wide path (`surface_dimensions = 16`, on Cyberbullying
`types_weight = 1`, the wide rates 30 times the layers', at most 1; one seed):

{_checks(stored)}""")


def _cause(stored: Sensitivity) -> str:
    before, after = (_networks(stored, recipe)[-1] for recipe in ("naive", "cured"))
    return f"""\
## The cause

**Which class is counted.** Dice's gradient by a logit is p (1 − p) (2y − D) / (Σy + Σp). Over all
texts, each with the score p, the pushes do not cancel: where the counted class has the share π,
π / (π + 2p − 2πp) of their size moves every logit alike, towards that class; at the start, p = ½,
that is π itself. It ends only at p = 1, where the class's Dice is 2π / (1 + π). The mean of both
classes' Dice is stationary at p = π, as cross-entropy is.

{_gradient_table(stored)}
**The flat sigmoid.** p (1 − p) is a factor of every text's gradient. In the network of the first
seed, on texts from the whole Cyberbullying data set, naive → cured: the median size of a logit, the
texts whose p (1 − p) is below {rate(stored.vanished_below)}, and the units of the second hidden
layer that are zero on every text:

{_network_table(stored)}
Large steps make large weights and these large logits, all of one sign; then no text has a gradient
left that could lead back. Dead units are not the cause: at {rate(before.rate)} the naive network
has
{percent(before.dead_second)} of its second layer dead and is lost, the cured one has
{percent(after.dead_second)} and classifies. A decoupled decay of 1 shrinks the layers by the rate
itself at every step, so the larger the rate, the stronger the decay."""


def paragraph(stored: Sensitivity) -> str:
    """Summarise what was found, from the figures."""
    models = models_of(stored)
    lines = {
        (part, model): _promised(stored, cells_of(stored, part, model, "dice"))
        for part in ("naive", "cured")
        for model in models
    }
    cost, dearest = min(
        (after.macro_f1 - before.macro_f1, after)
        for model in models
        for before, after in zip(lines["naive", model], lines["cured", model], strict=True)
    )
    before, after = (
        " and ".join(f"{_count(lines[part, model])} runs on {title(model)}" for model in models)
        for part in ("naive", "cured")
    )
    first = next(one for one in stored.first_gradient if one.model == stored.model)
    return f"""\
At learning rates of the layers from {rate(stored.promised_from)} to .1, naive Dice predicts a
single class in {before}; cured, in {after}. Runs of other losses that do, under the naive recipe:
{_others(stored)}.

The first cause: Dice of one class is improved by predicting that class for everything, and where it
is {percent(first.share)} of the texts, {percent(abs(first.push))} of the first gradient does
nothing else. The second: a large rate makes every logit large, and the gradient has the sigmoid's
slope as a factor. The cure counts both classes, lets the weights of the layers decay at 1, and
gives the embedding three times the rate of the layers. {_cost(cost, dearest)}"""


def models_of(stored: Sensitivity) -> list[str]:
    """Return the models of the map, in order."""
    return list(dict.fromkeys(one.model for one in stored.cells if one.part == "naive"))


def cells_of(stored: Sensitivity, part: str, model: str, row: str) -> list[SensitivityCell]:
    """Return a row of a map, in the order of the rates."""
    wanted = (part, model, row)
    return [one for one in stored.cells if (one.part, one.model, one.row) == wanted]


def lines_of(stored: Sensitivity, part: str, model: str) -> dict[str, list[SensitivityCell]]:
    """Return a map: row → its cells."""
    rows = dict.fromkeys(one.row for one in stored.cells if (one.part, one.model) == (part, model))
    return {row: cells_of(stored, part, model, row) for row in rows}


def _cost(cost: float, cell: SensitivityCell) -> str:
    if cost >= 0:
        return "At none of these rates does it cost macro-F1 at threshold 0.5."
    return (
        f"The most that it costs is {figure(-cost)} of macro-F1 at threshold 0.5, on "
        f"{title(cell.model)} at {rate(cell.rate)}."
    )


def _promised(stored: Sensitivity, cells: Sequence[SensitivityCell]) -> list[SensitivityCell]:
    return [one for one in cells if one.rate >= stored.promised_from]


def _count(cells: Sequence[SensitivityCell]) -> str:
    """Count the collapsed runs of cells."""
    return f"{sum(one.collapsed for one in cells)} of {sum(one.runs for one in cells)}"


def _others(stored: Sensitivity) -> str:
    """Count the collapses of the losses that have no cure, as they count no class."""
    counts = []
    cured = {one.row for one in stored.cells if one.part == "cured"}
    for loss in dict.fromkeys(one.row for one in stored.cells if one.part == "naive"):
        if loss not in cured:
            cells = [
                cell
                for model in models_of(stored)
                for cell in _promised(stored, cells_of(stored, "naive", model, loss))
            ]
            counts.append(f"{variant_title(loss)} {_count(cells)}")
    return ", ".join(counts)


def _dice_lines(stored: Sensitivity) -> Iterator[tuple[str, list[SensitivityCell]]]:
    for part in ("naive", "cured"):
        yield part, cells_of(stored, part, stored.model, "dice")


def _changed_rates(stored: Sensitivity) -> list[float]:
    tried = {one.rate for one in stored.cells if one.part == "change"}
    return [one for one in stored.rates if one in tried]


def _changed_lines(stored: Sensitivity) -> Iterator[tuple[str, list[SensitivityCell]]]:
    rates = _changed_rates(stored)

    def tried(part: str) -> list[SensitivityCell]:
        cells = cells_of(stored, part, stored.model, "dice")
        return [one for one in cells if one.rate in rates]

    yield "naive", tried("naive")
    yield from lines_of(stored, "change", stored.model).items()
    yield "cured", tried("cured")


def _without_collapse(stored: Sensitivity) -> str:
    """Name the changes that alone, or as a pair, prevent every collapse."""
    lines = lines_of(stored, "change", stored.model).items()
    return "; ".join(name for name, cells in lines if _count(cells).startswith("0 ")) or "none"


def _line(name: str, cells: Sequence[SensitivityCell], *, best: bool = True) -> list[str]:
    return [name, *(_cell(one) + (f", {one.best_epoch:.1f}" if best else "") for one in cells)]


def _cell(one: SensitivityCell) -> str:
    macro_f1 = f"{one.macro_f1:.3f}".removeprefix("0")
    return f"**{one.collapsed}** · {macro_f1}" if one.collapsed else f"0 · {macro_f1}"


def _table(rates: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    return markdown_table(["", *rates], lines)


def _gradient_table(stored: Sensitivity) -> str:
    lines = []
    for one in stored.first_gradient:
        towards = "positive" if one.push > 0 else "negative"
        resting = f"p = {one.share:.3f}" if one.classes == "both" else f"all {towards}"
        push = f"{percent(abs(one.push))} towards {towards}"
        lines.append([title(one.model), one.classes, push, resting])
    header = ["", "counted", "of the first gradient, alike for all"]
    return markdown_table([*header, "a constant prediction ends at"], lines)


def _networks(stored: Sensitivity, recipe: str) -> list[Network]:
    return [one for one in stored.networks if one.recipe == recipe]


def _network_table(stored: Sensitivity) -> str:
    lines = [
        [
            rate(before.rate),
            f"{before.median_logit_size:,.1f} → {after.median_logit_size:,.1f}",
            f"{percent(before.vanished)} → {percent(after.vanished)}",
            f"{percent(before.dead_second)} → {percent(after.dead_second)}",
        ]
        for before, after in zip(
            _networks(stored, "naive"), _networks(stored, "cured"), strict=True
        )
    ]
    return markdown_table(["rate", "logit", "vanished", "dead units"], lines)


def _checks(stored: Sensitivity) -> str:
    lines = [
        [
            title(one.model),
            one.part,
            rate(one.rate),
            f"{one.collapsed} of {one.runs}",
            figure(one.macro_f1),
            figure(one.macro_f1_fitted),
        ]
        for one in stored.cells
        if one.part == "wide" or one.part.endswith("all data")
    ]
    header = ["", "", "rate", "collapsed", "macro-F1 at 0.5", "fitted"]
    return markdown_table(header, lines)


def _toml(fields: Mapping[str, object]) -> str:
    def value(one: object) -> str:
        if isinstance(one, Mapping):
            return f"{{ {', '.join(f'{key} = {value(item)}' for key, item in one.items())} }}"
        return json.dumps(one)

    return "".join(f"{name} = {value(one)}\n" for name, one in fields.items())
