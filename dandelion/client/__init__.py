"""A client of the service: batches of any size, in order, with retries and deadlines.

It needs the extra ``client``, which brings httpx2.

Example:
    >>> from dandelion.client import Client  # doctest: +SKIP
    >>> with Client("http://localhost:8000") as client:  # doctest: +SKIP
    ...     [result.label for result in client.classify("spam", ["WIN a FREE prize! Call now"])]
    ['spam']
"""

from .asynchronous import AsyncClient
from .errors import ClientError, DeadlineError, FieldError, ResponseError, UnreachableError
from .results import Explanation, Model, Response, Result, Span, Window
from .retries import Retries
from .synchronous import Client

__all__ = [
    "AsyncClient",
    "Client",
    "ClientError",
    "DeadlineError",
    "Explanation",
    "FieldError",
    "Model",
    "Response",
    "ResponseError",
    "Result",
    "Retries",
    "Span",
    "UnreachableError",
    "Window",
]
