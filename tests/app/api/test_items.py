"""Decoding the items of a batch, each on its own."""

import pytest
from msgspec.json import Decoder

from app.api import body
from app.api.items import ItemDecoder
from app.api.schemas import limited_request
from app.errors import Problem


def test_an_item_of_any_depth_is_reported_or_the_request_is_refused() -> None:
    """The deepest item that the decoder skips is one level less deep than what it leaves raw."""
    schema = limited_request(10, 100)
    items = ItemDecoder(schema, 10, 100)
    found = set()
    for depth in range(500, 1100):
        content = b'{"texts": ["a", %s], "on_error": "report"}' % (b"[" * depth + b"]" * depth)
        with pytest.raises(Problem) as refused:
            body.decode(Decoder(schema), content, 10)
        try:
            request, problems = items.decode(content, refused.value)
        except Problem as problem:
            found.add(str(problem))
        else:
            found.add((*request.texts, *problems))
    assert found == {("a", 1), "The request body is invalid."}
