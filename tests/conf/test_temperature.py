"""Choice temperatures among the configs are what the curves beside them say: chosen, not copied."""

import csv
from pathlib import Path

import pytest
import yaml

DECODE = Path(__file__).resolve().parents[2] / "conf" / "decode"
CURVES = sorted(DECODE.glob("*_temperature.csv"))


def test_the_digits_have_one():
    assert DECODE / "digits_temperature.csv" in CURVES


@pytest.mark.parametrize("path", CURVES, ids=lambda path: path.stem)
def test_a_temperature_is_the_best_of_its_curve(path):
    option = DECODE / f"{path.stem.removesuffix('_temperature')}.yaml"
    with path.open() as file:
        rows = list(csv.DictReader(file))
    best = min(rows, key=lambda row: (float(row["distance"]), float(row["temperature"])))
    assert yaml.safe_load(option.read_text())["choice_temperature"] == float(best["temperature"])
    text = option.read_text()
    assert text.startswith("# Command: python evaluate.py sweeps=choose_temperature")
    assert f"# Chosen: {float(best['temperature']):g}, with" in text and f"at T = {best['steps']};" in text
    of_each = {row["temperature"]: sum(other["temperature"] == row["temperature"] for other in rows) for row in rows}
    assert len(of_each) > 1 and len(set(of_each.values())) == 1  # every temperature at every T
