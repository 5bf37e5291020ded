"""What the tests of the docs share."""

import gc

import pytest


@pytest.fixture(autouse=True, scope="module")
def _no_collections():
    """Hydra makes millions of objects: they are collected once, at the end."""
    gc.disable()
    yield
    gc.enable()
