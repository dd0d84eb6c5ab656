"""Scores of `alt-profanity-check`, run as a program in its own environment.

It reads lines of JSON, each a list of texts, and writes a line of JSON for each: the list of their
probabilities. It imports nothing of ours.
"""

import json
import sys

from profanity_check import predict_prob


def main() -> None:
    """Score until standard input ends."""
    for line in sys.stdin:
        texts = json.loads(line)
        scores = predict_prob(texts).tolist() if texts else []
        sys.stdout.write(json.dumps(scores) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
