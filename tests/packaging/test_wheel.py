"""The wheel: what is in it, and the README's lines of library use run from it."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from maskgit_lab import __version__

ROOT = Path(__file__).resolve().parents[2]
AS_A_LIBRARY = re.compile(r"^## As a library$.*?^```python$(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_NEEDED = (
    "hydra",
    "lightning",
    "matplotlib",
    "omegaconf",
    "pandas",
    "sklearn",
    "torchmetrics",
    "torchvision",
    "wandb",
)
BLOCKED = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {NOT_NEEDED}:
            raise ImportError(name + " is not needed")
sys.meta_path.insert(0, Blocked())
import maskgit_lab
assert "torch" not in sys.modules and maskgit_lab.__file__.startswith(sys.argv[1]), maskgit_lab.__file__
"""
EXPECTED = """
assert samples.images.shape == linear.images.shape == images.shape == (2, 3, 16, 16)
assert samples.tokens.shape == (2, 64) and logits.shape == (2, 64, pipeline.n_codes)
assert (filled.tokens[:, 32:] == tokens[:, 32:]).all() and (filled.tokens < pipeline.n_codes).all()
assert 0 <= images.min() <= images.max() <= 1 and sharper.tokens.shape == (2, 64)
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel, unpacked; it is built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder / "unpacked")
    return folder / "unpacked"


def files_in(folder, pattern):
    return {path.relative_to(folder) for path in folder.rglob(pattern) if "__pycache__" not in path.parts}


def test_it_has_every_module_and_config_and_sweep(wheel):
    assert files_in(ROOT / "src", "*.py*") <= files_in(wheel, "*.py*")
    for name in ("conf", "sweeps"):
        assert len(files_in(ROOT / name, "*.yaml")) > 9
        assert files_in(ROOT / name, "*.yaml") == files_in(wheel / "maskgit_lab" / name, "*.yaml")
    assert (wheel / "maskgit_lab" / "py.typed").exists() and (wheel / "hydra_plugins" / "maskgit_lab_jobs").is_dir()
    assert not list(wheel.rglob("test_*"))
    (entry,) = wheel.glob("*.dist-info/entry_points.txt")
    assert "maskgit-lab = maskgit_lab.launch.program:main" in entry.read_text()


def test_the_version_is_one(wheel):
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == __version__
    assert (wheel / f"maskgit_lab-{__version__}.dist-info").is_dir()


def test_the_readmes_lines_run_from_it_without_what_the_library_does_not_need(wheel, tiny_run):
    (lines,) = AS_A_LIBRARY.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert 5 < len(lines.strip().splitlines()) < 15 and 'load("outputs/digits/schedule_cosine")' in lines
    code = BLOCKED + lines.replace("outputs/digits/schedule_cosine", str(tiny_run)) + EXPECTED
    run = [sys.executable, "-c", code, wheel]
    done = subprocess.run(run, env={"PYTHONPATH": str(wheel)}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_its_commands_find_their_configs(wheel, tmp_path):
    run = [sys.executable, "-m", "maskgit_lab", "train", "schedule=absent"]
    done = subprocess.run(
        run, cwd=tmp_path, env={"PYTHONPATH": str(wheel)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "choose one of arccos, cosine" in done.stderr, done.stderr
