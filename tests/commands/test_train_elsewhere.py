"""`train.py` on images in folders, with weights and codes from elsewhere, and in several processes."""

import json
import re
import shutil

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from maskgit_lab.data.tokens import TokenCache
from maskgit_lab.fingerprints import fingerprint
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.names import LAST
from maskgit_lab.runs.results import samples_in
from two_processes import in_two_processes


def rows(run):
    """Of samples."""
    return samples_in(json.loads(line) for line in (run / "results.jsonl").read_text().splitlines())


@pytest.fixture
def pets(tmp_path):
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        for i in range(8):
            Image.new("RGB", (20, 18), (i * 30, 90, 200)).save(tmp_path / "pets" / name / f"{i}.png")
    return tmp_path / "pets"


def rewrite_manifest(path, **about):
    """As if the entry had been made so."""
    manifest = json.loads(path.read_text())
    del manifest["checksum"]
    manifest["about"] |= about
    path.write_text(json.dumps({**manifest, "checksum": fingerprint(manifest)}))


def test_a_token_cache_made_elsewhere_is_used_if_it_is_this_tokenizers(command, tiny_run, tiny_cache, tmp_path):
    shutil.copytree(RunFolder(tiny_run).place(RunFolder(tiny_run).record.tokens.path), tmp_path / "codes")
    common = ["debug=tiny", "logger=none", f"cache_dir={tiny_cache}", "stage=mvtm", "tokens.path=codes"]
    said = command("train", *common, "run_dir=a")
    assert said.code == 0 and "found in the cache: codes" in said.out
    said = command("train", *common, "run_dir=b", "data.seed=1")
    assert said.code == 2 and "holds codes made" in said.err and "than this run's" in said.err
    rewrite_manifest(tmp_path / "codes" / "manifest.json", largest_code=99)
    said = command("train", *common, "run_dir=c")
    assert said.code == 2 and "has codes up to 99 and the tokenizer has only 32" in said.err
    rewrite_manifest(tmp_path / "codes" / "manifest.json", tokenizer="another")
    said = command("train", *common, "run_dir=d")
    assert said.code == 2 and "made by another tokenizer than this run's" in said.err


def test_images_that_cannot_be_read_are_left_out_and_said(command, pets, tmp_path):
    (pets / "cat" / "3.png").write_bytes(b"cut")
    settings = ["debug=tiny", "logger=none", "cache_dir=cache", "data=image_folder", "data.root=pets", "data.size=16"]
    settings += [
        "mvtm.optim.max_steps=1",
        "tokenizer.optim.max_steps=1",
        "eval.metrics=[fid,inception_score]",
        "data.test_fraction=0.4",
    ]
    said = command("train", *settings, "run_dir=run", "tokens.views=2", "eval.n_samples=6")
    assert said.code == 0 and "1 cannot be read and are left out: cat/3.png" in said.out, said.err
    assert re.search("encoding 2[34] images", said.out)  # 9 in two views and 7 held out, and one is left out
    assert {row["n_samples"] for row in rows(tmp_path / "run")} == {6}
    said = command("train", *settings, "run_dir=other", "data.max_unreadable=0")
    assert said.code == 2 and "more than data.max_unreadable=0: fix or delete cat/3.png" in said.err
    assert not (tmp_path / "other").exists()


def test_two_processes_train_the_tokenizer_that_one_does(command, tmp_path):
    """The gradients of both, GAN and all, are those of the whole batch."""
    losses = ["tokenizer.losses.adversarial=0.1", "tokenizer.optim.max_steps=3"]
    settings = [
        "debug=tiny",
        "trainer=cpu",
        "logger=none",
        "max_images=128",
        "stage=mvtm",
        *losses,
    ]
    assert command("train", *settings, "run_dir=one", "cache_dir=cache1").code == 0
    said = in_two_processes(tmp_path, "train", *settings, "tokens.shard_size=50", "run_dir=two", "cache_dir=cache2")
    assert said.code == 0 and said.err == "", said.err
    assert said.out.count("training a VQGAN") == 1 and said.out.count("encoding 256 images") == 1
    one, both = (
        load_file(next((tmp_path / c / "tokenizer").glob("*/model.safetensors"))) for c in ("cache1", "cache2")
    )
    # Adam divides by the size of a gradient, so that rounding shows where it is nearly 0; a step moves weights by 2e-3.
    apart = torch.cat([(one[name] - both[name]).abs().flatten() for name in one])
    assert apart.median() < 1e-6 and (apart < 1e-4).double().mean() > 0.9999 and apart.max() < 2e-3
    assert "tokenizer/losses/grad_ratio_adversarial" in (tmp_path / "two" / "metrics.csv").read_text()
    scores = [json.loads((tmp_path / run / "run.json").read_text())["tokenizer"]["scores"] for run in ("one", "two")]
    for key in ("val_mse", "val_perplexity", "val_codebook_usage"):
        assert scores[0][f"tokenizer/{key}"] == pytest.approx(scores[1][f"tokenizer/{key}"], rel=1e-2), key
    tokens = [next((tmp_path / c / "tokens").glob("*/manifest.json")).parent for c in ("cache1", "cache2")]
    first, second = (torch.cat(TokenCache.open(folder).train.shards).int() for folder in tokens)
    assert len(TokenCache.open(tokens[1]).train.shards) == 3 and (first == second).double().mean() > 0.99


def test_training_goes_on_from_given_weights_in_both_stages(command, tiny_run, tmp_path):
    assert command("export", f"checkpoint={tiny_run}", "out=exported").code == 0
    weights = ["tokenizer.weights=exported/tokenizer.safetensors", "mvtm.weights=exported/transformer.safetensors"]
    optim = ["mvtm.optim.max_steps=1", "mvtm.optim.lr=1e-9", "mvtm.optim.ema_decay=0"]
    settings = ["debug=tiny", "logger=none", *weights, "run_dir=run", "cache_dir=cache", *optim]
    said = command("train", *settings, "stage=mvtm")
    assert said.code == 0 and "tokenizer  read from" in said.out
    before = load_file(tmp_path / "exported" / "transformer.safetensors")
    state = torch.load(tmp_path / "run" / "checkpoints" / LAST, weights_only=True)["state_dict"]
    assert all(torch.allclose(state[f"net.{name}"], value, atol=1e-6) for name, value in before.items())
    shutil.rmtree(tmp_path / "exported")  # the run has what it needs
    said = command("train", *settings, "eval.metrics=[nll]", "decode.steps=[2]")
    assert said.code == 0 and "trained already" in said.out, said.err


def test_a_dry_run_goes_through_everything_in_two_steps_of_each_stage(command, pets, tmp_path):
    small = ["tokenizer.net.base_width=32", "tokenizer.discriminator.base_width=2", "mvtm.net.depth=1", "data.size=32"]
    settings = ["experiment=imagenet256", "debug=dry_run", "data=image_folder", "data.root=pets", "logger=none", *small]
    said = command("train", *settings, "run_dir=run", "cache_dir=cache")
    assert said.code == 0, said.err
    assert said.out.count("for 2 steps") == 2 and "rebuilding 2 held-out images" in said.out
    (row,) = rows(tmp_path / "run")
    assert row["data"] == "image_folder" and row["fd_classifier"] >= 0 and row["guidance"] == 0
