"""How many examples are tried: a few in every run of the tests, or as many as `MASKGIT_LAB_FUZZ=2000` says."""

import os

from hypothesis import HealthCheck, settings

EXAMPLES = int(os.environ.get("MASKGIT_LAB_FUZZ", "25"))

settings.register_profile(
    "files",
    max_examples=EXAMPLES,
    derandomize=EXAMPLES < 100,  # the short run tries the same examples each time
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
settings.load_profile("files")
