"""How fast Dandelion is, beside the peers in the same run: ``make bench``.

It starts programs, writes ``docs/benchmarks.*`` and ``docs/scaling.md``, and nobody imports it.
"""
