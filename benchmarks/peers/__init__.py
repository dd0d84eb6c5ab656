"""The peers' side, run in an environment of its own (``peers.txt``)."""
