"""Released weights: both formats of the tokenizer and the transformer are imported, and wrong files are refused."""

import pickle
import struct
import subprocess
import sys

import msgpack
import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from maskgit_lab.errors import UserError
from maskgit_lab.nets.files import open_net, save_net
from maskgit_lab.nets.released import released_transformer, run_importer
from maskgit_lab.nets.transformer import Transformer
from maskgit_lab.tokenizers.released import released_tokenizer
from maskgit_lab.tokenizers.vqgan import VQGANTokenizer
from released_files import tokenizer_arrays, transformer_arrays, write_flax


@torch.no_grad()
def test_both_formats_of_the_tokenizer_give_the_same_network(tmp_path):
    flax, port = tokenizer_arrays()
    torch.save(port, tmp_path / "port.bin")
    save_file(port, tmp_path / "port.safetensors")
    write_flax(tmp_path / "flax", flax)
    nets = [released_tokenizer(tmp_path / name) for name in ("flax", "port.bin", "port.safetensors")]
    assert nets[0].sizes["multipliers"] == [1, 1, 2] and nets[0].sizes["released_shortcut"]
    images = torch.rand(2, 3, 16, 16)
    first, *others = (net.decode(net.encode(images)) for net in nets)
    assert all(torch.equal(first, other) for other in others)
    assert len(list(nets[0].parameters())) == len(flax)
    wide = nets[0].encoder[7]  # the first block of the level that widens: its shortcut reads the second convolution
    y = wide.second(wide.first(torch.ones(1, 32, 4, 4)))
    assert torch.equal(wide(torch.ones(1, 32, 4, 4)), y + wide.shortcut(y))


@torch.no_grad()
def test_the_transformers_heads_and_classes_are_inferred(tmp_path):
    net = released_transformer(write_flax(tmp_path / "t", transformer_arrays(heads=4)), 12)
    assert (net.n_classes, net.n_tokens, net.sizes["heads"], net.sizes["depth"]) == (5, 9, 4, 2)
    assert torch.isfinite(net(torch.zeros(1, 9, dtype=torch.int64), torch.zeros(1, dtype=torch.int64))).all()
    assert not net.training


IMPORTERS = {"tokenizers": ("tok", []), "nets": ("tra", ["--codes", "12"])}


def test_the_command_lines_write_files_that_open(tmp_path, monkeypatch, capsys):
    write_flax(tmp_path / "tok", tokenizer_arrays()[0])
    write_flax(tmp_path / "tra", transformer_arrays())
    options = {
        module: ["--from", source, "--out", f"{source}.safetensors", *extra]
        for module, (source, extra) in IMPORTERS.items()
    }
    started = [  # at once: most of their time is the import of torch
        subprocess.Popen(
            [sys.executable, "-m", f"maskgit_lab.{module}.released", *arguments],
            **{"cwd": tmp_path, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True},
        )
        for module, arguments in options.items()
    ]
    for process in started:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0 and "parameters" in out, err
    monkeypatch.chdir(tmp_path)
    for arguments in options.values():  # again
        monkeypatch.setattr(sys, "argv", ["released", *arguments])
        with pytest.raises(SystemExit) as stop:
            run_importer("again", lambda _: pytest.fail("it was converted"), lambda p: p.add_argument("--codes"))
        said = capsys.readouterr().err
        assert stop.value.code == 2 and "already exists" in said and len(said.splitlines()) == 1
    assert VQGANTokenizer.open(tmp_path / "tok.safetensors").codebook_size == 12
    assert open_net(tmp_path / "tra.safetensors", Transformer).n_classes == 5
    with pytest.raises(UserError, match="holds a transformer, not a tokenizer"):
        VQGANTokenizer.open(tmp_path / "tra.safetensors")


def without(arrays, name):
    return {key: value for key, value in arrays.items() if key != name}


WRONG = {
    "lacks decoder/Conv_1/bias": lambda a: without(a, "decoder/Conv_1/bias"),
    "has unknown encoder/extra": lambda a: a | {"encoder/extra": a["quantizer/codebook"]},
    "has encoder/Conv_1/bias of shape 5 instead of 8": lambda a: a | {"encoder/Conv_1/bias": np.zeros(5, np.float32)},
    "encoder/ResBlock_3/Conv_1/kernel of shape 3x3": lambda a: (
        a | {"encoder/ResBlock_3/Conv_1/kernel": np.zeros((3, 3), np.float32)}
    ),
    "it has no array quantizer/codebook": lambda a: without(a, "quantizer/codebook"),
    "it has no array encoder/Conv_0/kernel": lambda a: without(a, "encoder/Conv_0/kernel"),
    "is not a MaskGIT tokenizer": lambda a: {"quantizer/codebook": a["quantizer/codebook"]},
}


@pytest.mark.parametrize("sentence", WRONG)
def test_wrong_arrays_are_named(tmp_path, sentence):
    write_flax(tmp_path / "t", WRONG[sentence](tokenizer_arrays()[0]))
    with pytest.raises(UserError, match=sentence):
        released_tokenizer(tmp_path / "t")


class Evil:
    ran = False

    def __reduce__(self):
        return (setattr, (Evil, "ran", True))


