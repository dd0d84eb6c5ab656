"""LitServe with an echo as its model: ``python -m benchmarks.baselines.litserve_echo PORT``."""

import sys
from typing import Any

import litserve

from .schemas import ClassifyRequest, ClassifyResponse, Result


class Echo(litserve.LitAPI):
    """One constant result for each text."""

    def setup(self, device: str) -> None:
        """Load nothing."""

    def decode_request(self, request: ClassifyRequest) -> int:
        """Count the texts."""
        return len(request.texts)

    def predict(self, count: int) -> list[Result]:
        """Create the results."""
        return [Result(label="ham", score=0.5) for _ in range(count)]

    def encode_response(self, output: list[Result]) -> Any:
        """Create the response."""
        return ClassifyResponse(model="echo", results=output)


if __name__ == "__main__":
    server = litserve.LitServer(Echo(api_path="/classify"), accelerator="cpu", workers_per_device=1)
    server.run(port=int(sys.argv[1]), generate_client_file=False, log_level="warning")
