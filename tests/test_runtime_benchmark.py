"""`benchmarks/runtime.py`, at the size of a toy: what it keeps, goes on with, leaves out and refuses."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import torch

from maskgit_lab.code import code_of
from maskgit_lab.evaluation import cells
from maskgit_lab.evaluation.timing import Decoding
from maskgit_lab.nets.causal import CausalTransformer
from maskgit_lab.runs.timings import Timings

FILE = Path(__file__).resolve().parents[1] / "benchmarks" / "runtime.py"
SIZE = ["--depth", "1", "--heads", "1", "--width", "4", "--mlp-width", "4", "--codes", "8", "--classes", "3"]
TINY = [*SIZE, "--tokens", "6", "--batch-sizes", "1", "2", "--steps", "2", "--repeats", "1", "--out", "out"]
TOKENS = ["--tokenizer-width", "0"]


@pytest.fixture(scope="module")
def main():
    spec = spec_from_file_location("runtime_benchmark", FILE)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


@pytest.fixture
def benchmark(main, tmp_path, monkeypatch, capsys):
    """Runs it in an empty folder: the exit code, and what it says."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        code = 0
        try:
            main(list(arguments))
        except SystemExit as stop:
            code = stop.code
        said = capsys.readouterr()
        assert "Traceback" not in said.out + said.err
        return code, said.out, said.err

    return run


def rows(folder="out"):
    return Timings(Path(folder) / "runtime.jsonl").rows()


def test_every_cell_is_a_row_and_the_figure_is_drawn(benchmark, tmp_path):
    code, out, _ = benchmark(*TINY, "--tokenizer-width", "32")
    assert code == 0 and "4 of 4" not in out and (tmp_path / "out" / "runtime.svg").exists()
    found = rows()
    assert [(row["decoder"], row["batch_size"]) for row in found[:4]] == [
        ("maskgit", 1),
        ("autoregressive", 1),
        ("autoregressive", 1),
        ("tokenizer", 1),
    ]
    assert len(found) == 8 and {row["grid"] for row in found} == {"2x3"}
    for row in found:
        assert 0 < row["seconds_lowest"] <= row["seconds"] <= row["seconds_highest"] and row["n"] == 1
        assert {"device", "threads", "torch", "weights", "load", "cpu_seconds", "code", "checksum"} <= row.keys()
    assert [row["other_tokens"] for row in found if row.get("kv_cache") is False] == [0, 0]
    assert "3 of 3 images have the same tokens" in out and "The KV cache makes" in out


def test_the_same_command_goes_on_after_a_kill(benchmark, monkeypatch):
    lap, done = Decoding.lap, []

    def dies(self):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append(self)
        return lap(self)

    with monkeypatch.context() as patch:
        patch.setattr(Decoding, "lap", dies)
        code, _, err = benchmark(*TINY, *TOKENS)
    assert code != 0 and "the same command continues" in err
    before = Path("out/runtime.jsonl").read_text()
    with Path("out/runtime.jsonl").open("a") as file:
        file.write('{"decoder": "maskg')
    code, out, _ = benchmark(*TINY, *TOKENS)
    assert code == 0 and "6 cells, 3 of them measured before" in out
    assert Path("out/runtime.jsonl").read_text().startswith(before) and len(rows()) == 6
    code, out, _ = benchmark(*TINY, *TOKENS)
    assert code == 0 and "6 cells, 6 of them measured before" in out and len(rows()) == 6


def test_rows_of_other_code_are_not_taken_in_silence(benchmark, monkeypatch):
    assert benchmark(*TINY, *TOKENS)[0] == 0
    other = {"maskgit_lab/nets/causal.py": "edited"}
    monkeypatch.setattr(cells, "code_of", lambda *roots: {**code_of(*roots), **other})
    code, _, err = benchmark(*TINY, *TOKENS)
    assert code == 2 and len(err.strip().splitlines()) == 1
    assert "by other code" in err and "nets/causal.py" in err and "--rerun" in err and "=true" not in err
    code, out, _ = benchmark(*TINY, *TOKENS, "--reuse")
    assert code == 0 and "6 of them measured before" in out and all("reused_code" in row for row in rows()[6:])


def test_what_would_take_too_long_is_left_out_and_can_be_measured_later(benchmark, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(Decoding, "warm_up", lambda self: 1e5 if self.decoder.is_autoregressive else 0.1)
        code, out, _ = benchmark(*TINY, *TOKENS)
        assert code == 0 and "not measured: it would take about 100,000 s" in out and "Not measured: " in out
        assert sum("expected_seconds" in row for row in rows()) == 4
        assert "6 of them measured before" in benchmark(*TINY, *TOKENS)[1]  # known to be too long
    code, out, _ = benchmark(*TINY, *TOKENS, "--max-seconds", "1000000")
    assert code == 0 and "2 of them measured before" in out and "Not measured" not in out


def test_a_cache_that_changes_the_tokens_is_found(benchmark, monkeypatch):
    def wrong(self, known_Bt, labels_B, cache=None, right=CausalTransformer.next_logits):
        logits_BK = right(self, known_Bt, labels_B, cache)
        return logits_BK if cache is None else logits_BK + 20 * torch.arange(8)

    monkeypatch.setattr(CausalTransformer, "next_logits", wrong)
    code, _, err = benchmark(*TINY, *TOKENS)
    assert code == 2 and "have different tokens with and without a KV cache" in err


def test_what_does_not_fit_a_gpu_is_listed(benchmark, monkeypatch):
    def full(self):
        raise torch.OutOfMemoryError

    monkeypatch.setattr(Decoding, "warm_up", full)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    code, out, _ = benchmark(*TINY, *TOKENS)
    assert code == 0 and "does not fit in the GPU's memory" in out and not Path("out/runtime.png").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--batch-sizes", "0"], "'0' is not possible: give a whole number of at least 1"),
        (["--batch-sizes"], "--batch-sizes: expected at least one argument"),
        (["--tokens", "-256"], "--tokens"),
        (["--tokens", "many"], "'many' is not possible"),
        (["--tokens", "16", "16"], "--tokens names a number twice"),
        (["--steps", "0"], "whole number of at least 1"),
        (["--width", "30", "--heads", "4"], "--width 30 is not a multiple of --heads 4"),
        (["--tokenizer-width", "20"], "give a multiple of 32, or 0"),
        (["--max-seconds", "0"], "seconds above 0"),
        (["--enough", "nan"], "seconds above 0"),
        (["--device", "tpu"], "--device=tpu is not on this machine"),
        (["--threads", "100000"], "this machine has"),
        (["--precision", "8"], "invalid choice"),
        (["--rerun", "--reuse"], "exclude each other"),
        (["--out", "file"], "--out file is a file"),
        (["--out", "file/below"], "cannot write --out file/below"),
        (["--stpes", "8"], "unrecognized arguments"),
    ],
)
def test_mistakes_are_one_sentence(benchmark, tmp_path, arguments, says):
    (tmp_path / "file").touch()
    code, out, err = benchmark(*arguments)
    assert code == 2 and len(err.strip().splitlines()) == 1 and err.startswith("error: ") and says in err, err
    assert "Traceback" not in out


def test_it_says_how_to_use_it(benchmark):
    code, out, _ = benchmark("--help")
    assert code == 0 and "--max-seconds" in out
