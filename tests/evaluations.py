"""What tests of `evaluate.py` share."""

import numpy as np
import torch

from maskgit_lab.data import shards
from maskgit_lab.runs.results import Results, is_floor, samples_in

FEW = 16
QUIET = ["logger=none", "trainer=cpu"]
UNLIKE = {"images_per_second": 0, "decode_seconds_per_image": 0, "checksum": ""}  # from one evaluation to the next


def rows(folder):
    """Of samples."""
    return samples_in(Results(folder / "results.jsonl").rows())


def floors(folder):
    """Of held-out images and of their reconstructions."""
    return [row for row in Results(folder / "results.jsonl").rows() if is_floor(row)]


def interrupted_once(monkeypatch, after):
    """Interrupts an evaluation once, when it has written so many shards; returns a list of all that are written."""
    write, written, interrupted = shards.write_arrays, [], []

    def write_or_stop(arrays, path, about):
        if len(written) == after and not interrupted:
            interrupted.append(path)
            raise KeyboardInterrupt
        written.append(path)
        write(arrays, path, about)

    monkeypatch.setattr(shards, "write_arrays", write_or_stop)
    return written


def npz(folder):
    (path,) = (folder / "samples").glob("*/samples.npz")
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def distance_of_few(samples, reference):
    """The Fréchet distance of fewer than `FEW` samples: all of their covariance is in so many directions."""
    mean_F, covariance_FF = samples.mean_F.double(), samples.covariance_FF.double()
    directions_Fr = torch.randn(len(mean_F), FEW, generator=torch.Generator().manual_seed(0)).double()
    basis_Fr, _ = torch.linalg.qr(covariance_FF @ directions_Fr)
    inner_rr = basis_Fr.T @ covariance_FF @ basis_Fr @ (basis_Fr.T @ reference.covariance_FF.double() @ basis_Fr)
    root = torch.linalg.eigvals(inner_rr).real.clamp(min=0).sqrt().sum()
    apart = (mean_F - reference.mean_F).square().sum()
    return float(apart + covariance_FF.trace() + reference.covariance_FF.trace() - 2 * root)
