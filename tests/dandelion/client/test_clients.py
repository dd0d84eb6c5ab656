"""Both clients with a made-up service: order, limits, retries, errors, the key."""

import asyncio
import json
import subprocess
import sys
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion.client import (
    Client,
    ClientError,
    DeadlineError,
    Explanation,
    FieldError,
    ResponseError,
    Result,
    Retries,
    Span,
    UnreachableError,
    Window,
)

from ...conftest import ROOT
from .services import KEY, MadeUp, async_client, classify, client, problem, response

TEXT = "canary-7f3a9 text"
KINDS = pytest.mark.parametrize("kind", ["blocking", "asynchronous"])
TRANSIENT: list[int | type[Exception]] = [
    429,
    502,
    503,
    httpx2.ConnectError,
    httpx2.ReadError,
    httpx2.RemoteProtocolError,
    httpx2.ReadTimeout,
]


@KINDS
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), max_size=40),
    # Of the service: texts, bytes, characters. Of the client: texts, bytes.
    limits=st.tuples(st.integers(1, 12), st.integers(200, 400), st.integers(12, 60)),
    ours=st.tuples(st.integers(1, 50), st.integers(1, 500)),
    failures=st.lists(st.sampled_from(TRANSIENT), max_size=4),
)
def test_every_text_gets_its_result_in_order_whatever_the_limits(
    kind: str,
    texts: list[str],
    limits: tuple[int, int, int],
    ours: tuple[int, int],
    failures: list[Any],
) -> None:
    max_texts, max_bytes, max_chars = limits
    service = MadeUp(
        max_texts=max_texts, max_bytes=max_bytes, max_chars=max_chars, failures=failures
    )
    options = {"max_texts": ours[0], "max_bytes": ours[1]}
    found = classify(kind, service, texts, options)
    assert [result.label for result in found] == texts
    assert [result.score for result in found] == list(map(len, texts))
    # Each text is classified once.
    assert sorted(text for accepted in service.accepted for text in accepted) == sorted(texts)


@KINDS
def test_a_limit_is_learned(kind: str) -> None:
    service = MadeUp(max_texts=10)
    options = {"max_texts": 100} | ({"concurrency": 1} if kind == "asynchronous" else {})
    found = classify(kind, service, ["a"] * 1000, options)
    assert len(found) == 1000
    refused = len(service.requests) - len(service.accepted)
    assert refused == 4  # 100, 50, 25, 12
    assert {len(texts) for texts in service.accepted[1:]} <= set(range(1, 7))


@KINDS
def test_a_single_text_that_is_refused_is_named(kind: str) -> None:
    service = MadeUp(max_chars=10)
    with pytest.raises(ResponseError, match="this is text 3 of the call") as caught:
        classify(kind, service, ["a", "b", "c", "d" * 11, "e"])
    assert caught.value.position == 3
    assert caught.value.status == 422


@KINDS
def test_an_error_has_the_members_of_the_problem(kind: str) -> None:
    refused = problem(422, "#/operating_point", best=None, texts_needed=2995)
    with pytest.raises(ResponseError) as caught:
        classify(kind, MadeUp(failures=[refused]), ["a"], operating_point="fpr<=0.001")
    error = caught.value
    assert (error.status, error.title, error.detail) == (422, "Refused", "It is refused.")
    assert (error.type, error.request_id, error.position) == ("about:blank", "7f3a9", None)
    assert error.errors == (FieldError("#/operating_point", "Expected something else"),)
    assert error.members == {"best": None, "texts_needed": 2995}


@pytest.mark.parametrize(
    "content", [b"", b"<html>", b"[]", b'{"errors": 7}', b'{"status": 1, "errors": [7, {}]}']
)
@pytest.mark.parametrize("status", [400, 404, 418, 500, 504, 599, 301])
def test_an_error_may_be_of_a_proxy(status: int, content: bytes) -> None:
    service = MadeUp(failures=[httpx2.Response(status, content=content)])
    with pytest.raises(ResponseError) as caught:
        classify("blocking", service, ["a"])
    assert caught.value.status == status
    assert caught.value.title
    assert caught.value.detail == ""
    assert len(service.requests) == 1  # it is not sent again


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"results": []}',
        b"[" * 100_000,
        json.dumps(response([])).encode(),
        json.dumps(response([{}])).encode(),
        json.dumps(response([{"label": "a", "score": 1, "response": 2}])).encode(),
        json.dumps(response([7])).encode(),  # type: ignore[list-item]
        json.dumps(response([{"error": 7}])).encode(),
        json.dumps({"results": [{"label": "a", "score": 1}]}).encode(),
    ],
)
def test_a_response_of_something_else_is_an_error(content: bytes) -> None:
    service = MadeUp(failures=[httpx2.Response(200, content=content)])
    with pytest.raises(ClientError, match="none of the service's"):
        classify("blocking", service, ["a"])
    with client(lambda _: httpx2.Response(200, content=content)) as one:
        for call in (one.models, lambda: one.model("spam")):
            with pytest.raises(ClientError, match="none of the service's"):
                call()


