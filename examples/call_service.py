"""Call the service over HTTP with the standard library alone.

Shows: send a batch of texts, read labels and scores, set a threshold for one request, and read an
error, which is a problem document (RFC 9457).

Run, while the service runs (`make serve` or `dandelion serve`)::

    python examples/call_service.py                         # http://127.0.0.1:8000
    python examples/call_service.py http://127.0.0.1:9000   # or wherever it listens

Prints a line for each text: its label and its score, rounded; then how many texts are spam at a
stricter threshold, and how the service rejects a request without texts.
"""

import json
import sys
import urllib.error
import urllib.request
from typing import Any

TEXTS = ["WINNER!! Claim your free prize now, call 09012345678", "Lunch at 12?"]


def classify(url: str, model: str, texts: list[str], threshold: float | None = None) -> Any:
    """Send texts to a model and return the decoded response.

    Raises:
        urllib.error.HTTPError: the status is not 200; the body says what was wrong.
        urllib.error.URLError: nothing listens at this address.
    """
    body: dict[str, Any] = {"texts": texts}
    if threshold is not None:
        body["threshold"] = threshold
    request = urllib.request.Request(
        f"{url}/classify/{model}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def main(url: str) -> None:
    """Classify the texts above, twice, and send one request that is rejected."""
    response = classify(url, "spam", TEXTS)
    for text, result in zip(TEXTS, response["results"], strict=True):
        print(f"{result['label']:4}  {result['score']:.3f}  {text}")

    strict = classify(url, "spam", TEXTS, threshold=0.55)
    spam = sum(result["label"] == "spam" for result in strict["results"])
    print(f"spam at a threshold of 0.55: {spam} of {len(TEXTS)}")

    try:
        classify(url, "spam", [])
    except urllib.error.HTTPError as error:
        problem = json.load(error)
        print(f"rejected: {problem['status']} {problem['title']}")
        for one in problem["errors"]:
            print(f"  at {one['pointer']}: {one['detail']}")


if __name__ == "__main__":
    address = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8000"
    try:
        main(address)
    except urllib.error.URLError as error:
        sys.exit(f"no response from {address} ({error.reason}); start the service: make serve")
