"""LitServe with an echo for a model: ``python -m benchmarks.peers.litserve_echo PORT``."""

import sys
from typing import Any

import litserve

from .schemas import Answer, Asked, Result


class Echo(litserve.LitAPI):
    """One constant entry for each text."""

    def setup(self, device: str) -> None:
        """Load nothing."""

    def decode_request(self, request: Asked) -> int:
        """Count the texts."""
        return len(request.texts)

    def predict(self, count: int) -> list[Result]:
        """Make the entries."""
        return [Result(label="ham", score=0.5) for _ in range(count)]

    def encode_response(self, output: list[Result]) -> Any:
        """Shape the answer."""
        return Answer(model="echo", results=output)


if __name__ == "__main__":
    server = litserve.LitServer(Echo(api_path="/classify"), accelerator="cpu", workers_per_device=1)
    server.run(port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
