from hypothesis import given
from hypothesis import strategies as st

from app.serving.extras import Extras


@given(st.lists(st.sampled_from(["first", "second", ""]), max_size=20))
def test_errors_of_both_stages_are_at_their_positions_in_the_request(stages: list[str]) -> None:
    """Each text fails in the first stage, in the second, which does not see it then, or never."""
    first = {place: "first" for place, stage in enumerate(stages) if stage == "first"}
    left = [stage for stage in stages if stage != "first"]
    second = {place: "second" for place, stage in enumerate(left) if stage == "second"}

    found = Extras(is_reporting=True, errors=first).without(second)

    assert found.errors == {place: stage for place, stage in enumerate(stages) if stage}
