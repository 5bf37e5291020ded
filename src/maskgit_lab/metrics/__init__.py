"""Metrics from features that are computed once and shared."""
