"""Strategies: files that were whole, and what a disk, an editor or somebody hostile may have made of them."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import checksum

NUMBERS = st.one_of(
    st.integers(),
    st.floats(),
    st.sampled_from([0, -1, 1, 2**31, 2**63, 10**30, 1e308, float("nan"), float("inf")]),
)
TEXTS = st.one_of(
    st.text(max_size=8),
    st.sampled_from(["", ".", "..", "/", "../..", "\0", "\ud800", "~", "null", "[1]", "cache:../x", "x" * 300]),
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Bytes of a file, some of them changed, cut out, doubled or put in."""
    data = whole
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        stop = draw(st.integers(start, min(len(data), start + 64)))
        new = draw(st.one_of(st.binary(max_size=8), st.just(data[start:stop] * 2), st.just(b"")))
        data = data[:start] + new + data[draw(st.sampled_from([stop, start + len(new), len(data)])) :]
    return data


@st.composite
def edited(draw: st.DrawFn, whole: dict[str, Any]) -> dict[str, Any]:
    """Plain values, some of them, at any depth, replaced, added or taken away; half of the time with a checksum."""
    values: dict[str, Any] = json.loads(json.dumps(whole))
    for _ in range(draw(st.integers(1, 3))):
        place: Any = values
        while isinstance(place, dict) and place:
            key = draw(st.sampled_from(sorted(place)) | TEXTS)
            if isinstance(place.get(key), dict) and draw(st.booleans()):
                place = place[key]
                continue
            if draw(st.booleans()):
                place[key] = draw(VALUES)
            else:
                place.pop(key, None)
            break
    values.pop("checksum", None)
    return {**values, "checksum": checksum(values)} if draw(st.booleans()) else values


@contextmanager
def folder() -> Iterator[Path]:
    """A folder of one example."""
    with tempfile.TemporaryDirectory() as place:
        yield Path(place)


def expect_sentence(read: Callable[[], object]) -> bool:
    """Reads something: that works, or says why not in one sentence; returns whether it worked."""
    try:
        read()
    except UserError as error:
        assert str(error).strip() and str(error).count(": ") >= 1, f"no advice: {error}"
        return False
    return True
