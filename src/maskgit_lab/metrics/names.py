"""What distances are called."""

from __future__ import annotations

DISTANCES = {"fid": "fd", "sfid": "sfd", "kid": "kd"}  # with another network than the Inception network of 2015


def distance_name(extractor: str, metric: str = "fid") -> str:
    """Only what is measured on the Inception network of 2015 is called FID, sFID or KID."""
    return metric if extractor == "inception" else f"{DISTANCES[metric]}_{extractor}"
