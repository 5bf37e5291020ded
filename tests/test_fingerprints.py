"""Fingerprints: the same for the same, another for another."""

from maskgit_lab.fingerprints import fingerprint


def test_order_of_keys_does_not_matter_and_values_do():
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})
