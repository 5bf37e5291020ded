"""The results file and what is drawn from it."""

import json

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from maskgit_lab.evaluation.pictures import draw_curve
from maskgit_lab.fingerprints import checksum
from maskgit_lab.runs.results import Results, footnotes, identity, over_repeats, table
from maskgit_lab.sampling import drawing

ROWS = [
    {
        "steps": t,
        "n_samples": 1437,
        "features": "classifier",
        "fd_classifier": 9.0 / t,
        "inception_score": 1.0 + t,
        "cas_top1": 0.9,
        "cas_real_top1": 0.99,
        "nll": 2.0,
    }
    for t in (8, 1, 2)
]


def rows_of(results):
    return [{key: value for key, value in row.items() if key != "checksum"} for row in results.rows()]


def test_rows_come_back_with_a_checksum(tmp_path):
    results = Results(tmp_path / "results.jsonl")
    assert results.rows() == []
    for row in ROWS:
        results.append(row)
    assert rows_of(results) == ROWS and all(row["checksum"] == checksum(row) for row in results.rows())


@pytest.mark.parametrize(("old", "new"), [("9.0", "9.1"), ("1437", "1438"), ('"steps"', '"stepz"')])
def test_a_row_with_a_changed_byte_is_passed_over(tmp_path, old, new):
    results = Results(tmp_path / "results.jsonl")
    for row in ROWS:
        results.append(row)
    lines = results.path.read_text().splitlines()
    results.path.write_text("\n".join([lines[0], lines[1].replace(old, new), lines[2]]) + "\n")
    kept, n_bad = results.read()
    assert [row["steps"] for row in kept] == [8, 2] and n_bad == 1


def test_rows_without_a_checksum_are_read_as_they_are(tmp_path):
    results = Results(tmp_path / "results.jsonl")
    results.path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    assert results.rows() == ROWS and list(results.of("", "").values()) == ROWS


def test_held_out_images_come_first_in_the_table_and_notes_say_how_to_compare_them():
    floor = {"n_samples": 360, "features": "classifier", "fd_classifier": 0.3, "features_saw_reference": True}
    rows = [*ROWS, {"source": "reconstructions", **floor}, {"source": "held_out", **floor}]
    headings, cells = table(rows)
    assert headings[0] == "T" and [line[0] for line in cells] == ["reconstructions", "held-out", "1", "2", "8"]
    assert all(len(line) == len(headings) for line in cells) and "0.300*" in cells[0]
    few, real, number, features = footnotes(rows)
    assert "from 1,437 samples" in few and "0.990" in real
    assert number.startswith("Held-out images and reconstructions are 360") and number.endswith("eval.n_samples=360")
    assert features.startswith("The extractor was trained on the images of the reference")
    assert footnotes(ROWS) == [few, real]


def test_a_table_of_held_out_images_alone_names_them():
    headings, cells = table([{"source": "held_out", "n_samples": 60_000, "fd_classifier": 0.3}])
    assert (headings, cells) == (["images", "FD"], [["held-out", "0.300"]])


def test_a_point_that_other_code_measured_stays_beside_the_new_one(tmp_path):
    results, row = Results(tmp_path / "results.jsonl"), ROWS[0]
    old, new, again = row | {"code": "a"}, row | {"code": "b", "nll": 3.0}, row | {"code": "b", "nll": 4.0}
    for each in (old, new, again):
        results.append(each)
    assert rows_of(results) == [old, again]
    assert [found["nll"] for found in results.of("b", "").values()] == [4.0]


def test_a_line_cut_short_is_passed_over_and_harms_no_later_row(tmp_path):
    results = Results(tmp_path / "results.jsonl")
    results.append(ROWS[0])
    with results.path.open("a") as file:
        file.write('{"steps": 1, "n_samples": 3, "fd_cl')
    results.append(ROWS[2])
    assert rows_of(results) == [ROWS[0], ROWS[2]] and results.read()[1] == 1


def test_the_table_is_ordered_and_has_no_column_for_what_was_not_measured():
    headings, cells = table(ROWS)
    assert headings == ["T", "FD", "IS", "CAS@1", "NLL"]
    assert [row[0] for row in cells] == ["1", "2", "8"]
    assert table([ROWS[0], {"steps": 3, "nll": 123.4}])[1][0] == ["3", "-", "-", "-", "123"]


