"""Every mistake of a user of `evaluate.py` gets one sentence, a non-zero exit and no traceback, and costs nothing."""

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image
from safetensors.torch import save_file

from copies import copy_of
from maskgit_lab.errors import UserError
from maskgit_lab.launch.sentences import sentence
from maskgit_lab.settings import EvaluateConf
from records import read_record, write_record
from refusals import expect_refused

EVALUATIONS = {
    "": "give either checkpoint=RUN_DIR, or samples=FOLDER_OR_NPZ",
    "checkpoint=RUN samples=good.npz": "give either checkpoint=RUN_DIR, or samples",
    "checkpoint=nowhere": "nowhere contains no run",
    "checkpoint=RUN/config.yaml": "config.yaml contains no run: name",
    "checkpoint=RUN decode.steps=[0]": "decode.steps=[0] is not possible",
    "checkpoint=RUN decode.steps=[]": "name at least one number of decoding steps",
    "checkpoint=RUN decode.steps=8": "decode.steps takes a list",
    "checkpoint=RUN eval.n_samples=1": "eval.n_samples=1 is not possible: give at least 2",
    "checkpoint=RUN eval.n_samples=3": "eval.neighbours=3 is not below the number of images, 3",
    "checkpoint=RUN eval.n_samples=12 eval.splits=10": "eval.splits=10 is too many for the 12 images",
    "checkpoint=RUN eval.splits=0": "eval.splits=0 is not possible: give a whole number of at least 1",
    "checkpoint=RUN eval.metrics=[fud]": "eval.metrics=[fud] is not possible: choose from fid, sfid, kid",
    "checkpoint=RUN save=[jpg]": "save=[jpg] is not possible: choose from npz, png",
    "checkpoint=RUN eval.batch_size=0": "eval.batch_size=0 is not possible",
    "checkpoint=RUN max_images=1": "max_images=1 is not possible: give a whole number of at least 2",
    "checkpoint=RUN runtime.batch_sizes=[1]": "runtime has no settings of its own: give runtime=VALUE",
    "checkpoint=RUN seed=-1": "seed=-1 is not possible",
    "checkpoint=RUN n_samples=9": "n_samples: there is no such setting (did you mean eval.n_samples?)",
    "checkpoint=RUN n_sample=9": "n_sample: there is no such setting (did you mean eval.n_samples?)",
    "checkpoint=RUN eval.n_sample=9": "eval.n_sample: there is no such setting (did you mean eval.n_samples?)",
    "checkpoint=RUN eval.metrics=fid": "eval.metrics takes a list: write it as eval.metrics=[fid]",
    "checkpoint=RUN eval.n_samples=abc": "eval.n_samples=abc is not possible",
    "checkpoint=RUN eval.steps=[0]": "eval.steps=[0] is not possible",
    "checkpoint=RUN features.name=incption": "features.name=incption is not possible: choose one of",
    "checkpoint=RUN decode.temperature=1": "decode.temperature: there is no such setting of MaskGIT; it has choice",
    "checkpoint=RUN decode.choice_temperature=inf": "choice_temperature=inf is not possible: give a finite number",
    "checkpoint=RUN decode._target_=torch.nn.Identity": "decode._target_ does not make the required Decoder",
    "checkpoint=RUN data.sise=16": "data.sise: there is no such setting",
    "checkpoint=RUN tokenizer.weigths=file": "tokenizer.weigths: there is no such setting (did you mean tokenizer.wei",
    "checkpoint=RUN features=incption": "did you mean inception?",
    "checkpoint=RUN features=inception features.weights=absent": "get weights-inception-2015-12-05-6726825d.pth from",
    "checkpoint=RUN features=inception features.weights=file": "SHA-256 starts with",
    "checkpoint=RUN features=resnet56_cifar10": "are not available (no file is given): get resnet56-4bfd9763.th",
    "checkpoint=RUN eval.precision_features=vgg17": "eval.precision_features=vgg17 is not possible: choose",
    "checkpoint=RUN eval.reference=absent": "eval.reference=absent does not exist",
    "checkpoint=RUN eval.reference=file": "eval.reference=file is neither a folder nor an .npz file",
    "checkpoint=RUN eval.reference=mixed": "give images of one size",
    "checkpoint=RUN eval.reference=small.npz": "has 8 x 8 pixels and the samples have 16 x 16",
    "checkpoint=RUN data=digits data.seed=1": "are not those that the run in",
    "checkpoint=RUN decode.schedule=cosin": "there is no such schedule",
    "checkpoint=RUN decode.guidance=1": "needs a model that was trained with mvtm.label_dropout above 0",
    "checkpoint=RUN tokenizer.weights=file": "is a run with a tokenizer of its own",
    "checkpoint=RUN out=full": "out=full is not empty and holds no results",
    "checkpoint=RUN out=file/x": "cannot write out=file/x",
    "checkpoint=RUN trainer.devices=1000": "trainer.devices=1000 is far more than the",
    "checkpoint=RUN trainer.devices=0": "give a whole number of at least 1",
    "checkpoint=net.safetensors out=o eval.reference=good.npz eval.n_samples=4 T RANDOM": "name its tokenizer's",
    "checkpoint=net.safetensors out=o eval.reference=good.npz eval.n_samples=4 RANDOM": "decode.steps is needed, since",
    "samples=good.npz": "samples needs a reference: give eval.reference=",
    "samples=absent eval.reference=good.npz RANDOM": "samples=absent does not exist",
    "samples=nan.npz eval.reference=good.npz RANDOM": "contains NaN or infinite values in image 0",
    "samples=floats.npz eval.reference=good.npz RANDOM": "give uint8, or floats in [0, 1]",
    "samples=mixed eval.reference=good.npz RANDOM": "give images of one size",
    "samples=good.npz eval.reference=small.npz RANDOM": "give a reference of the same resolution",
    "samples=good.npz eval.reference=train RANDOM": "eval.reference=train needs data",
    "samples=good.npz eval.reference=good.npz features=classifier": "add classifier=small",
    "samples=good.npz eval.reference=good.npz features=classifier classifier=small": "name them with data=",
    "samples=one.npz eval.reference=good.npz RANDOM": "1 image is too few",
    "samples=good.npz eval.reference=one.npz RANDOM": "1 image is too few",
    "samples=good.npz eval.reference=broken.npz RANDOM": "of shape (6, 16, 16): give images as uint8",
    "samples=labels.npz eval.reference=good.npz RANDOM CAS": "classes from 0 to 99 and the data have 10",
    "samples=small.npz eval.reference=small.npz RANDOM CAS": "8 x 8 pixels and the data 16 x 16",
    "samples=good.npz eval.reference=good.npz RANDOM out=full": "out=full is not empty and holds no results",
    "samples=good.npz eval.reference=good.npz RANDOM cache_dir=": "cache_dir= is not possible",
    "samples=good.npz eval.reference=good.npz RANDOM eval.kid_subset_size=1": "eval.kid_subset_size=1 is not possible",
    "checkpoint=RUN eval.metrics=[fid,fid]": "eval.metrics=[fid,fid] is not possible: name every one of them once",
    "checkpoint=RUN eval.n_samples=10000000000000": "eval.n_samples=10000000000000 is not possible",
    "checkpoint=RUN decode.steps=[99999999999999999999]": "give whole numbers from 1 to 4096",
    "checkpoint=RUN eval.precision_features=vgg16 eval.precision_weights=file": "path with eval.precision_weights=FILE",
    "samples=good.npz eval.reference=good.npz eval.neighbours=9 RANDOM": "eval.neighbours=9 is not below the number of",
}

