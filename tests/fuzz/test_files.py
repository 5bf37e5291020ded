"""What is parsed, from files that may hold anything: it is used, passed over, or refused in a sentence."""

import io
import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
import yaml
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hypothesis import given
from hypothesis import strategies as st
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from safetensors.torch import save

from damage import damaged, edited, expect_sentence, folder
from maskgit_lab import config
from maskgit_lab.ablation.baselines import baselines
from maskgit_lab.ablation.origins import Origins
from maskgit_lab.ablation.reading import find_runs
from maskgit_lab.ablation.studies import studies
from maskgit_lab.data.external import open_images
from maskgit_lab.data.folders import image_folder
from maskgit_lab.data.shards import Shards
from maskgit_lab.data.survey import check_limit, find_unreadable, names_of
from maskgit_lab.data.tokens import open_codes
from maskgit_lab.errors import UserError
from maskgit_lab.fingerprints import checksum
from maskgit_lab.launch import sweeps as module
from maskgit_lab.metrics.reference import published_statistics
from maskgit_lab.nets.files import open_net, read_about, save_net
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.runs.codes import Codes
from maskgit_lab.runs.folder import RunFolder
from maskgit_lab.runs.housekeeping import survey
from maskgit_lab.runs.names import CODE, RECORD
from maskgit_lab.runs.record import Record, TokensRecord
from maskgit_lab.runs.results import RESULTS, Results, footnotes, over_repeats, table
from maskgit_lab.usage import configs
from picture_files import FRAMING, picture
from records import WHOLE
from synthetic_runs import CONFIG, row

RUN = replace(
    WHOLE,
    cache="../cache",
    tokens=TokensRecord("cache:tokens/0123456789ab", "c"),
    mvtm={"mvtm/val_nll": 3.0},
    measured={"asked": ["point"]},
    used=["tokenizer/0123456789ab"],
)


@cache
def whole_record():
    with folder() as place:
        RUN.write(place)
        return (place / RECORD).read_bytes()


def of_json(whole):
    """A JSON file of one object: its bytes damaged, or its values edited."""
    values = json.loads(whole)
    return damaged(whole) | edited(values).map(lambda edit: json.dumps(edit).encode())


def read_run(place):
    run = RunFolder(place)
    for part in ("tokenizer", "tokens", "transformer", "pictures"):
        run.is_done(part)
    assert run.again and run.data.n_classes
    run.save()
    assert Record.read(place)


@given(of_json(whole_record()))
def test_the_record_of_a_run(data):
    with folder() as place:
        (place / "run").mkdir()
        (place / "run" / RECORD).write_bytes(data)
        expect_sentence(lambda: read_run(place / "run"))
        survey([place / "run"], place / "cache")
        expect_sentence(lambda: find_runs(place))


NEW = row("linear", 1, 8, code="c", choice_temperature=2.0)
ROWS = [row("cosine", 0, 4), {**NEW, "checksum": checksum(NEW)}]


def of_lines(rows):
    """A file of one object a line."""
    text = "".join(json.dumps(each) + "\n" for each in rows).encode()
    lines = st.lists(st.one_of([edited(each) for each in rows]), min_size=1, max_size=4)
    return damaged(text) | lines.map(lambda edits: "".join(json.dumps(each) + "\n" for each in edits).encode())


def read_results(place):
    results = Results(place / RESULTS)
    rows, n_cut = results.read()
    assert n_cut >= 0
    expect_sentence(lambda: (table(rows), footnotes(rows), over_repeats(rows)))
    found = find_runs(place, least=0)
    origins = Origins.of(found)
    studies(found, origins), baselines(found, origins)
    results.append({"n_samples": 3, "code": "own"})
    assert any(each.get("code") == "own" for each in results.rows())


@given(of_lines(ROWS))
def test_the_rows_of_a_run(data):
    with folder() as place:
        (place / "config.yaml").write_text(CONFIG.format(seed=0, depth=2, schedule="Cosine", steps="[4]"))
        (place / RESULTS).write_bytes(data)
        expect_sentence(lambda: read_results(place))