def packed(tree) -> bytes:
    return msgpack.packb(tree)


def array(shape, name, data) -> msgpack.ExtType:
    return msgpack.ExtType(1, msgpack.packb((shape, name, data)))


HOSTILE = {
    "truncated": lambda path: path.read_bytes()[:5000],
    "empty": lambda path: b"",
    "pickle": lambda path: pickle.dumps(Evil()),
    "old pickle": lambda path: pickle.dumps(Evil(), protocol=0),
    "huge length of a binary": lambda path: b"\x81\xa6params\xc6" + struct.pack(">I", 2**32 - 1),
    "huge length of a map": lambda path: b"\xdf" + struct.pack(">I", 2**32 - 1),
    "huge shape": lambda path: packed({"params": {"a": array((2**40, 2**40), "float32", b"")}}),
    "objects": lambda path: packed({"params": {"a": array((1,), "object", b"12345678")}}),
    "deep": lambda path: b"\x81\xa1a" * 100_000,
    "other extension": lambda path: packed({"params": {"a": msgpack.ExtType(3, b"1")}}),
    "no params": lambda path: packed({"weights": {}}),
    "no arrays": lambda path: packed({"params": {"a": 5}}),
    "text": lambda path: b"<html>404</html>",
    "safetensors with a huge header": lambda path: struct.pack("<Q", 2**62) + b"{",
    "zip": lambda path: b"PK\x03\x04" + b"0" * 100,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_and_damaged_files_are_refused_and_nothing_is_left(tmp_path, kind):
    path = write_flax(tmp_path / "t", tokenizer_arrays()[0])
    path.write_bytes(HOSTILE[kind](path))
    for read in (released_tokenizer, lambda path: released_transformer(path, 12)):
        with pytest.raises(UserError, match=str(path)):
            read(path)
    assert not Evil.ran and [p.name for p in tmp_path.iterdir()] == ["t"]


def test_a_pickle_inside_a_torch_file_is_not_run(tmp_path):
    torch.save({"encoder": Evil()}, tmp_path / "port.bin")
    with pytest.raises(UserError, match="nothing in it was run"):
        released_tokenizer(tmp_path / "port.bin")
    torch.save({"encoder": [1, 2]}, tmp_path / "list.bin")
    with pytest.raises(UserError, match="holds more than tensors"):
        released_tokenizer(tmp_path / "list.bin")
    assert not Evil.ran


def test_files_with_absent_or_false_descriptions_are_refused(tmp_path):
    net = released_transformer(write_flax(tmp_path / "t", transformer_arrays()), 12)
    save_file(net.state_dict(), tmp_path / "bare.safetensors")
    with pytest.raises(UserError, match="is not a network of this suite"):
        open_net(tmp_path / "bare.safetensors", Transformer)
    true = dict(net.sizes)
    for lie, sentence in (
        ({"depth": 3}, "lacks layers.2"),
        ({"width": 10**12}, "does not fit the network|impossible network"),
        ({"depth": 1}, "has unknown layers.1"),
        ({"depth": "many"}, "impossible network"),
        ({"hads": 1}, "impossible network"),
    ):
        net.sizes = true | lie
        save_net(net, tmp_path / "lie.safetensors")
        with pytest.raises(UserError, match=sentence):
            open_net(tmp_path / "lie.safetensors", Transformer)
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("codes", [0, 17, 1024])
def test_an_impossible_codebook_size_is_refused(tmp_path, codes):
    with pytest.raises(UserError, match=f"--codes {codes} is not possible with 18 tokens"):
        released_transformer(write_flax(tmp_path / "t", transformer_arrays()), codes)


def test_numbers_in_names_do_not_make_the_importer_build_layers(tmp_path):
    for name in ("encoder.mid.99999999.x", "encoder.mid." + "9" * 30 + ".x", "encoder.down.99999999.x"):
        save_file(tokenizer_arrays()[1] | {name: torch.zeros(1)}, tmp_path / "port.safetensors")
        with pytest.raises(UserError, match="layers from"):
            released_tokenizer(tmp_path / "port.safetensors")
    net = released_transformer(write_flax(tmp_path / "t", transformer_arrays()), 12)
    net.sizes = net.sizes | {"depth": 10**8}
    save_net(net, tmp_path / "lie.safetensors")
    with pytest.raises(UserError, match="100,000,000 layers from"):
        open_net(tmp_path / "lie.safetensors", Transformer)


def test_weights_with_nan_are_refused(tmp_path):
    arrays = transformer_arrays()
    arrays["MlmLayer_0/mlm_bias/bias"][0] = np.nan
    with pytest.raises(UserError, match="contains NaN or infinite values in MlmLayer_0/mlm_bias/bias"):
        released_transformer(write_flax(tmp_path / "t", arrays), 12)


def test_files_are_readable_by_others_and_an_absent_folder_is_an_error(tmp_path):
    net = released_transformer(write_flax(tmp_path / "t", transformer_arrays()), 12)
    save_net(net, tmp_path / "net.safetensors")
    (tmp_path / "plain").touch()
    assert (tmp_path / "net.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode
    with pytest.raises(UserError, match="cannot be written"):
        save_net(net, tmp_path / "absent" / "net.safetensors")