@KINDS
@pytest.mark.parametrize("failure", TRANSIENT, ids=str)
def test_what_may_pass_is_sent_again(kind: str, failure: Any) -> None:
    service = MadeUp(failures=[failure] * 4)
    assert [result.label for result in classify(kind, service, ["a", "b"])] == ["a", "b"]
    assert len(service.requests) == 5
    assert len({request.content for request in service.requests}) == 1


@KINDS
def test_attempts_are_bounded(kind: str) -> None:
    service = MadeUp(failures=[503] * 9)
    with pytest.raises(ResponseError, match="503"):
        classify(kind, service, ["a"])
    assert len(service.requests) == 5
    service = MadeUp(failures=[httpx2.ConnectError] * 9)
    with pytest.raises(UnreachableError, match="no response after 5 attempts: ConnectError"):
        classify(kind, service, ["a"])
    assert len(service.requests) == 5
    service = MadeUp(failures=[httpx2.ConnectError])
    with pytest.raises(UnreachableError, match="no response after 1 attempt:"):
        classify(kind, service, ["a"], {"retries": Retries(attempts=1)})


@KINDS
@pytest.mark.parametrize("failure", [httpx2.UnsupportedProtocol, httpx2.DecodingError])
def test_what_cannot_pass_is_not_sent_again(kind: str, failure: type[Exception]) -> None:
    service = MadeUp(failures=[failure])
    with pytest.raises(UnreachableError, match=failure.__name__):
        classify(kind, service, ["a"])
    assert len(service.requests) == 1


@KINDS
def test_a_deadline_ends_the_wait_for_another_attempt(kind: str) -> None:
    later = httpx2.Response(429, headers={"retry-after": "3600"})
    service = MadeUp(failures=[later])
    with pytest.raises(DeadlineError, match="the last status was 429"):
        classify(
            kind,
            service,
            ["a"],
            {"retries": Retries(max_wait_s=3600)},
            deadline_s=60,
        )
    with pytest.raises(ResponseError, match="429"):  # too long to wait for, without a deadline
        classify(kind, MadeUp(failures=[later]), ["a"])


@KINDS
def test_fields_and_the_variant_are_sent(kind: str) -> None:
    service = MadeUp()
    classify(
        kind,
        service,
        ['a"\\\n ☃ 😂'],
        threshold=0,
        prior=None,
        explain=False,
        on_error="report",
        variant="mse wide",
    )
    (request,) = service.requests
    assert request.url == "http://made.up/prefix/classify/spam?variant=mse+wide"
    assert request.method == "POST"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert json.loads(request.content) == {
        "texts": ['a"\\\n ☃ 😂'],
        "threshold": 0,
        "on_error": "report",
    }


@KINDS
def test_explanations_are_asked_for_few_texts_at_a_time(kind: str) -> None:
    service = MadeUp()
    texts = ["a"] * 70 + ["b" * 60_000] * 3
    assert [one.label for one in classify(kind, service, texts, explain=3)] == texts
    assert sorted(map(len, service.accepted)) == [1, 1, 7, 32, 32]


