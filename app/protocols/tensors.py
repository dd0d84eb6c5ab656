"""What clients of the Open Inference Protocol send and get: requests in JSON, tensors in binary.

Sources: see `open_inference`.
"""

import math
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import numpy as np
from msgspec import Meta, Raw, Struct
from msgspec.json import Decoder

from dandelion.decision.calibration import MAX_PRIOR, MIN_PRIOR
from dandelion.plural import number_of

from .. import errors
from ..api import body
from ..api.inference import STRINGS, Texts
from ..api.schemas import MAX_POINT_CHARS
from ..errors import FieldError, Problem
from ..serving.classification import INLINE_TEXTS

INPUT: Final = "text"

_SHAPE: Final = re.compile(rb"\[\s*([0-9]{1,18})\s*(,\s*1\s*)?\]")
# Of an element of a BYTES tensor: its length, little-endian, then as many bytes.
_SIZE_BYTES: Final = 4
# No model here has more.
_MAX_OUTPUTS: Final = 3


class Parameters(Struct, forbid_unknown_fields=True):
    """The parameters of a request: as in the body of ``/classify``, and those of the protocol."""

    threshold: Annotated[float, Meta(ge=0, le=1)] | None = None
    policy: str | None = None
    operating_point: Annotated[str, Meta(max_length=MAX_POINT_CHARS)] | None = None
    prior: Annotated[float, Meta(ge=MIN_PRIOR, le=MAX_PRIOR)] | None = None
    binary_data_output: bool = False
    # Of other servers; nothing here depends on them.
    content_type: str | None = None
    priority: int | None = None
    timeout: int | None = None


class _InputParameters(Struct):
    binary_data_size: Annotated[int, Meta(ge=0)] | None = None


class _OutputParameters(Struct):
    binary_data: bool | None = None
    classification: int | None = None
    shared_memory_region: str | None = None


class _Output(Struct):
    name: str
    parameters: _OutputParameters | None = None


class _Input(Struct):
    """The input tensor; ``shape`` is not decoded, since it may have any length."""

    name: str
    shape: Raw
    datatype: str
    parameters: _InputParameters | None = None
    data: Any = None


class _Request(Struct):
    """A request to infer. The protocol allows other members."""

    inputs: Any
    id: str | None = None
    parameters: Raw = Raw(b"null")
    outputs: Annotated[list[_Output], Meta(max_length=_MAX_OUTPUTS)] | None = None


def _limited(max_texts: int, max_text_chars: int) -> type[_Request]:
    """Return `_Request` with limits in its type."""
    text = Annotated[str, Meta(max_length=max_text_chars)]
    row = Annotated[list[text], Meta(min_length=1, max_length=1)]
    data = Annotated[list[text | row], Meta(max_length=max_texts)]
    tensor: Any = msgspec.defstruct("_Input", [("data", data | None, None)], bases=(_Input,))
    inputs = Annotated[list[tensor], Meta(min_length=1, max_length=1)]
    found: Any = msgspec.defstruct("_Request", [("inputs", inputs)], bases=(_Request,))
    return found  # type: ignore[no-any-return]


class InferRequest(NamedTuple):
    """A request to infer, decoded.

    Attributes:
        texts: at least one.
        is_column: whether its shape is [n, 1].
        id: of the request.
        parameters: of the request.
        outputs: names, in the order of the request, and whether each is binary.
    """

    texts: list[str]
    is_column: bool
    id: str | None
    parameters: Parameters
    outputs: Sequence[tuple[str, bool]]


