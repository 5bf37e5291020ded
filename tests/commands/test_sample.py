"""`sample.py` from end to end."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maskgit_lab.nets.checkpoints import seal
from maskgit_lab.nets.files import open_net, save_net, write_arrays
from maskgit_lab.nets.released import released_transformer
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.tokenizers.released import released_tokenizer
from records import change_record
from refusals import expect_refused


def read(folder, pattern):
    images = []
    for path in sorted(folder.glob(pattern)):
        with Image.open(path) as image:
            images.append(np.asarray(image))
    return np.stack(images)


def test_writes_images_by_class_and_the_same_for_the_same_seed(command, tiny_run, tmp_path):
    for out, seed in (("a", 0), ("b", 0), ("c", 1)):
        said = command(
            "sample", f"checkpoint={tiny_run}", "classes=[3,7]", "n=4", f"out={out}", f"seed={seed}", "decode.steps=2"
        )
        assert said.code == 0 and "8 images at T = 2, cosine schedule" in said.out
    assert sorted(p.name for p in (tmp_path / "a").iterdir()) == ["3", "7", "grid.png"]
    first, second, other = (read(tmp_path / out, "*/*.png") for out in "abc")
    assert first.shape == (8, 16, 16, 3)
    assert (first == second).all() and (first != other).any()


def test_decodes_with_another_schedule_and_all_classes(command, tiny_run, tmp_path):
    said = command(
        "sample", f"checkpoint={tiny_run}", "n=1", "out=s", "decode.schedule=linear", "decode.choice_temperature=0"
    )
    assert said.code == 0 and "10 images at T = 8, linear schedule" in said.out


def test_exported_files_give_the_samples_of_the_run(command, tiny_run, tmp_path):
    assert command("export", f"checkpoint={tiny_run}", "out=exported").code == 0
    assert sorted(p.name for p in (tmp_path / "exported").iterdir()) == [
        "README.md",
        "tokenizer.safetensors",
        "transformer.safetensors",
    ]
    files = ["checkpoint=exported/transformer.safetensors", "tokenizer.weights=exported/tokenizer.safetensors"]
    for out, source in (("a", [f"checkpoint={tiny_run}"]), ("b", files)):
        said = command("sample", *source, "classes=[3]", "n=4", f"out={out}")
        assert said.code == 0, said.err
    assert (read(tmp_path / "a", "3/*.png") == read(tmp_path / "b", "3/*.png")).all()
    card = (tmp_path / "exported" / "README.md").read_text()
    for part in (
        "MaskGIT, Cosine schedule, on digits",
        "| steps | decode_schedule | choice_temperature | guidance | seed | n_samples | features | reference | fd_",
        "10 classes, 16 x 16 pixels",
        "seed: 0",
    ):
        assert part in card, part
    said = command("export", f"checkpoint={tiny_run}", "out=exported")
    assert said.code == 2 and "not empty" in said.err


def test_guidance_needs_a_model_that_knows_no_class(command, tiny_run):
    said = command("sample", f"checkpoint={tiny_run}", "out=s", "decode.guidance=2")
    assert said.code == 2 and "needs a model that was trained with mvtm.label_dropout" in said.err


def test_released_weights_are_sampled_from(command, tmp_path):
    from released_files import tokenizer_arrays, transformer_arrays, write_flax

    save_net(released_tokenizer(write_flax(tmp_path / "a", tokenizer_arrays()[0])), tmp_path / "tok.safetensors")
    save_net(released_transformer(write_flax(tmp_path / "b", transformer_arrays()), 12), tmp_path / "t.safetensors")
    common = ["checkpoint=t.safetensors", "classes=[4]", "n=2", "decode.steps=3"]
    said = command("sample", *common, "tokenizer=released256", "tokenizer.weights=tok.safetensors", "out=s")
    assert said.code == 0, said.err
    assert read(tmp_path / "s", "0004/*.png").shape == (2, 12, 12, 3)
    os.mkfifo(tmp_path / "pipe.safetensors")
    write_arrays({"a": torch.zeros(1)}, tmp_path / "bare.safetensors")
    for settings, sentence in (
        (["tokenizer.weights=pipe.safetensors"], "(it is not a regular file)"),
        (["tokenizer.weights=bare.safetensors"], "(it does not describe its network)"),
        ([], "name its tokenizer's with tokenizer.weights=FILE"),
        (["tokenizer.weights=absent.safetensors"], "absent.safetensors is not a network of this suite"),
        (["tokenizer.weights=t.safetensors"], "holds a transformer, not a tokenizer"),
    ):
        said = command("sample", *common, *settings, "out=other")
        assert said.code == 2 and sentence in said.err and not (tmp_path / "other").exists()


def test_what_a_file_says_of_itself_is_used_as_far_as_it_makes_sense(command, tiny_run, tmp_path):
    assert command("export", f"checkpoint={tiny_run}", "out=exported").code == 0
    net = open_net(tmp_path / "exported" / "transformer.safetensors", Transformer)
    for i, (names, decoding) in enumerate(
        [
            (["../../escaped"] + ["a/b", "/tmp/x", "", ".", "grid.png"] + ["cat"] * 4, None),
            (5, {"choice_temperature": "hot", "guidance": -1.0, "schedule": ["a"]}),
            (["one"], {"choice_temperature": float("nan")}),
        ]
    ):
        save_net(net, tmp_path / "t.safetensors", class_names=names, decoding=decoding)
        files = ["checkpoint=t.safetensors", "tokenizer.weights=exported/tokenizer.safetensors"]
        said = command("sample", *files, "n=1", f"out=out{i}/s", "decode.steps=1")
        assert said.code == 0, said.err
        assert not (tmp_path / "escaped").exists() and len(list((tmp_path / f"out{i}").iterdir())) == 1
    assert {p.name for p in (tmp_path / "out1" / "s").iterdir()} == {f"{i:04}" for i in range(10)} | {"grid.png"}


def test_a_runs_config_builds_nothing_but_what_it_is_for(command, tiny_run, tiny_cache, tmp_path):
    (tmp_path / "conf" / "schedule").mkdir(parents=True)
    (tmp_path / "conf" / "schedule" / "odd.yaml").write_text("{_target_: pathlib.Path.touch, self: written}")
    said = command("train", "debug=tiny", "logger=none", f"cache_dir={tiny_cache}", "run_dir=r", "schedule=odd")
    assert (
        said.code == 2
        and "schedule._target_ does not make the required Schedule" in said.err
        and not (tmp_path / "written").exists()
    )


def poisoned(checkpoint):
    found = torch.load(checkpoint, weights_only=True)
    for name in found["state_dict"]:  # of the weights and of their average
        if name.endswith("norm.weight"):
            found["state_dict"][name][0] = torch.nan
    torch.save(found, checkpoint)
    seal(checkpoint)


def unfinished(checkpoint):
    change_record(checkpoint.parents[1], mvtm=None)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (poisoned, "last.ckpt contains NaN or infinite values in "),
        (unfinished, "the run in run is not trained to its end: give `python train.py "),
        (Path.unlink, "the checkpoint run/checkpoints/last.ckpt of a run that was trained is missing: put it back"),
    ],
)
def test_what_has_no_use_is_not_exported(command, run, tmp_path, change, sentence):
    change(run / "checkpoints" / "last.ckpt")
    expect_refused(command("export", "checkpoint=run", "out=exported"), sentence)
    assert not (tmp_path / "exported").exists()


def test_a_tokenizer_alone_is_exported_with_its_scores(command, tiny_cache, tmp_path):
    tiny = ["debug=tiny", "logger=none", f"cache_dir={tiny_cache}", "stage=tokenizer", "run_dir=run"]
    assert command("train", *tiny).code == 0
    said = command("export", "checkpoint=run", "out=exported")
    assert said.code == 0 and "this run has trained none: only its tokenizer is written" in said.out
    assert sorted(p.name for p in (tmp_path / "exported").iterdir()) == ["README.md", "tokenizer.safetensors"]
    assert "| mse | perplexity | codebook_usage |" in (tmp_path / "exported" / "README.md").read_text()
    said = command("sample", "checkpoint=run", "out=s")
    assert said.code == 2 and "not trained to its end" in said.err