def test_results_have_what_the_service_returns() -> None:
    explanation = {
        "base": 1.0,
        "surface": 2.0,
        "rest": 3.0,
        "logit": 4.0,
        "penalty": -1.0,
        "spans": [{"start": 1, "end": 2, "contribution": 0.5}],
        "windows": [{"start": 0, "end": 9, "logit": 4.0}],
        "unknown": 7,
    }
    given = [
        {"label": "spam", "score": 0.75, "decision": "positive", "explanation": explanation},
        {"label": "ham", "score": None, "decision": "none", "reason": "no_content"},
        {"label": "ham", "score": 0.25, "low_evidence": True, "unknown": 1},
        {"label": "a", "score": 0.5, "scores": {"a": 0.5, "b": 0.25, "c": 0.25}},
        {"error": {"detail": "Expected a string"}},
    ]
    content = response(given, policy="teens", prior=0.01, decision_id="d7", unknown=2)
    reply = httpx2.Response(200, json=content, headers={"x-request-id": "r7"})
    found = classify("blocking", MadeUp(failures=[reply]), ["a"] * 5)
    decided = found[0].response
    assert (decided.model, decided.variant, decided.version) == ("spam", "tiny", "0c7a5d1f3b2e")
    assert (decided.policy, decided.prior, decided.threshold) == ("teens", 0.01, 0.5)
    assert (decided.operating_point, decided.request_id) == (None, "r7")
    assert [one.decision_id for one in found] == [f"d7.{position}" for position in range(5)]
    assert found == [
        Result(
            "spam",
            0.75,
            decided,
            0,
            decision="positive",
            explanation=Explanation(
                1.0, 2.0, (Span(1, 2, 0.5),), 3.0, 4.0, -1.0, (Window(0, 9, 4.0),)
            ),
        ),
        Result("ham", None, decided, 1, decision="none", reason="no_content"),
        Result("ham", 0.25, decided, 2, low_evidence=True),
        Result("a", 0.5, decided, 3, scores={"a": 0.5, "b": 0.25, "c": 0.25}),
        Result(None, None, decided, 4, error="Expected a string"),
    ]
    assert classify("blocking", MadeUp(), ["a"])[0].decision_id is None


@KINDS
@pytest.mark.parametrize(
    ("texts", "choice", "kind_of_error", "message"),
    [
        ("one text", {}, TypeError, "texts is one string"),
        (["a", 7], {}, TypeError, "text 1 is int; expected str"),
        (["a", "b", "secret \ud800"], {}, ValueError, "text 2 has half of a surrogate pair"),
        (7, {}, TypeError, "not iterable"),
        (["a"], {"treshold": 1}, TypeError, "there is no 'treshold'; expected some of explain,"),
        (["a"], {"threshold": float("nan")}, ValueError, "JSON"),
        (["a"], {"deadline_s": 0}, ValueError, "deadline_s is 0"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(
    kind: str, texts: Any, choice: Any, kind_of_error: type[Exception], message: str
) -> None:
    service = MadeUp()
    with pytest.raises(kind_of_error, match=message) as caught:
        classify(kind, service, texts, **choice)
    assert not service.requests
    assert "secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timeout_s", 0),
        ("max_texts", 0),
        ("max_bytes", 0),
        ("API key", ""),
        ("API key", "secret key"),
        ("API key", "sécret"),
        ("API key", "secret\n"),
    ],
)
def test_wrong_settings_are_refused_without_repeating_the_key(name: str, value: Any) -> None:
    options = {name.lower().replace(" ", "_"): value}
    for create in (client, async_client):
        with pytest.raises(ValueError, match=name) as caught:
            create(MadeUp(), **options)
        assert "cret" not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(ValueError, match="concurrency"):
        async_client(MadeUp(), concurrency=0)
    with pytest.raises(ValueError, match="attempts"):
        Retries(attempts=0)
    with pytest.raises(ValueError, match="negative"):
        Retries(first_wait_s=-1)


@KINDS
@pytest.mark.parametrize("failure", [401, 500, httpx2.ConnectError, httpx2.LocalProtocolError])
def test_no_key_and_no_text_is_in_an_error(kind: str, failure: Any) -> None:
    service = MadeUp(failures=[failure] * 5)
    with pytest.raises(ClientError) as caught:
        classify(kind, service, [TEXT])
    error = caught.value
    shown = "".join(traceback.format_exception(error)) + repr(error) + repr(vars(error))
    assert KEY not in shown
    assert TEXT not in shown
    assert error.__context__ is None


def test_no_key_is_in_a_repr() -> None:
    assert repr(client(MadeUp())) == "Client('http://made.up/prefix/')"
    assert repr(async_client(MadeUp())) == "AsyncClient('http://made.up/prefix/')"
    with Client("https://user:secret@made.up:8443/a", api_key=KEY) as one:
        assert repr(one) == "Client('https://made.up:8443/a/')"


def test_a_stream_reads_no_further_than_a_batch() -> None:
    read = []

    def texts() -> Iterator[str]:
        for number in range(1000):
            read.append(number)
            yield str(number)

    with client(MadeUp(), max_texts=10) as one:
        stream = one.stream("spam", texts())
        assert not read
        for number, result in enumerate(stream):
            assert result.label == str(number)
            assert len(read) <= number + 11
    assert len(read) == 1000


