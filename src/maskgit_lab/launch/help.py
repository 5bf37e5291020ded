"""`--help`: one screen of what matters, with what each setting may be. The texts are in `conf/`, as `hydra.help`."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, ListConfig, OmegaConf

from maskgit_lab.launch.extras import OPTIONS
from maskgit_lab.paths import EMPTY
from maskgit_lab.settings import TrainConf
from maskgit_lab.settings.fields import Rule

WIDTH = 100  # columns
LONGEST = 20  # characters of a value
GROUPS = "$GROUPS"  # a line of a text that stands for all groups
SETTING = re.compile(r"\s*\$(?P<key>[a-z][\w.]*) ?(?P<about>.*)")  # a line that stands for a setting
ADVICE = re.compile(r"(choose one of|choose of|give) (.*)")  # of which the second part is a description
SCALARS = {bool: "true or false", int: "a whole number", float: "a number"}

Line = tuple[str, str]  # KEY=VALUE, and what it may be


def help_text(cfg: DictConfig, hydra: Any, schema: type, loader: ConfigLoader) -> str:
    """The help of a command.

    Args:
        cfg: its config.
        hydra: Hydra's own config, which has the text and the option of each group.
        schema: that the config fits.
        loader: knows the options of each group.
    """
    lines, settings = list[str](), list[Line]()
    for line in hydra.help.template.splitlines():
        if setting := SETTING.fullmatch(line):
            settings.append(_setting(cfg, schema, setting["key"], setting["about"]))
            continue
        lines += _in_columns(settings)
        settings.clear()
        lines += _in_columns(list(_groups(hydra.runtime.choices, loader))) if line.strip() == GROUPS else [line]
    return "\n".join([*lines, *_in_columns(settings)])


def allowed(schema: type, key: str) -> str:
    """What a setting may be, from its annotation; "" where that says nothing."""
    hint = _hint(schema, key)
    described = [] if hint is None else list(filter(None, _described(hint)))
    return "" if described == ["null"] else " or ".join(described)


def takes(schema: type, key: str) -> set[type]:
    """The plain types that a setting may have, of a list `list`; none where no schema knows it."""
    hint = _hint(schema, key)
    plain = [get_args(part)[0] if get_origin(part) is Annotated else part for part in _parts(hint)]
    return {get_origin(part) or part for part in plain if hint is not None}


def options(group: str, loader: ConfigLoader) -> list[str]:
    """The options of a group, with what has to be installed for them."""
    if group in OPTIONS:
        extras = OPTIONS[group].items()
        return [name if extra is None or extra.is_installed else f"{name} ({extra.command})" for name, extra in extras]
    return [name for name in loader.get_group_options(group) if not name.startswith("_")]


def _groups(choices: Mapping[str, str | None], loader: ConfigLoader) -> Iterator[Line]:
    """The groups that leave a choice; Hydra has its own first, and the others from the last to the first."""
    own = [group for group in OPTIONS if group in choices]
    for group in (*reversed([group for group in choices if not group.startswith("hydra/")]), *own):
        if len(there := options(group, loader)) > 1:
            yield f"{group}={choices[group] or 'null'}", ", ".join(there)


def _setting(cfg: DictConfig, schema: type, key: str, about: str) -> Line:
    given = "..." if OmegaConf.is_missing(cfg, key) else _shown(OmegaConf.select(cfg, key))
    values = allowed(schema, key)
    values = values.removesuffix(" or null") if "null" in about else values
    return f"{key}={given}", f"{about} ({values})" if about and values else about or values


def _in_columns(lines: Sequence[Line]) -> Iterator[str]:
    width = max((len(left) for left, _ in lines), default=0)
    for left, right in lines:
        parts = textwrap.wrap(right, WIDTH - width - 4, break_long_words=False, break_on_hyphens=False) or [""]
        for i, part in enumerate(parts):
            yield f"  {left if i == 0 else '':<{width}}  {part}".rstrip()


def _shown(value: Any) -> str:
    if isinstance(value, ListConfig):
        text = f"[{','.join(map(_shown, value))}]"
        return text if len(text) <= LONGEST else f"{text[: text.rindex(',', 0, LONGEST)]},...]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _hint(schema: type, key: str) -> Any:
    """The annotation of a setting; the groups of `evaluate.py` and `sample.py` have those of `train.py`."""
    first, _, rest = key.partition(".")
    hint = get_type_hints(schema, include_extras=True).get(first)
    if not rest:
        return hint
    kinds = (*_parts(hint), *_parts(get_type_hints(TrainConf).get(first)))
    return next((_hint(kind, rest) for kind in kinds if hasattr(kind, "__dataclass_fields__")), None)


def _parts(hint: Any) -> Sequence[Any]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else [hint]


def _described(hint: Any) -> Iterator[str]:
    for part in _parts(hint):
        if get_origin(part) is Annotated:
            advice = next((rule.advice for rule in part.__metadata__ if isinstance(rule, Rule)), "")
            found = None if advice == EMPTY else ADVICE.fullmatch(advice)  # what is a path is described as one
            yield found[2] if found else ""
        else:
            yield "null" if part is NoneType else SCALARS.get(part, "")
