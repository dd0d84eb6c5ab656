"""Edits of ``serving.toml``: what is meant, and nothing else."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion.serving import ServingError
from dandelion.serving_edit import Value, edited

PATH = Path("serving.toml")

LINE = """\
# Which variant serves each model.
[models]
abuse = "bce-wide"  # measured
spam = 'dice'   # since May
# for later: spam = "mse"

[protocols.perspective.attributes]
TOXICITY = "abuse"
"""

TABLE = """\
[models]
abuse = "bce-wide"

[models.spam]  # the one of the forum
# served since May
variant = "dice"  # see the card
variants = [
    "mse",  # for a comparison
]
shadow = "other"
shadow_share = 0.5

[models.spam.policies.teens]
variant_of_nothing = 1
"""


def edit(text: str, **changes: Value) -> str:
    return edited(text.encode(), PATH, "spam", changes).decode()


def test_a_line_becomes_a_table_and_every_comment_stays() -> None:
    assert (
        edit(LINE, variant="new", shadow="dice")
        == """\
# Which variant serves each model.
[models]
abuse = "bce-wide"  # measured

[models.spam]
variant = "new"   # since May
shadow = "dice"
# for later: spam = "mse"

[protocols.perspective.attributes]
TOXICITY = "abuse"
"""
    )


def test_values_of_a_table_are_replaced_where_they_stand() -> None:
    expected = TABLE.replace('"dice"', '"new"').replace('"other"', '"dice"')
    assert edit(TABLE, variant="new", shadow="dice") == expected


def test_removed_keys_leave_no_line() -> None:
    expected = TABLE.replace('shadow = "other"\nshadow_share = 0.5\n', "")
    assert edit(TABLE, shadow=None, shadow_share=None) == expected


def test_line_ends_and_a_missing_last_one_are_kept() -> None:
    found = edit('[models]\r\nspam = "dice"', variant="new", shadow="dice")
    assert found.count("\n") == found.count("\r\n") == 5
    assert edit('[models.spam]\nvariant = "a"', shadow="b").endswith(
        'variant = "a"\nshadow = "b"\n'
    )


@pytest.mark.parametrize(
    "text",
    [
        '[models]\nspam = { variant = "dice" }\n',
        'models.spam = "dice"\n',
        '[models]\nspam.variant = "dice"\n',
        "[models.spam]\nvariant = '''dice'''\n",
    ],
)
def test_other_forms_are_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(ServingError, match=r"by hand|write it as: \[models.spam\]; variant = "):
        edit(text, variant="new", shadow="dice")


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(ServingError, match="has no model 'ham'"):
        edited(LINE.encode(), PATH, "ham", {"variant": "x"})


NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=8)
COMMENTS = st.sampled_from(["", "  # why", '# "quoted" = [models.spam]'])


@st.composite
def files(draw: st.DrawFn) -> str:
    """Draw valid files with the model `spam`, with comments, other tables and line ends."""
    end = draw(st.sampled_from(["\n", "\r\n"]))
    comment = draw(COMMENTS)
    variant = draw(st.sampled_from(['"dice"', "'dice'", '"di\\u0063e"']))
    others = [f'other{number} = "x" {draw(COMMENTS)}' for number in range(draw(st.integers(0, 2)))]
    if draw(st.booleans()):
        spam = [f"spam = {variant}{comment}"]
        body = ["[models]", *draw(st.permutations([*others, *spam]))]
    else:
        keys = [f"variant = {variant}{comment}"]
        keys += ['shadow = "s"'] * draw(st.booleans())
        keys += ["shadow_share = 0.25 # tenth"] * draw(st.booleans())
        keys += ['variants = ["a", "b"]'] * draw(st.booleans())
        body = ["[models]", *others, "", "[models.spam]", *draw(st.permutations(keys))]
    tail = draw(st.sampled_from([[], ["", "[models.spam.gate]", "max_recall_drop = 0.5"]]))
    tail = tail if "[models.spam]" in body else []
    return end.join([draw(COMMENTS).strip() or "#", *body, *tail]) + draw(
        st.sampled_from(["", end])
    )


@given(files(), NAMES, st.none() | NAMES)
def test_the_result_is_exactly_what_was_meant(text: str, variant: str, shadow: str | None) -> None:
    before = tomllib.loads(text)
    changes: dict[str, Value] = {"variant": variant, "shadow": shadow}
    if shadow is None:
        changes["shadow_share"] = None
    after = tomllib.loads(edited(text.encode(), PATH, "spam", changes).decode())
    table = before["models"].pop("spam")
    table = {"variant": table} if isinstance(table, str) else table
    for key, value in changes.items():
        table.pop(key, None)
        if value is not None:
            table[key] = value
    assert after["models"].pop("spam") == table
    assert after == before