def test_an_asynchronous_stream_reads_as_many_batches_as_it_sends_at_a_time() -> None:
    read = []
    active = highest = 0

    async def texts() -> AsyncIterator[str]:
        for number in range(200):
            read.append(number)
            yield str(number)

    service = MadeUp()

    async def respond(request: httpx2.Request) -> httpx2.Response:
        nonlocal active, highest
        active += 1
        highest = max(highest, active)
        try:
            return await service.respond(request)
        finally:
            active -= 1

    async def run() -> None:
        async with async_client(respond, max_texts=10, concurrency=3) as one:
            number = 0
            async for result in one.stream("spam", texts()):
                assert result.label == str(number)
                assert len(read) <= number + 31
                number += 1
            assert number == 200
            # The bound is for all calls together.
            await asyncio.gather(*(one.classify("spam", ["a"] * 50) for _ in range(4)))

    asyncio.run(run())
    assert highest == 3


def test_what_is_left_of_an_asynchronous_stream_is_abandoned() -> None:
    started = 0
    ended: list[str] = []

    async def respond(request: httpx2.Request) -> httpx2.Response:
        nonlocal started
        started += 1
        if started == 1:
            return problem(404)
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        raise AssertionError

    async def run() -> None:
        async with async_client(respond, max_texts=1) as one:
            with pytest.raises(ResponseError, match="404"):
                await one.classify("spam", ["a"] * 10)
            before = started
            async with aclosing(one.stream("spam", ["a"] * 10)) as stream:
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await anext(stream)
            assert started > before
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())
    assert ended


def test_a_deadline_of_the_asynchronous_client_counts_the_wait_for_a_place() -> None:
    async def respond(request: httpx2.Request) -> httpx2.Response:
        await asyncio.sleep(3600)
        raise AssertionError

    async def run() -> None:
        async with async_client(respond, concurrency=1, timeout_s=3600) as one:
            first = asyncio.create_task(one.classify("spam", ["a"]))
            await asyncio.sleep(0)
            with pytest.raises(DeadlineError, match="took too long"):
                await one.classify("spam", ["b"], deadline_s=0.02)
            first.cancel()

    asyncio.run(run())


def test_models_and_operating_points() -> None:
    facts = {"model": "spam", "variant": "tiny", "version": "1", "labels": ["ham", "spam"]}
    facts |= {"threshold": 0.5, "engine": "numpy"}
    paths: list[str] = []

    def respond(request: httpx2.Request) -> httpx2.Response:
        paths.append(request.url.raw_path.decode())
        if request.url.path.endswith("/models"):
            return httpx2.Response(200, json={"models": [facts]})
        if "none" in request.url.path:
            return problem(404)
        return httpx2.Response(200, json=facts)

    with client(respond) as one:
        (model,) = one.models()
        assert one.model("sp/am", variant="tiny") == model
        assert (model.model, model.labels, model.threshold) == ("spam", ("ham", "spam"), 0.5)
        assert model.facts["engine"] == "numpy"
        assert one.operating_points("spam", prior=0.01) == facts
        with pytest.raises(ResponseError, match="404"):
            one.model("none")

    async def run() -> None:
        async with async_client(respond) as other:
            assert await other.models() == [model]
            assert await other.model("sp/am", variant="tiny") == model
            assert await other.operating_points("spam", prior=0.01) == facts

    before = [path for path in paths if "none" not in path]
    paths.clear()
    asyncio.run(run())
    assert (
        paths
        == before
        == [
            "/prefix/models",
            "/prefix/models/sp%2Fam?variant=tiny",
            "/prefix/models/spam/operating-points?prior=0.01",
        ]
    )


def test_threads_may_share_a_client() -> None:
    from concurrent.futures import ThreadPoolExecutor

    service = MadeUp(max_texts=7)
    with client(service) as one, ThreadPoolExecutor(4) as threads:
        calls: list[Callable[[], list[Result]]] = [
            lambda number=number: one.classify("spam", [f"{number}.{at}" for at in range(50)])  # type: ignore[misc]
            for number in range(20)
        ]
        found = list(threads.map(lambda call: call(), calls))
    for number, results in enumerate(found):
        assert [one.label for one in results] == [f"{number}.{at}" for at in range(50)]


def test_without_httpx2_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['httpx2'] = None\n"
        "from dandelion.client import AsyncClient, Client\n"
        "for create in (Client, AsyncClient):\n"
        "    try: create()\n"
        "    except ModuleNotFoundError as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all("pip install 'dandelion-text[client]'" in line for line in lines)


def test_the_library_does_not_import_the_client() -> None:
    code = "import dandelion, sys; print({'dandelion.client', 'httpx2'} & {*sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout == "set()\n"
