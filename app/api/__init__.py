"""The HTTP interface: request bodies, responses, errors, OpenAPI, and the middleware."""
