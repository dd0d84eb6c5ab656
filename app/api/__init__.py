"""The HTTP interface: schemas, bodies, responses, and what surrounds every request."""
