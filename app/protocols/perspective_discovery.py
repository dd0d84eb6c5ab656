"""Google's description of Perspective API, from which its client libraries make their methods.

The format is that of the Google API Discovery Service (``discovery#restDescription``, version 1).
"""

import re
from typing import Any, Final

from starlette.types import Scope

# RFC 9110, section 7.2: a name, an IPv4 address, or an IPv6 address in brackets; and a port.
_HOST: Final = re.compile(rb"(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")

_METHODS: Final = {
    "analyze": ("AnalyzeComment", "Returns the scores of a comment."),
    "suggestscore": ("SuggestCommentScore", "Not supported: comments are not stored."),
}


def address(scope: Scope, root_path: str) -> str | None:
    """Return the address that a client called, with a slash at its end; None without a valid one.

    Behind TLS its scheme is that in a trusted proxy's ``X-Forwarded-Proto``.

    Args:
        scope: ASGI's, with the ``first_headers``.
        root_path: the prefix of the service's paths at a proxy.
    """
    host: bytes = scope["first_headers"].get(b"host", b"")
    if not _HOST.fullmatch(host):
        return None
    # uvicorn takes ws and wss from the header, too.
    scheme = "https" if scope["scheme"] in ("https", "wss") else "http"
    return f"{scheme}://{host.decode()}{root_path}/"


def document(root_url: str) -> dict[str, Any]:
    """Return the description.

    Args:
        root_url: the address of the service, with a slash at its end.
    """
    return {
        "kind": "discovery#restDescription",
        "discoveryVersion": "v1",
        "id": "commentanalyzer:v1alpha1",
        "name": "commentanalyzer",
        "version": "v1alpha1",
        "title": "Perspective protocol of Dandelion",
        "protocol": "rest",
        "rootUrl": root_url,
        "servicePath": "",
        "baseUrl": root_url,
        "basePath": "",
        "batchPath": "batch",
        "parameters": {
            name: {"type": kind, "location": "query"}
            for name, kind in (("alt", "string"), ("key", "string"), ("prettyPrint", "boolean"))
        },
        "schemas": {
            f"{name}{kind}": {"id": f"{name}{kind}", "type": "object", "properties": {}}
            for name, _ in _METHODS.values()
            for kind in ("Request", "Response")
        },
        "resources": {
            "comments": {
                "methods": {
                    method: {
                        "id": f"commentanalyzer.comments.{method}",
                        "description": description,
                        "httpMethod": "POST",
                        "path": f"v1alpha1/comments:{method}",
                        "flatPath": f"v1alpha1/comments:{method}",
                        "parameters": {},
                        "parameterOrder": [],
                        "request": {"$ref": f"{name}Request"},
                        "response": {"$ref": f"{name}Response"},
                    }
                    for method, (name, description) in _METHODS.items()
                }
            }
        },
    }
