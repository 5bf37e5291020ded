"""Files of published weights: found, downloaded, or reported missing in one sentence."""

import hashlib
from pathlib import Path
from urllib.error import URLError

import pytest
import torch

from maskgit_lab.errors import UserError
from maskgit_lab.metrics.weights import INCEPTION, RESNET56, VGG16, Published, weights_file

TEXT = b"weights"
KNOWN = Published("known", "https://x/known.pth", "known.pth from somewhere", hashlib.sha256(TEXT).hexdigest()[:8])


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    return tmp_path / "hub" / "checkpoints"


def offline(url, path, hash_prefix, progress):
    raise URLError("no route to host")


def test_a_given_file_is_verified_by_its_checksum(tmp_path):
    (tmp_path / "a.pth").write_bytes(TEXT)
    assert weights_file(KNOWN, str(tmp_path / "a.pth")) == tmp_path / "a.pth"
    (tmp_path / "a.pth").write_bytes(TEXT + b"!")
    with pytest.raises(UserError, match=r"its SHA-256 starts with \w{8}, not .*get known.pth from somewhere"):
        weights_file(KNOWN, str(tmp_path / "a.pth"))


def test_it_is_downloaded_once(monkeypatch, hub):
    asked = []

    def download(url, path, hash_prefix, progress):
        asked.append((url, hash_prefix))
        Path(path).write_bytes(TEXT)

    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert weights_file(KNOWN, None) == weights_file(KNOWN, None) == hub / "known.pth"
    assert asked == [(KNOWN.url, KNOWN.sha256)]


@pytest.mark.parametrize("published", [INCEPTION, VGG16])
def test_without_a_network_the_error_names_the_source_and_the_setting(monkeypatch, published):
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    with pytest.raises(UserError) as error:
        weights_file(published, None)
    message = str(error.value)
    assert "cannot be downloaded (<urlopen error no route to host>)" in message and "features.weights=FILE" in message
    assert published.sha256 in message and "\n" not in message


def test_weights_that_cannot_be_downloaded_must_be_given(tmp_path):
    with pytest.raises(UserError, match=r"no file is given.*resnet56-4bfd9763.th from github.com"):
        weights_file(RESNET56, None)
    with pytest.raises(UserError, match="No such file"):
        weights_file(RESNET56, str(tmp_path / "absent"))
