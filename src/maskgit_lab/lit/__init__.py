"""Training in Lightning; nothing outside this package imports it."""
