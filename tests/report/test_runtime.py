"""The runtime figure as it is drawn and written."""

import json

import pytest

from maskgit_lab.console import Terminal
from maskgit_lab.report.runtime import draw_runtimes, line_styles, runtime_chapters, runtime_specs, say_runtimes
from timing_rows import figure, timing, write


@pytest.fixture(scope="module")
def chapter():
    (made,) = runtime_chapters(figure())
    return made


def test_there_is_a_panel_for_each_batch_size_and_one_of_the_paper(chapter):
    assert [panel.title for panel in chapter.panels] == ["batch 1", "batch 8", "the paper"]
    drawn = chapter.panels[1].lines["autoregressive, no cache"]
    assert [tokens for tokens, _ in drawn] == [256]  # nothing is drawn of a cell that was left out
    assert [one.seconds for _, one in chapter.panels[2].lines["autoregressive, no cache"]] == [
        4.61,
        10.97,
        17.61,
        29.96,
    ]


def test_the_tables_have_what_was_measured_and_the_notes_what_was_not(chapter):
    rows = {tuple(row[:2]): row for row in chapter.table.rows}
    assert rows["1", "256"][2] == "0.100 (0.0900 to 0.120)" and rows["8", "1,024"][4] == "–"  # noqa: RUF001
    ratios = {tuple(row[:2]): row[2:] for row in chapter.ratios.rows}
    assert ratios["1", "1,024"] == ["51.2 (51.2)", "4 (4)", "65", "64"]
    text = " ".join(chapter.notes)
    assert "autoregressive, no cache, 1,024 tokens, batch 8: a batch would take about 7,200 s" in text
    assert (
        "3.2 (3.2) at 256 tokens and batch 1" in text
        and "for 50 to 50 % of the time" in text
        and "10 of 10 images have the same tokens" in text
    )


def test_plotlys_panels_share_a_scale_and_are_json(chapter):
    specs = runtime_specs(chapter)
    assert list(specs) == ["runtime-1-1", "runtime-1-2", "runtime-1-3"] and json.dumps(specs, allow_nan=False)
    assert len({str(spec["layout"]["yaxis"]["range"]) for spec in specs.values()}) == 1
    first = specs["runtime-1-1"]["data"][0]
    assert first["y"] == [0.1, 0.4] and first["error_y"]["array"] == pytest.approx([0.02, 0.08])


def test_png_and_svg_are_drawn_for_each_network(tmp_path):
    paths = draw_runtimes([*figure(), timing(0.2, width=64)], tmp_path)
    assert [path.name for path in paths] == ["runtime.png", "runtime-2.png"]
    assert "batch 8" in (tmp_path / "runtime.svg").read_text() and (tmp_path / "runtime-2.svg").exists()


def test_nothing_is_drawn_where_nothing_was_measured(tmp_path):
    rows = [timing(None)]
    assert draw_runtimes(rows, tmp_path) == [] and not list(tmp_path.iterdir())
    (made,) = runtime_chapters(rows)
    assert not made.panels and not made.ratios.rows and "Not measured" in made.notes[-1]


def test_unusual_steps_have_a_look_of_their_own():
    looks = line_styles({"MaskGIT, T = 8", "MaskGIT, T = 12", "MaskGIT, T = 4", "MaskGIT, T = 16"})
    assert len({style.colour for style in looks.values()}) == 4 and looks.keys() == line_styles(looks).keys()


def test_what_is_printed(capsys):
    say_runtimes(figure(), Terminal())
    out = capsys.readouterr().out
    assert "seconds per image" in out and "N / 2T, T = 8" in out and "KV cache makes" in out


def test_the_report_has_it_with_or_without_runs(command, tmp_path):
    write(tmp_path / "runs" / "runtime", figure())
    said = command("report", "runs=runs", "out=report")
    assert said.code == 0, said.err
    assert "times as long as MaskGIT" in said.out
    page, text = ((tmp_path / "report" / name).read_text() for name in ("report.html", "report.md"))
    assert "How long decoding takes: 2 layers, width 32" in page and '"runtime-1-3"' in page
    assert "![Seconds per image over the number of tokens](figures/runtime-1.png)" in text
    assert (tmp_path / "report" / "figures" / "runtime-1.png").exists()
