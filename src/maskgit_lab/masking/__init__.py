"""Mask schedules and the corruption of tokens (MaskGIT, sections 3.1 and 3.3): pure functions."""