MOVED = (
    *("n_samples", "metrics", "batch_size", "splits", "neighbours", "kid_subsets", "kid_subset_size", "nll_draws"),
    *("reference", "reference_features", "precision_features", "precision_weights"),
)


@pytest.mark.parametrize("name", MOVED)
def test_the_name_that_a_setting_had_leads_to_its_name_in_the_group(name):
    said = sentence(UserError(f"{name}: there is no such setting"), EvaluateConf, "`--help`")
    assert said.startswith(f"{name}: there is no such setting (did you mean eval.{name}?)")


@pytest.mark.parametrize("settings", EVALUATIONS, ids=str)
def test_evaluate_settings(command, tiny_run, tiny_cache, tmp_path, settings):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    (tmp_path / "mixed").mkdir()
    for size in (16, 17):
        Image.new("RGB", (16, size)).save(tmp_path / "mixed" / f"{size}.png")
    save_file({"a": torch.zeros(1)}, tmp_path / "net.safetensors")
    for name, array in {
        "good": np.zeros((6, 16, 16, 3), np.uint8),
        "one": np.zeros((1, 16, 16, 3), np.uint8),
        "small": np.zeros((6, 8, 8, 3), np.uint8),
        "nan": np.full((6, 16, 16, 3), np.nan),
        "labels": np.zeros((6, 16, 16, 3), np.uint8),
        "floats": np.full((6, 16, 16, 3), 255.0),
    }.items():
        labels = {"arr_1": np.array([0, 1, 2, 3, 4, 99])} if name in ("labels", "small") else {}
        np.savez(tmp_path / f"{name}.npz", arr_0=array, **labels)
    np.savez(tmp_path / "broken.npz", mu=np.zeros(2048), sigma=np.eye(2048), arr_0=np.zeros((6, 16, 16), np.uint8))
    before = (tiny_run / "results.jsonl").read_bytes()
    asked = settings.replace("RUN", str(tiny_run), 1) if "checkpoint=RUN" in settings else settings
    asked = asked.replace(" T ", " decode.steps=[2] ")
    asked = asked.replace("RANDOM", "features=inception features.weights=random")
    asked = asked.replace("CAS", "data=digits eval.metrics=[cas] cas=small")
    said = command("evaluate", "logger=none", f"cache_dir={tiny_cache}", *asked.split())
    expect_refused(said, EVALUATIONS[settings])
    assert (tiny_run / "results.jsonl").read_bytes() == before
    assert [p.name for p in (tmp_path / "full").iterdir()] == ["thesis.txt"]


def test_evaluate_needs_a_run_that_has_begun_and_that_nobody_works_in(command, tiny_run, tiny_cache, tmp_path):
    copy_of(tiny_run, tmp_path / "run")
    with FileLock(tmp_path / "run" / ".lock"):
        said = command("evaluate", "checkpoint=run", "logger=none", f"cache_dir={tiny_cache}", "decode.steps=[2]")
    expect_refused(said, "another process is working in run")
    record = read_record(tmp_path / "run")
    begun = {key: record[key] for key in ("fingerprint", "config", "command", "code", "cache", "wandb_id")}
    write_record(tmp_path / "run", begun)
    said = command("evaluate", "checkpoint=run", "logger=none", f"cache_dir={tiny_cache}", "decode.steps=[2]")
    expect_refused(said, "has no data yet: give `python train.py debug=tiny")
