"""Who may import what, read off the source; import-linter has the order of the rooms."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "src" / "maskgit_lab"
KNOW_HYDRA = ("config.py", "launch/", "commands/")
LIBRARY = ("sampling/", "decoding/", "tokenizers/", "nets/", "masking/", "objectives/", "data/", "metrics/", "runs/")
FILES = sorted(str(file.relative_to(PACKAGE)) for file in PACKAGE.rglob("*.py"))


def imported(source: str) -> set[str]:
    """The packages that a module imports anywhere, also within functions and by name."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in (
            "import_module",
            "__import__",
        ):
            found |= {str(a.value).partition(".")[0] for a in node.args[:1] if isinstance(a, ast.Constant)}
    return found


def test_imports_are_found_wherever_they_stand():
    source = "def f():\n    from hydra.core import x\n    import omegaconf as o\n    import_module('wandb.sdk')\n"
    assert imported(source) == {"hydra", "omegaconf", "wandb"}


@pytest.mark.parametrize("file", [file for file in FILES if not file.startswith(KNOW_HYDRA)])
def test_hydra_is_known_to_config_launch_and_commands_alone(file):
    assert not imported((PACKAGE / file).read_text(encoding="utf-8")) & {"hydra", "omegaconf"}


@pytest.mark.parametrize("file", [file for file in FILES if not file.startswith("lit/")])
def test_lightning_is_known_to_lit_alone(file):
    assert "lightning" not in imported((PACKAGE / file).read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith(LIBRARY)])
def test_the_library_needs_no_wandb(file):
    assert "wandb" not in imported((PACKAGE / file).read_text(encoding="utf-8"))


def test_something_was_looked_at():
    assert len(FILES) > 80 and "decoding/parallel.py" in FILES and "runs/run.py" in FILES