@given(of_json(json.dumps({"0123456789ab": {"a.py": "1", "b.py": "2"}}).encode()))
def test_the_code_of_a_run(data):
    with folder() as place:
        (place / CODE).write_bytes(data)
        codes = Codes(place)
        assert codes.changes("0123456789ab", {"a.py": "3"})
        assert codes.get(codes.add({"a.py": "3"})) == {"a.py": "3"}


@st.composite
def arrays(draw):
    """An .npz file of images, labels and statistics of any types and shapes."""
    kinds = st.sampled_from(["u1", "f4", "f8", "i8", "b1", "c8", "M8[s]", "U2", "f2", ">u2"])
    found = {}
    for name in draw(st.lists(st.sampled_from(["arr_0", "arr_1", "mu", "sigma", "x"]), unique=True, max_size=4)):
        shape = draw(
            st.sampled_from([(4, 8, 8, 3), (3, 2, 2, 3), (2, 2), (2,), ()]) | st.lists(st.integers(0, 4), max_size=5)
        )
        found[name] = np.full(tuple(shape), draw(st.integers(0, 2))).astype(draw(kinds))
    file = io.BytesIO()
    (np.savez_compressed if draw(st.booleans()) else np.savez)(file, **found)
    return file.getvalue()


@cache
def whole_npz():
    file = io.BytesIO()
    values = np.random.default_rng(0)
    covariance = np.cov(values.normal(size=(9, 3)).T)
    np.savez(file, arr_0=values.integers(0, 256, (3, 4, 4, 3)).astype(np.uint8), mu=np.zeros(3), sigma=covariance)
    return file.getvalue()


def read_images(path):
    images = open_images(path, "samples")
    assert images[0][0].shape == (3, *images.size) and 0 not in images.size and len(images.labels) == len(images)
    images.fingerprint()


@given(damaged(whole_npz()) | arrays())
def test_images_and_statistics_in_an_npz_file(data):
    with folder() as place:
        (place / "images.npz").write_bytes(data)
        expect_sentence(lambda: read_images(place / "images.npz"))
        expect_sentence(lambda: published_statistics(place / "images.npz"))


@cache
def whole_net():
    with folder() as place:
        net = Transformer(n_codes=4, n_classes=2, n_tokens=4, width=4, depth=1, heads=1, mlp_width=4, dropout=0.0)
        save_net(net, place / "net.safetensors", decoding={"schedule": "cosine"})
        return (place / "net.safetensors").read_bytes()


@st.composite
def described(draw):
    """A whole network whose description was edited."""
    length = int.from_bytes(whole_net()[:8], "little")
    header = json.loads(whole_net()[8 : 8 + length])
    about = json.loads(header["__metadata__"]["maskgit_lab"])
    header["__metadata__"]["maskgit_lab"] = json.dumps(draw(edited(about)))
    if draw(st.booleans()):
        header = draw(edited(header))
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + whole_net()[8 + length :]


@given(damaged(whole_net()) | described())
def test_a_network_in_a_safetensors_file(data):
    with folder() as place:
        (place / "net.safetensors").write_bytes(data)
        expect_sentence(lambda: read_about(place / "net.safetensors"))
        expect_sentence(lambda: open_net(place / "net.safetensors", Transformer))


def write_codes(place):
    for split, n in (("train", 6), ("test", 3)):
        shards = Shards(place, n, f"{split}-shard-")
        shards.fill(
            shards.missing(3), lambda ranges: ({"codes": torch.zeros(len(r), 2, 2, dtype=torch.uint16)} for r in ranges)
        )
    (place / "labels.safetensors").write_bytes(save({"train": torch.arange(6) % 2, "test": torch.arange(3) % 2}))


