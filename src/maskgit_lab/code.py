"""The code that made a thing: the files of its import closure, each with a hash that ignores comments and layout.

So a cached tokenizer is reused after an edit of a comment, and trained again after an edit of any module that its
training imports, directly or not. Code of the user's own counts like ours; installed packages do not: rows of results
have their versions.
"""

from __future__ import annotations

import ast
import hashlib
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from maskgit_lab.errors import UserError, first_line
from maskgit_lab.fingerprints import LENGTH, fingerprint
from maskgit_lab.objects import TARGET

Code = Mapping[str, str]  # files, as paths below the folder that Python finds them in, to the hashes of what they do

PACKAGE = "maskgit_lab"
# What settings say is known by their values. The other modules decide what is printed and where files lie.
NEUTRAL = tuple(
    f"{PACKAGE}.{name}"
    for name in (
        *("code", "console", "errors", "fingerprints", "heartbeat", "lifeline", "lit.monitoring", "lit.progress"),
        *("metrics.registry", "paths", "placement", "runs", "settings", "sizes", "stages.watching", "usage"),
    )
)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
MOST_NAMED = 5
INIT = "__init__.py"


def code_of(*roots: str) -> dict[str, str]:
    """The code that some modules run, as it was when this process first asked for it.

    Args:
        roots: dotted names of modules, or of what is in them, as `_target_` has them.

    Raises:
        UserError: a file cannot be parsed.
    """
    todo, found = [module_of(root) for root in roots if _is_own(root)], set[str]()
    while todo:
        if (module := todo.pop()) not in found and not _is_neutral(module) and _is_own(module):
            found.add(module)
            todo += _read(module)[2]
    return {path: digest for path, digest, _ in sorted(_read(module) for module in found)}


def version_of(*roots: str) -> str:
    """A fingerprint of `code_of`."""
    return fingerprint(code_of(*roots))


def targets_in(settings: Any) -> list[str]:
    """Every `_target_` at any depth of plain settings."""
    if isinstance(settings, list | tuple):
        return [name for value in settings for name in targets_in(value)]
    if not isinstance(settings, Mapping):
        return []
    own = [settings[TARGET]] if isinstance(settings.get(TARGET), str) else []
    return own + targets_in(list(settings.values()))


def changed(before: Code, now: Code) -> list[str]:
    """The files that differ, those that are new or gone included."""
    return sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))


def named(files: list[str]) -> str:
    """Files in a sentence."""
    more = f" and {len(files) - MOST_NAMED} more" if len(files) > MOST_NAMED else ""
    return ", ".join(files[:MOST_NAMED]) + more


@cache
def module_of(name: str) -> str:
    """The module that a dotted name lies in.

    Raises:
        ModuleNotFoundError: there is none.
    """
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        if _source(module := ".".join(parts[:length])) is not None:
            return module
    raise ModuleNotFoundError(f"no source for {name}")


def _is_neutral(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in NEUTRAL)


@cache
def _is_own(module: str) -> bool:
    """Whether a module is of this package or of the user, and not of an installed one."""
    top = module.partition(".")[0]
    source = _source(top)
    if source is None or top == PACKAGE:
        return source is not None
    standard = Path(sysconfig.get_path("stdlib")).resolve()
    return not {"site-packages", "dist-packages"} & set(source.parts) and standard not in source.resolve().parents


@cache
def _source(module: str) -> Path | None:
    """The file of a module, or the folder of a package without one; None if there is none.

    Nothing is imported for it, unlike by `find_spec` of a module in a package.
    """
    parent, _, name = module.rpartition(".")
    if not parent:
        return _source_of_top(name)
    above = _source(parent)
    if above is None or not (above.is_dir() or above.name == INIT):
        return None
    folder = above if above.is_dir() else above.parent
    places = (folder / name / INIT, folder / f"{name}.py", folder / name)
    return next((place for place in places if place.is_file() or (place.suffix != ".py" and place.is_dir())), None)


def _source_of_top(name: str) -> Path | None:
    try:
        spec = find_spec(name)
    except (ImportError, AttributeError, ValueError):
        return None
    if spec is None:
        return None
    place = spec.origin or next(iter(spec.submodule_search_locations or []), "")
    return Path(place) if place.endswith(".py") or Path(place).is_dir() else None


@cache
def _read(module: str) -> tuple[str, str, tuple[str, ...]]:
    """A module's file, its hash, and the modules that it imports."""
    source = _source(module)
    assert source is not None
    if source.is_dir():
        return module.replace(".", "/"), "", ()
    try:
        tree = ast.parse(source.read_bytes(), str(source))
    except (SyntaxError, ValueError) as error:
        raise UserError(f"{source} cannot be parsed ({first_line(error)}): fix it") from error
    is_package = source.name == INIT
    parent, statements = module.rpartition(".")[0], list(_statements(tree))
    imports = _imports(statements, module if is_package else parent)
    imported = tuple(dict.fromkeys([*([parent] if parent else []), *imports]))
    name = module.replace(".", "/") + (f"/{INIT}" if is_package else ".py")
    return name, _digest(tree, statements), imported


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """The statements inside a node, at any depth: a fraction of its nodes, since expressions are not entered."""
    for field in ("body", "orelse", "finalbody", "handlers", "cases"):
        for child in getattr(node, field, ()):
            yield child
            yield from _statements(child)


def _imports(statements: Sequence[ast.AST], package: str) -> Iterator[str]:
    """The modules that are imported anywhere in a file."""
    for node in statements:
        if isinstance(node, ast.Import):
            yield from (module_of(alias.name) for alias in node.names if _is_own(alias.name))
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            if _is_own(base):
                yield from (module_of(f"{base}.{alias.name}") for alias in node.names)


def _digest(tree: ast.Module, statements: Sequence[ast.AST]) -> str:
    for node in (tree, *statements):
        if isinstance(node, DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:LENGTH]
