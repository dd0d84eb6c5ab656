"""The OpenAPI description, compared with what the service does."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from msgspec import ValidationError
from msgspec.json import decode

from app.api.responses import ClassifyResponse, MulticlassResponse
from app.settings import Settings

from ..conftest import connect
from ..contract import post

ERRORS = {"400", "404", "405", "408", "413", "414", "415", "422", "429", "431", "500", "503", "504"}


def described(client: TestClient) -> dict[str, Any]:
    content = client.get("/openapi.json").content
    description: dict[str, Any] = json.loads(content, object_pairs_hook=without_duplicates)
    return description


def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs), pairs
    return dict(pairs)


def classify(client: TestClient) -> dict[str, Any]:
    operation: dict[str, Any] = described(client)["paths"]["/classify/{model}"]["post"]
    return operation


def test_every_path_is_described(client: TestClient) -> None:
    description = described(client)
    assert {(path, method) for path, found in description["paths"].items() for method in found} == {
        ("/", "get"),
        ("/classify/{model}", "post"),
        ("/classify/cyberbullying_type", "post"),
        ("/models", "get"),
        ("/models/{model}", "get"),
        ("/models/{model}/card", "get"),
        ("/models/{model}/operating-points", "get"),
        ("/models/{model}/threshold-curve", "get"),
        ("/models/{model}/plan", "get"),
        ("/models/{model}/evaluation", "post"),
        ("/models/{model}/evaluation/texts", "post"),
        ("/livez", "get"),
        ("/readyz", "get"),
        ("/metrics", "get"),
        ("/admin/reload", "post"),
        ("/admin/rollback", "post"),
        ("/admin/reloads/{generation}", "get"),
    }
    operations = [found[method] for found in description["paths"].values() for method in found]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    parameter, variant = classify(client)["parameters"]
    assert (variant["name"], variant["in"], variant["required"]) == ("variant", "query", False)
    assert (parameter["name"], parameter["in"], parameter["required"]) == ("model", "path", True)
    models = client.get("/models").json()["models"]
    two_labels = [model["model"] for model in models if model["threshold"] is not None]
    assert list(parameter["examples"]) == parameter["schema"]["enum"] == two_labels


def test_every_reference_leads_to_a_schema(client: TestClient) -> None:
    description = described(client)
    schemas = description["components"]["schemas"]
    found = list(references(description))
    assert found
    assert {name.removeprefix("#/components/schemas/") for name in found} <= set(schemas)


def references(value: Any) -> Any:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_the_description_stays_the_same_when_asked_again(client: TestClient) -> None:
    assert described(client) == described(client)


def test_both_shapes_of_a_response_are_described(
    client: TestClient, made_up_client: TestClient
) -> None:
    content = classify(client)["responses"]["200"]["content"]["application/json"]
    shapes = [shape["$ref"].rpartition("/")[2] for shape in content["schema"]["anyOf"]]
    assert shapes == ["ClassifyResponse", "MulticlassResponse", "ReportedResponse"]
    schemas = described(client)["components"]["schemas"]
    assert schemas["MulticlassResponse"]["properties"]["threshold"]["type"] == "null"
    always = {"model", "variant", "version", "threshold", "results"}
    for name, fields, more in (
        ("ClassifyResponse", always, {"policy", "operating_point", "prior", "decision_id"}),
        ("MulticlassResponse", always, {"decision_id"}),
        ("Result", {"label", "score"}, {"decision", "reason", "low_evidence", "explanation"}),
        (
            "MulticlassResult",
            {"label", "score", "scores"},
            {"reason", "low_evidence", "explanation"},
        ),
        (
            "Explanation",
            {"base", "surface", "spans", "rest", "logit"},
            {"penalty", "windows"},
        ),
    ):
        assert set(schemas[name]["required"]) == fields
        assert set(schemas[name]["properties"]) == fields | more
    body = b'{"texts": ["a"]}'
    two, policy, _, more = (example["value"] for example in content["examples"].values())
    for schema, responses in (
        ("ClassifyResponse", [two, policy, post(client, body).json()]),
        ("MulticlassResponse", [more, post(made_up_client, body, "mood").json()]),
    ):
        for response in responses:
            required, properties = schemas[schema]["required"], schemas[schema]["properties"]
            assert set(required) <= set(response) <= set(properties)
            result = schemas[schema]["properties"]["results"]["items"]["$ref"].rpartition("/")[2]
            for one in response["results"]:
                assert set(schemas[result]["required"]) <= set(one)
                assert set(one) <= set(schemas[result]["properties"])


def test_the_response_with_errors_is_described(client: TestClient) -> None:
    content = classify(client)["responses"]["200"]["content"]["application/json"]
    schemas = described(client)["components"]["schemas"]
    response = schemas["ReportedResponse"]
    example = content["examples"]["an explanation, and an error"]["value"]
    body = b'{"texts": ["Claim your prize now", 7], "explain": 3, "on_error": "report"}'
    items = response["properties"]["results"]["items"]["anyOf"]
    allowed = [schemas[one["$ref"].rpartition("/")[2]] for one in items]

    for found in (example, post(client, body).json()):
        assert set(response["required"]) == set(found)
        assert len(found["results"]) == 2
        for result in found["results"]:
            assert any(
                set(one["required"]) <= set(result) <= set(one["properties"]) for one in allowed
            )
        explanation = found["results"][0]["explanation"]
        assert set(explanation) == set(schemas["Explanation"]["required"])
        contributions = [span["contribution"] for span in explanation["spans"]]
        parts = [explanation[name] for name in ("base", "surface", "rest")]
        assert sum([*parts, *contributions]) == pytest.approx(explanation["logit"], abs=1e-4)


def test_a_threshold_is_described_exactly_where_it_is_allowed(made_up_client: TestClient) -> None:
    description = described(made_up_client)
    assert {path for path in description["paths"] if path.startswith("/classify/")} == {
        "/classify/{model}",
        "/classify/mood",
    }
    for path, model, has_threshold in (
        ("/classify/{model}", "spam", True),
        ("/classify/mood", "mood", False),
    ):
        operation = description["paths"][path]["post"]
        content = operation["requestBody"]["content"]["application/json"]
        name = content["schema"]["$ref"].rpartition("/")[2]
        schema = description["components"]["schemas"][name]
        assert ("threshold" in schema["properties"]) == has_threshold
        assert schema["additionalProperties"] is False
        for example in content["examples"].values():
            assert set(example["value"]) <= set(schema["properties"])
            response = made_up_client.post(f"/classify/{model}", json=example["value"])
            assert response.status_code == 200
        body = {"texts": ["a"], "threshold": 0.5}
        response = made_up_client.post(f"/classify/{model}", json=body)
        assert response.status_code == (200 if has_threshold else 422)
    success = description["paths"]["/classify/mood"]["post"]["responses"]["200"]
    shape = success["content"]["application/json"]["schema"]
    assert shape == {
        "anyOf": [
            {"$ref": "#/components/schemas/MulticlassResponse"},
            {"$ref": "#/components/schemas/ReportedResponse"},
        ]
    }


def test_without_models_of_two_labels_the_path_stays(made_up: Path, tmp_path: Path) -> None:
    shutil.copytree(made_up / "mood", tmp_path / "mood")
    (tmp_path / "serving.toml").write_text("[models]\nmood = 'tiny'\n")
    with connect(Settings(artifacts=tmp_path)) as client:
        parameter, _ = classify(client)["parameters"]
    assert parameter["schema"] == {"type": "string", "title": "Model"}


def test_a_client_may_decode_responses_with_the_types(
    client: TestClient, made_up_client: TestClient
) -> None:
    body = b'{"texts": ["a"]}'
    spam, mood = post(client, body).content, post(made_up_client, body, "mood").content
    assert decode(spam, type=ClassifyResponse).model == "spam"
    assert decode(mood, type=MulticlassResponse).model == "mood"
    with pytest.raises(ValidationError, match="threshold"):
        decode(spam, type=MulticlassResponse)


def test_the_examples_of_requests_are_valid(client: TestClient) -> None:
    examples = classify(client)["requestBody"]["content"]["application/json"]["examples"]
    assert any("operating_point" in example["value"] for example in examples.values())
    for model in classify(client)["parameters"][0]["schema"]["enum"]:
        for example in examples.values():
            response = client.post(f"/classify/{model}", json=example["value"])
            assert response.status_code == 200
            assert len(response.json()["results"]) == len(example["value"]["texts"])


def test_the_described_limits_are_the_settings(client: TestClient, settings: Settings) -> None:
    content = classify(client)["requestBody"]["content"]["application/json"]
    assert content["schema"] == {"$ref": "#/components/schemas/ClassifyRequest"}
    schema = described(client)["components"]["schemas"]["ClassifyRequest"]
    multiclass = described(client)["components"]["schemas"]["MulticlassRequest"]
    for texts in (schema["properties"]["texts"], multiclass["properties"]["texts"]):
        assert (texts["minItems"], texts["maxItems"]) == (1, settings.max_texts)
        assert texts["items"] == {"type": "string", "maxLength": settings.max_text_chars}
    number = schema["properties"]["threshold"]["anyOf"][0]
    assert (number["minimum"], number["maximum"]) == (0, 1)
    assert schema["required"] == ["texts"]
    assert schema["additionalProperties"] is False
    assert "last value" in schema["description"]


def test_what_any_request_may_get_is_described_for_every_route(client: TestClient) -> None:
    everywhere = {"400", "408", "414", "431", "500", "503"}
    for path, operations in described(client)["paths"].items():
        for operation in operations.values():
            assert everywhere <= set(operation["responses"]), path


def test_every_error_is_described_with_an_example(client: TestClient) -> None:
    description = described(client)
    schemas = description["components"]["schemas"]
    assert not {"HTTPValidationError", "ValidationError"} & set(schemas)
    assert set(classify(client)["responses"]) == {"200", *ERRORS}
    problem, field = schemas["ProblemDetails"], schemas["FieldError"]
    assert set(problem["properties"]) - set(problem["required"]) == {
        *("errors", "best", "texts_needed"),
    }
    for path, operations in description["paths"].items():
        for operation in operations.values():
            for status, response in operation["responses"].items():
                if status in {"200", "202"}:
                    continue
                content = response["content"]["application/problem+json"]
                assert content["schema"] == {"$ref": "#/components/schemas/ProblemDetails"}, path
                example = content["example"]
                assert example["status"] == int(status)
                assert set(problem["required"]) <= set(example) <= set(problem["properties"])
                for error in example.get("errors", []):
                    assert set(error) == set(field["properties"])
