"""The schema of the configs in `conf/`: every key, its type and its default; anything else is rejected."""
