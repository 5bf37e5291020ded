"""One measurement is one point, whichever run or command made its rows."""

from collections.abc import Callable
from pathlib import Path

import pytest

from maskgit_lab.ablation.curves import curves
from maskgit_lab.ablation.ranking import Ranking, rank
from maskgit_lab.ablation.reading import Run, Seeds, find_runs
from maskgit_lab.ablation.studies import studies
from maskgit_lab.report.csv_files import curves_csv, table_csv
from synthetic_runs import STEPS, add_rows, make_run, make_sweep, row

SCHEDULES = ("cosine", "linear", "square_root")


def exported(each: dict) -> dict:
    """A row as the evaluation of an exported file leaves it."""
    own = {"metrics": "fid inception_score precision_recall"}
    left_out = ("data", "cas_classifier", "nll", "cas_top1", "cas_top5", "cas_real_top1")
    return {key: value for key, value in each.items() if key not in left_out} | own


def of_cosine(folder: Path) -> list[dict]:
    return next(run for run in find_runs(folder) if run.path.name == "schedule_cosine+seed_0").rows


def evaluated_elsewhere(folder: Path) -> None:
    rows = of_cosine(folder)
    add_rows(folder / "evaluated", rows)
    add_rows(folder / "a" / "again", rows[:2])


def run_again(folder: Path) -> None:
    make_run(folder / "another_name", of_cosine(folder), grids=False)


def run_again_with_other_logging(folder: Path) -> None:
    """Its config differs in what does not change the weights."""
    make_run(folder / "a", of_cosine(folder), depth=99, grids=False)


def exported_and_evaluated(folder: Path) -> None:
    add_rows(folder / "exported", map(exported, of_cosine(folder)))


def numbers(folder: Path) -> tuple[str, str, Ranking | None]:
    every = studies(find_runs(folder))
    return curves_csv(every), table_csv(every), rank(curves(every[0].main, every[0].distance), bootstrap=50, seed=0)


@pytest.mark.parametrize(
    "duplicate", [evaluated_elsewhere, run_again, run_again_with_other_logging, exported_and_evaluated]
)
def test_duplicates_change_no_number(tmp_path, duplicate: Callable[[Path], None]):
    folder = make_sweep(tmp_path, SCHEDULES)
    before = numbers(folder)
    duplicate(folder)
    assert numbers(folder) == before
    (study,) = studies(find_runs(folder))
    assert len(study.points) == 3 * 2 * len(STEPS) and study.seeds == [Seeds(0), Seeds(1)] and len(study.runs) > 6
    assert study.data == "digits" and study.training["mvtm.net.depth"] == 4


def test_one_run_and_its_duplicates_have_one_seed(tmp_path):
    make_run(tmp_path / "run", [row("cosine", 0, t) for t in STEPS], grids=False)
    before = numbers(tmp_path)
    for name in ("b", "c"):
        add_rows(tmp_path / name, [exported(row("cosine", 0, t)) for t in STEPS])
    (study,) = studies(find_runs(tmp_path))
    assert numbers(tmp_path) == before and not curves(study.main, study.distance)[0].has_band


def test_an_exported_file_of_unknown_origin_stays_apart(tmp_path):
    make_run(tmp_path / "run", [row("cosine", 0, 4)], grids=False)
    add_rows(tmp_path / "file", [exported(row("cosine", 0, 4, model="unknown"))])
    assert [study.data for study in studies(find_runs(tmp_path))] == ["digits", "unknown data"]


def test_rows_without_a_model_take_nothing_from_each_other():
    rows = [{key: value for key, value in row("cosine", 0, 4).items() if key != "model"} for _ in range(2)]
    del rows[1]["data"]
    runs = [Run(Path("run"), rows[:1], "t"), Run(Path("file"), rows[1:], "")]
    assert [study.data for study in studies(runs)] == ["digits", "unknown data"]