def test_a_distance_of_few_samples_is_marked_and_explained():
    few, enough = (
        {"steps": t, "n_samples": n, "features": "inception", "fid": 6.18} for t, n in ((8, 999), (9, 50000))
    )
    assert [row[1] for row in table([few, enough])[1]] == ["6.180*", "6.180"]
    assert "from 999 samples instead of 50,000" in footnotes([few, enough])[0] and footnotes([enough]) == []
    assert "up to as many real images has CAS@1 0.990." in footnotes(ROWS)[1]
    assert "has CAS@1 0.990; on all real images 0.995." in footnotes([ROWS[0] | {"cas_real_all_top1": 0.995}])[1]


def test_only_inceptions_distances_are_called_fid_and_kid():
    row = {"steps": 8, "n_samples": 10, "features": "vgg16", "fd_vgg16": 1.0, "kd_vgg16": 0.00123}
    assert table([row]) == (["T", "FD", "KD"], [["8", "1.000*", "0.00123"]])
    row = {"steps": 8, "n_samples": 50000, "features": "inception", "fid": 1.0, "sfid": 2.0, "kid": 0.001}
    assert table([row])[0] == ["T", "FID", "sFID", "KID"]


def test_the_last_row_of_a_point_counts_and_other_settings_are_other_points(tmp_path):
    results, row = Results(tmp_path / "results.jsonl"), ROWS[0]
    again, other = row | {"nll": 3.0, "version_torch": "9"}, row | {"n_samples": 300}
    for each in (row, other, again):
        results.append(each)
    assert rows_of(results) == [again, other]
    assert identity(row) == identity(again) != identity(other)


def test_repeats_are_one_line_with_mean_and_spread():
    row = {"steps": 8, "n_samples": 50000, "features": "inception", "cas_top1": 0.5, "nll": 2.0}
    repeats = [row | {"fid": 1.0}, row | {"fid": 2.0, "repeat": 1}, row | {"fid": 4.5, "repeat": 2}]
    del repeats[1]["cas_top1"], repeats[2]["cas_top1"]
    other = row | {"steps": 4, "fid": 3.0}
    assert table([*repeats, other]) == (
        ["T", "FID", "CAS@1", "NLL"],
        [["4", "3.000", "0.500", "2.000"], ["8", "2.500 ± 1.803", "0.500", "2.000"]],
    )
    assert footnotes([*repeats, other])[-1].startswith("Mean ± standard deviation over 3 draws")
    ((mean, spread),) = over_repeats(repeats)
    assert mean == row | {"fid": 2.5} and spread.keys() == {"fid"}
    assert len(over_repeats([row | {"code": "a"}, row | {"code": "b"}])) == 2  # measured twice, and no repeat


def test_the_bound_has_its_standard_error():
    row = {"steps": 8, "n_samples": 50000, "nll_bound": 3.25, "nll_bound_se": 0.0125}
    assert table([row]) == (["T", "NLL bound"], [["8", "3.250 ± 0.013"]])
    assert "standard error" in footnotes([row])[0]
    assert identity(row) == identity({"steps": 8, "n_samples": 50000})


def test_the_curve_is_drawn_with_the_metrics_there_are(tmp_path):
    draw_curve(ROWS, tmp_path / "wide.png", "title")
    draw_curve([{"steps": 1, "features": "classifier", "inception_score": 2.0}], tmp_path / "narrow.png", "title")
    with Image.open(tmp_path / "wide.png") as wide, Image.open(tmp_path / "narrow.png") as narrow:
        assert wide.width > 2 * narrow.width and wide.height == narrow.height


def test_the_curve_of_a_constant_stays_close_to_it(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **options: drawn.append(figure))
    draw_curve([{"steps": t, "features": "classifier", "inception_score": 2.0} for t in (1, 2)], tmp_path / "c.png", "")
    assert drawn[0].axes[0].get_ylim() == pytest.approx((1.9, 2.1))


def test_a_grid_shows_its_images(tmp_path):
    images = torch.zeros(2, 3, 3, 8, 8, dtype=torch.uint8)
    images[:, :, 0] = 255
    drawing.draw_grid(images, tmp_path / "g.png", title="t", row_names=["a", "b"], column_names=["1", "2", "3"])
    with Image.open(tmp_path / "g.png") as drawn:
        pixels = np.asarray(drawn.convert("RGB"))
    assert (pixels == (255, 0, 0)).all(axis=2).mean() > 0.2


def test_masked_cells_are_grey_and_others_untouched():
    images = torch.full((1, 3, 4, 4), 7, dtype=torch.uint8)
    covered = drawing.cover_masked(images, torch.tensor([[[True, False], [False, False]]]))
    assert (covered[0, :, :2, :2] == drawing.MASK_GREY).all()
    assert (covered == 7).sum() == 3 * 12
