"""The application as production servers load it, once in every worker process, before it takes requests."""

import gc

import engine.derivatives  # noqa: F401  (compiles the kernels, or loads them from the cache)
from service.app import create_app

app = create_app()

# A parsed document is hundreds of thousands of containers, none of them garbage. With Python's thresholds
# the collector walks over them again and again while they are made: parsing takes several times longer.
# What was loaded by now stays for good; the rest is looked at every 100,000 new containers, not every 700.
gc.collect()
gc.freeze()
gc.set_threshold(100_000, 20, 50)
