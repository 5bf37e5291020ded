"""Images with labels, and the cache of their codes."""
