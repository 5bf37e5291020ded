"""docs/extending.md, to the letter: each example is copied into an empty folder, and its commands are run."""

from PIL import Image

from evaluations import QUIET, rows
from maskgit_lab.lit.loggers.wandb import curve_settings
from maskgit_lab.metrics import registry
from refusals import expect_refused


def test_a_schedule(followed, command, tmp_path):
    trained = followed("A schedule")[0]
    name = "my_schedules.quartic"  # with its module, so that no two are mixed
    assert f"{name} schedule" in trained.out
    assert {(row["schedule"], row["decode_schedule"]) for row in rows(tmp_path / "runs" / "quartic")} == {(name, name)}
    assert [(row["schedule"], row["decode_schedule"], row["steps"]) for row in rows(tmp_path / "runs" / "cosine")] == [
        ("cosine", "cosine", 2),
        ("cosine", "cosine", 4),
        ("cosine", name, 3),
    ]
    decode = ["evaluate", "checkpoint=runs/cosine", *QUIET]
    expect_refused(command(*decode, "decode.schedule=my_schedules.Quintic"), "has no attribute 'Quintic'")
    expect_refused(command(*decode, "decode.schedule=my_schedules.Tensor"), "does not make the required Schedule")


def test_a_decoder(followed, command, tmp_path):
    followed("A decoder")
    new = rows(tmp_path / "runs" / "digits")[2:]
    assert [(row["decoder"], row["steps"], row["temperature"]) for row in new] == [
        ("my_decoders.randomorder", 2, 1.0),
        ("my_decoders.randomorder", 4, 1.0),
        ("my_decoders.randomorder", 4, 0.5),
    ]
    assert len({row["fd_classifier"] for row in new}) == 3
    for row in new:  # it has none of another decoder's settings
        assert not {"choice_temperature", "guidance"} & row.keys()
        assert curve_settings(row) == {"schedule_name": "cosine", "decode_schedule_name": "cosine"} | {
            "temperature": row["temperature"]
        }
    said = command("sample", "checkpoint=runs/digits", "decode=shuffled", "n=2", "classes=[3]", "out=samples")
    assert said.code == 0, said.err
    with Image.open(tmp_path / "samples" / "3" / "00001.png") as image:
        assert image.size == (16, 16)
    wrong = {
        "decode.temperature=-1": "decode.temperature=-1.0 is not possible: give a positive number",
        "decode.temperature=much": "decode.temperature=much is not possible: give a number",
        "+decode.temperatur=1": "decode.temperatur: there is no such setting of RandomOrder; it has temperature",
        "decode._target_=my_decoders.Absent": "module 'my_decoders' has no attribute 'Absent'",
        "decode._target_=builtins.dict": "decode._target_ does not make the required Decoder",
    }
    for setting, sentence in wrong.items():
        asked = ["decode=shuffled", "decode.steps=[2]", setting]
        expect_refused(command("evaluate", "checkpoint=runs/digits", *asked, *QUIET), sentence)


def test_an_order_of_the_tokens(followed, command, tmp_path):
    followed("An order of the tokens")
    (row,) = rows(tmp_path / "runs" / "backwards")
    assert row["order"] == "my_orders.backwards" and row["nll_exact"] > 0
    said = command("export", "checkpoint=runs/backwards", "out=exported")
    assert said.code == 0 and "my_orders.backwards order" in (tmp_path / "exported" / "README.md").read_text(), said.err


def test_a_metric(followed, command, tmp_path):
    evaluated = followed("A metric")[-1]
    row = rows(tmp_path / "runs" / "digits")[-1]
    assert row["mean_distance"] > 0 and row["metrics"] == "fid mean_distance"
    assert "mean distance" in " ".join(evaluated.out.split()) and f"{row['mean_distance']:.4f}" in evaluated.out
    assert "mean_distance" in [metric.key for metric in registry.of_rows([row])]
    wrong = {
        "fid,my_metrics.metrik": "eval.metrics=my_metrics.metrik is not possible",
        "fid,my_metrics.mean_distance": "my_metrics.mean_distance is not a Metric of maskgit_lab.metrics.registry",
        "fid,nowhere.mine": "eval.metrics=nowhere.mine is not possible (No module named 'nowhere')",
        "my_metrics.metric,my_metrics.metric": "name every one of them once",
    }
    for metrics, sentence in wrong.items():
        asked = ["checkpoint=runs/digits", f"eval.metrics=[{metrics}]", "decode.steps=[2]"]
        expect_refused(command("evaluate", *asked, *QUIET), sentence)


def test_a_network(followed, command, tmp_path):
    followed("A network")
    assert len(list((tmp_path / "samples" / "3").glob("*.png"))) == 2
    assert rows(tmp_path / "runs" / "pre_norm")[0]["fd_classifier"] > 0
    assert command("export", "checkpoint=runs/pre_norm", "out=exported").code == 0
    files = ["checkpoint=exported/transformer.safetensors", "tokenizer.weights=exported/tokenizer.safetensors"]
    expect_refused(command("sample", *files, "out=again"), "holds a pre_norm_transformer, not a transformer")


def test_a_data_set(followed, command, tmp_path):
    followed("A data set")
    found = rows(tmp_path / "runs" / "shapes")
    assert [row["data"] for row in found] == ["shapes", "shapes"] and found[0]["reference"] == "shapes-train"
    said = command("train", "data=npz", "data.path=absent.npz", "debug=tiny", *QUIET)
    expect_refused(said, "data.path=absent.npz is not there: give an npz file")
    assert command("train", "data=npz", "debug=tiny", *QUIET).code == 2  # data.path is needed
