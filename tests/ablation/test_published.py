"""The paper's own numbers."""

from maskgit_lab.ablation.published import fid_curves, in_order, table3


def test_table_3_is_as_printed():
    assert list(table3()) == ["exponential", "cubic", "square", "cosine", "linear", "square_root", "logarithmic"]
    cosine, logarithmic = table3()["cosine"], table3()["logarithmic"]
    assert (cosine.best_steps, cosine.fid, cosine.inception_score, cosine.nll) == (10, 6.06, 181.5, 4.22)
    assert (logarithmic.shape, logarithmic.best_steps, logarithmic.fid) == ("convex", 60, 29.17)
    assert [row.shape for row in table3().values()] == ["concave"] * 4 + ["linear"] + ["convex"] * 2


def test_the_less_concave_a_schedule_is_the_later_is_its_best_step_and_the_lower_its_nll():
    rows = list(table3().values())
    assert [row.best_steps for row in rows] == sorted(row.best_steps for row in rows)
    assert [row.nll for row in rows] == sorted((row.nll for row in rows), reverse=True)


def test_the_figure_has_a_curve_for_each_schedule_of_the_table():
    assert fid_curves().keys() == table3().keys()
    assert {tuple(curve) for curve in fid_curves().values()} == {(5, 6, 7, 8, 9, 10, 12, 16, 32)}
    assert fid_curves()["linear"][5] == 29.0 and fid_curves()["logarithmic"][32] == 34.61


def test_figure_and_table_agree_where_both_have_a_value():
    both = [(fid_curves()[name][row.best_steps], row.fid) for name, row in table3().items() if row.best_steps < 33]
    assert len(both) == 6 and all(abs(figure - table) < 0.2 for figure, table in both)


def test_schedules_of_the_paper_come_first():
    assert in_order(["zigzag", "linear", "arccos", "exponential"]) == ["exponential", "linear", "arccos", "zigzag"]
