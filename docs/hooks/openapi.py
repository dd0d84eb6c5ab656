"""The page of the HTTP API: made of the service's own OpenAPI description.

It takes the place of the comment ``<!-- generated: openapi -->``.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

import httpx2

from app.main import create_app
from app.settings import Settings

_PLACE: Final = "<!-- generated: openapi -->"

Schema = Mapping[str, Any]


def on_page_markdown(markdown: str, **_: object) -> str:
    """Put the description in its place."""
    return markdown.replace(_PLACE, page(description())) if _PLACE in markdown else markdown


def description() -> dict[str, Any]:
    """Return the description that the service has with the included models and no API keys."""
    app = create_app(Settings(artifacts="artifacts"))

    async def fetch() -> dict[str, Any]:
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            found: dict[str, Any] = (await client.get("/openapi.json")).json()
            return found

    return asyncio.run(fetch())


def page(described: Mapping[str, Any]) -> str:
    """Return the Markdown of a description: its operations, then the types of its bodies."""
    operations = [
        "\n".join(_operation(f"{method.upper()} {path}", operation))
        for path, methods in described["paths"].items()
        for method, operation in methods.items()
    ]
    types = [
        "\n".join(_component(name, schema))
        for name, schema in sorted(described["components"]["schemas"].items())
    ]
    return "\n\n".join(["## Operations", *operations, "## Types", *types])


def _operation(name: str, operation: Mapping[str, Any]) -> Iterator[str]:
    yield f"### `{name}`\n"
    yield operation.get("description", operation["summary"]) + "\n"
    if parameters := operation.get("parameters"):
        yield "| parameter | in | type | |\n|---|---|---|---|"
        for one in parameters:
            cells = (
                f"`{one['name']}`",
                one["in"],
                _type(one["schema"]),
                one.get("description", ""),
            )
            yield _row(*cells)
        yield ""
    if body := operation.get("requestBody"):
        (content,) = body["content"].values()
        yield f"Body: {_type(content['schema'])}.\n"
    yield "| status | meaning | body |\n|---|---|---|"
    for status, response in sorted(operation["responses"].items()):
        bodies = [
            _type(content["schema"]) if content.get("schema") else f"`{media}`"
            for media, content in response.get("content", {}).items()
        ]
        yield _row(status, response["description"], " or ".join(bodies))


def _component(name: str, schema: Schema) -> Iterator[str]:
    yield f"### {name}\n"
    if schema.get("description"):
        yield " ".join(schema["description"].split()) + "\n"
    if not schema.get("properties"):
        yield _type(schema)
        return
    required = schema.get("required", [])
    yield "| field | type | | |\n|---|---|---|---|"
    for field, inner in schema["properties"].items():
        need = "required" if field in required else ""
        yield _row(f"`{field}`", _type(inner), need, inner.get("description", ""))


def _row(*cells: str) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def _type(schema: Schema) -> str:
    """Return a type in words, with links to the types of the page."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for members in ("anyOf", "oneOf", "allOf"):
        if members in schema:
            return " or ".join(dict.fromkeys(map(_type, schema[members])))
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return " or ".join(f"`{json.dumps(value)}`" for value in values)
    kind = schema.get("type", "any value")
    if kind == "array":
        counts = _bounds(schema, "minItems", "maxItems", "items")
        return f"array of ({_type(schema.get('items', {}))}){counts}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of ({_type(schema['additionalProperties'])})"
    lengths = _bounds(schema, "minLength", "maxLength", "characters")
    return f"{kind}{_bounds(schema, 'minimum', 'maximum', '')}{lengths}"


def _bounds(schema: Schema, least: str, most: str, unit: str) -> str:
    words = [
        f"{word} {schema[name]:,}"
        for word, name in (("at least", least), ("at most", most))
        if name in schema
    ]
    return f", {' and '.join(words)} {unit}".rstrip() if words else ""