@given(st.data())
def test_a_token_cache(data):
    with folder() as place:
        write_codes(place)
        path = data.draw(st.sampled_from(sorted(place.glob("*.safetensors"))))
        path.write_bytes(data.draw(damaged(path.read_bytes())))
        expect_sentence(lambda: open_codes(place, 4, 2))
        Shards(place, 6, "train-shard-").missing(3)


NAMES = st.sampled_from(["cat", "dog", "train", "val", ".git", "__MACOSX", "a b", "ü", "x.png", "..."]) | st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=5
)


@cache
def whole_png():
    file = io.BytesIO()
    picture().save(file, "png")
    return file.getvalue()


@st.composite
def trees(draw):
    """Folders of files, some of them images; a name to its bytes, a folder's path, or the target of a link."""
    found = {}
    for _ in range(draw(st.integers(0, 8))):
        parts = draw(st.lists(NAMES, min_size=1, max_size=3))
        kind = draw(st.sampled_from(["image", "image", "damaged", "link", "folder"]))
        end = draw(st.sampled_from([".png", ".jpg", ".PNG", ".txt", ""]))
        bytes_ = whole_png() if kind == "image" else draw(damaged(whole_png())) if kind == "damaged" else None
        found["/".join([*parts[:-1], parts[-1] + end])] = (kind, bytes_, draw(st.sampled_from([".", "..", "cat", "/"])))
    return found


def write_tree(place, found):
    for name, (kind, data, target) in found.items():
        path = place / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if kind == "link" and target != "/":
                path.symlink_to(target)
            elif kind == "folder":
                path.mkdir()
            elif data is not None:
                path.write_bytes(data)
        except OSError:  # the name of a folder that is a file already, or too long
            continue


def read_folder(root):
    data = image_folder(str(root), name="mine", max_unreadable=2, **FRAMING)
    unreadable = {split: find_unreadable(images, 0, lambda _: None) for split, images in data.splits().items()}
    check_limit(data, names_of(data, unreadable))
    whole = data.without(unreadable)
    assert all(split[i][0].shape == (3, 8, 8) for split in whole.splits().values() for i in range(len(split)))


@given(trees())
def test_a_folder_of_images(found):
    with folder() as place:
        write_tree(place / "images", found)
        expect_sentence(lambda: read_folder(place / "images"))
        expect_sentence(lambda: read_images(place / "images"))


SWEEP = {"verb": "train", "name": "mine", "params": {"schedule": ["cosine", "linear"], "seed": [0, 1]}, "seeds": [0]}


@cache
def composed():
    """The config of a sweep, composed once."""
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(configs() / "conf"), version_base="1.3"):
        whole, loader = compose("train", return_hydra_config=True), GlobalHydra.instance().config_loader()
    kept = {"hydra": {"job": {"name": "train"}}, "name": None, "data": {"_target_": "a.digits"}}
    small = OmegaConf.create(kept)
    small.sweep = whole.sweep  # with its types
    return small, loader


def read_sweep(place):
    """The jobs of a sweep's file, without the settings of each, which other tests are about."""
    cfg, loader = composed()
    nodes = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "settings_of", lambda *_: None)
        patch.setattr(ConfigStore.instance(), "store", lambda node, **_: nodes.append(node))
        try:
            config.register_sweeps(place)
            module.Sweep(OmegaConf.merge(cfg, *nodes), loader)._jobs([])
        except (HydraException, OmegaConfBaseException) as error:  # which the commands put into words
            raise UserError(f"sweep: {error}") from error


def of_yaml(values):
    """A YAML file: its bytes damaged, or its values edited."""
    return damaged(yaml.safe_dump(values).encode()) | edited(values).map(lambda edit: json.dumps(edit).encode())


@given(of_yaml({"sweep": SWEEP}))
def test_the_file_of_a_sweep(data):
    with folder() as place:
        (place / "mine.yaml").write_bytes(data)
        expect_sentence(lambda: read_sweep(place))