class Reader:
    """Decodes requests to infer.

    Args:
        max_texts: the number of texts at most.
        max_text_chars: the length of a text at most.
    """

    def __init__(self, max_texts: int, max_text_chars: int) -> None:
        self._max_texts = max_texts
        self._max_text_chars = max_text_chars
        self._request = Decoder(_limited(max_texts, max_text_chars))
        self._parameters = Decoder(Parameters)

    def read(self, content: bytes, length: int | None, outputs: Sequence[str]) -> InferRequest:
        """Return what is in a request.

        Args:
            content: its body.
            length: of the JSON at its start, if the header gives one; None for all of it.
            outputs: the names of those that the model has.

        Raises:
            Problem: 400 or 422.
        """
        if length is not None and length > len(content):
            raise invalid_header("It exceeds the size of the body")
        head = content if length is None else content[:length]
        if not body.has_few_strings(head, self._max_texts + body.NAMES):
            raise self._too_many()
        request = body.decode(self._request, head, self._max_texts)
        tensor = request.inputs[0]
        if tensor.name != INPUT or tensor.datatype != "BYTES":
            raise _invalid("inputs/0", f"Expected the tensor {INPUT!r} of datatype BYTES")
        shape = _SHAPE.fullmatch(bytes(tensor.shape))
        if shape is None or not (count := int(shape[1])):
            raise _invalid("inputs/0/shape", "Expected [n] or [n, 1], with n of at least 1")
        is_column = shape[2] is not None
        texts = self._texts(tensor, is_column, content[len(head) :])
        if len(texts) != count:
            raise _invalid("inputs/0", f"The shape has {count} elements, the data {len(texts)}")
        parameters = Parameters()
        if (given := bytes(request.parameters)) != b"null":
            parameters = body.decode(self._parameters, given, self._max_texts)
        wanted = _wanted(request.outputs, outputs, is_binary=parameters.binary_data_output)
        return InferRequest(texts, is_column, request.id, parameters, wanted)

    def _texts(self, tensor: _Input, is_column: bool, rest: bytes) -> list[str]:
        """Return the texts of a tensor.

        Raises:
            Problem: 422.
        """
        size = tensor.parameters and tensor.parameters.binary_data_size
        if (size is None) == (tensor.data is None):
            expected = "Expected either data or the parameter binary_data_size"
            raise _invalid("inputs/0", expected)
        if len(rest) != (size or 0):
            raise _invalid(
                "inputs/0",
                f"{len(rest)} bytes follow the JSON, whose size is in the header "
                f"Inference-Header-Content-Length; expected {size or 0}, as in binary_data_size",
            )
        return self._unpacked(rest) if tensor.data is None else _flat(tensor.data, is_column)

    def _unpacked(self, data: bytes) -> list[str]:
        """Return the elements of a BYTES tensor.

        Raises:
            Problem: 422, one of them is cut, no UTF-8 or too long; or there are too many.
        """
        texts: list[str] = []
        start = 0
        while start < len(data):
            if len(texts) == self._max_texts:
                raise self._too_many()
            begin = start + _SIZE_BYTES
            start = begin + int.from_bytes(data[start:begin], "little")
            if max(begin, start) > len(data):
                raise _invalid_text(len(texts), "It exceeds the size of the tensor")
            try:
                text = data[begin:start].decode()
            except UnicodeDecodeError:
                raise _invalid_text(len(texts), "Expected UTF-8") from None
            if len(text) > self._max_text_chars:
                limit = f"Expected a string of length <= {self._max_text_chars}"
                raise _invalid_text(len(texts), limit)
            texts.append(text)
        return texts

    def _too_many(self) -> Problem:
        return _invalid("inputs/0", f"Expected {number_of(self._max_texts, 'text')} at most")


def _wanted(
    asked: Sequence[_Output] | None, outputs: Sequence[str], *, is_binary: bool
) -> list[tuple[str, bool]]:
    """Return the outputs of a response, and whether each is binary.

    Raises:
        Problem: 422, the model has no such output, or one is asked for twice.
    """
    found = {}
    for position, output in enumerate(asked or ()):
        if output.name not in outputs or output.name in found:
            expected = f"Expected one of the outputs {', '.join(outputs)}, each at most once"
            raise _invalid(f"outputs/{position}/name", expected)
        given = output.parameters or _OutputParameters()
        if given.classification is not None or given.shared_memory_region is not None:
            expected = "Expected no classification and no shared memory: these are not supported"
            raise _invalid(f"outputs/{position}/parameters", expected)
        found[output.name] = is_binary if given.binary_data is None else given.binary_data
    return list((found or dict.fromkeys(outputs, is_binary)).items())


def pack_strings(values: Sequence[str]) -> bytes:
    """Return the elements of a BYTES tensor as binary data."""
    elements = {}
    for value in set(values):
        encoded = value.encode()
        elements[value] = len(encoded).to_bytes(_SIZE_BYTES, "little") + encoded
    return b"".join(map(elements.__getitem__, values))


def pack_floats(values: Sequence[float | None]) -> bytes:
    """Return the elements of an FP32 tensor as binary data; NaN for None."""
    found = [math.nan if value is None else value for value in values]
    return np.array(found, dtype="<f4").tobytes()


def _flat(data: list[Any], is_column: bool) -> list[str]:
    """Return the texts of a tensor in JSON, flat or, of shape [n, 1], nested.

    Raises:
        Problem: 422, it is nested in another form.
    """
    types = set(map(type, data))
    if types <= {str}:
        return data
    if types == {list} and is_column:
        return [text for (text,) in data]
    raise _invalid("inputs/0/data", "It is nested in another form than its shape")


def texts_after(length: int, max_texts: int) -> Texts:
    """Return how many texts a body holds whose first ``length`` bytes are JSON."""

    def count(content: bytes, most: int) -> int:
        found, start = 0, length
        while start < len(content) and found < most:
            stop = start + _SIZE_BYTES
            start = stop + int.from_bytes(content[start:stop], "little")
            found += 1
        return found

    def are_few(content: bytes) -> bool:
        few = STRINGS.are_few(content[:length])
        return few and count(content, INLINE_TEXTS + 1) <= INLINE_TEXTS

    def most(content: bytes) -> int:
        return STRINGS.most(content[:length]) + count(content, max_texts)

    return Texts(are_few, most)


def _invalid(where: str, detail: str) -> Problem:
    return errors.invalid(FieldError(pointer=f"#/{where}", detail=detail))


def _invalid_text(position: int, detail: str) -> Problem:
    return _invalid(f"inputs/0/data/{position}", detail)


def invalid_header(detail: str) -> Problem:
    """400: the header that gives the size of the JSON in a body is wrong."""
    return Problem(
        HTTPStatus.BAD_REQUEST,
        "The header Inference-Header-Content-Length is invalid: it is the size of the JSON at the "
        f"start of the body. {detail}.",
    )
