"""How fast Dandelion is compared with the baselines in the same run: ``make bench``.

Starts server processes and writes ``docs/benchmarks.*`` and ``docs/scaling.md``. No other package
imports it.
"""
