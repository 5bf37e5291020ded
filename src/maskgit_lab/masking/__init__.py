"""Mask schedules and the corruption of tokens (MaskGIT, sections 3.2 and 3.3): pure functions."""
