"""Reading a batch whose items may be wrong, each on its own (``"on_error": "report"``)."""

import re
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import DecodeError, Meta, Raw, Struct
from msgspec.json import Decoder

from .. import errors
from ..errors import Problem
from . import body
from .schemas import ClassifyRequest

_ITEM: Final = re.compile(r"#/texts/\d+")
# Commas outside of strings, for each allowed text: what is left raw is bounded before it is found.
_COMMAS_PER_TEXT: Final = 16


class _Wish(Struct):
    """What a request wants of its errors, whatever else is in it."""

    on_error: Literal["report"] | None = None


class ItemDecoder:
    """Decodes a body that was refused for an item again, its items one by one.

    Args:
        schema: of the request.
        max_texts: the number of texts at most.
        max_text_chars: the length of a text at most.
    """

    def __init__(self, schema: type[ClassifyRequest], max_texts: int, max_text_chars: int) -> None:
        raw = Annotated[list[Raw], Meta(min_length=1, max_length=max_texts)]
        request: Any = msgspec.defstruct(
            schema.__name__, [("texts", raw)], bases=(schema,), forbid_unknown_fields=True
        )
        self._wish = Decoder(_Wish)
        self._request: Decoder[ClassifyRequest] = Decoder(request)
        self._text = Decoder(Annotated[str, Meta(max_length=max_text_chars)])
        self._max_texts = max_texts

    def decode(self, content: bytes, problem: Problem) -> tuple[ClassifyRequest, dict[int, str]]:
        """Return the request with its valid texts, and what is wrong with the others.

        Args:
            content: the body.
            problem: why it was refused.

        Returns:
            The request, and position → what was expected there.

        Raises:
            Problem: 400 or 422; the given one unless it is about an item and the request, which
                must be JSON to its end for this, wants these reported; the given one, too, if an
                item is nested too deeply or there are far too many values.
        """
        is_about_item = problem.errors and _ITEM.fullmatch(problem.errors[0].pointer)
        if not is_about_item or self._has_too_many_values(content):
            raise problem
        try:
            wish = self._wish.decode(content)
            if wish.on_error is None:
                raise problem
            request = body.decode(self._request, content, self._max_texts)
        except (DecodeError, RecursionError):  # or an item is nested too deeply
            raise problem from None
        texts: list[str] = []
        found: dict[int, str] = {}
        for position, item in enumerate(request.texts):
            try:
                texts.append(self._text.decode(item))
            except msgspec.ValidationError as error:
                found[position] = body.expected(str(error))
            except (DecodeError, UnicodeDecodeError):
                raise errors.not_json("a string is not valid UTF-8") from None
        request.texts = texts
        return request, found

    def _has_too_many_values(self, content: bytes) -> bool:
        """Return whether a body has far more values than texts are allowed.

        The decoder notices this only at the end of the array. Too many strings are left to
        `body.decode`.
        """
        most = _COMMAS_PER_TEXT * self._max_texts
        if content.count(b",") <= most or not body.has_few_strings(
            content, self._max_texts + body.NAMES
        ):
            return False
        unescaped = content.replace(b"\\\\", b"").replace(b'\\"', b"")
        return sum(part.count(b",") for part in unescaped.split(b'"')[::2]) > most
