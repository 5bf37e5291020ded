"""Objects from settings: a mapping whose `_target_` names a class or a function, as Hydra writes them."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from inspect import Parameter, signature
from pkgutil import resolve_name
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from maskgit_lab.errors import UserError, first_line

T = TypeVar("T")
TARGET = "_target_"
PARTIAL = "_partial_"  # Hydra's mark of an object that is given further arguments, as every one here may be
SCALARS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def build(node: Mapping[str, Any], key: str, kind: type[T], **values: Any) -> T:
    """The object that settings describe.

    Args:
        node: `_target_` and the arguments of what it names.
        key: the setting's name, for errors.
        kind: what the object has to be; nothing that makes something else is ever called.
        values: further arguments, which depend on the data.

    Raises:
        UserError: the target does not exist, does not take these values, or does not make a `kind`.
    """
    target = locate(node.get(TARGET), f"{key}.{TARGET}", f"{key} cannot be built")
    if not _makes(target, kind):
        raise UserError(f"{key}.{TARGET} makes no {kind.__name__}: name a class or a function that does")
    arguments = {name: value for name, value in node.items() if name not in (TARGET, PARTIAL)}
    _check_names(target, arguments, key, values)
    own = _checked(target, arguments, key)
    try:
        made: T = target(**own, **values)
    except UserError:
        raise
    except Exception as error:  # whatever a constructor raises for values that make no sense
        raise UserError(f"{key} cannot be built ({first_line(error)}): change its settings") from error
    return made


def locate(name: object, key: str, failure: str = "") -> Any:
    """What a dotted name points at.

    Args:
        name: module and attributes, joined by dots.
        key: the setting that holds it, for errors.
        failure: how the error begins; "": with the setting and its value.

    Raises:
        UserError: it does not exist, or its module cannot be imported.
    """
    begin = failure or f"{key}={name} is not possible"
    if not isinstance(name, str) or "." not in name:
        raise UserError(f"{begin} ({name!r} is not a module and a name in it, joined by a dot): change its settings")
    try:
        return resolve_name(name)
    except UserError:
        raise
    except Exception as error:  # a module may raise anything as it is imported
        raise UserError(f"{begin} ({first_line(error)}): change its settings") from error


def name_of(made: object, name: str, home: str) -> str:
    """What results call an object: with the module of a class of a user's own, and with its settings.

    Args:
        made: the object.
        name: of its class.
        home: the module whose classes go without theirs.
    """
    module = "" if type(made).__module__ == home else f"{type(made).__module__}."
    settings = ",".join(
        f"{key}={value}" for key, value in sorted(vars(made).items()) if isinstance(value, tuple(SCALARS))
    )
    return f"{module}{name}" + (f"({settings})" if settings else "")


def _makes(target: Any, kind: type) -> bool:
    if isinstance(target, type):
        return issubclass(target, kind)
    return getattr(target, "__annotations__", {}).get("return") in (kind, kind.__name__)


def _check_names(target: Any, arguments: Mapping[str, Any], key: str, others: Container[str]) -> None:
    """Raises a `UserError` if the target takes no argument of some name."""
    parameters = signature(target).parameters
    if any(parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name in arguments:
        if name not in parameters:
            own = ", ".join(known for known in parameters if known not in others)
            raise UserError(f"{key}.{name}: there is no such setting of {target.__name__}; it has {own or 'none'}")


def _checked(target: Any, arguments: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The arguments, where a whole number becomes a float if the annotation asks for one.

    Raises:
        UserError: a number, text or switch is of another type than its annotation, or not finite.
    """
    hints = _hints(target.__init__ if isinstance(target, type) else target)  # type: ignore[misc]
    checked = dict(arguments)
    for name, value in arguments.items():
        allowed = _scalars(hints.get(name))
        if allowed and not _fits(value, allowed):
            choices = " or ".join(SCALARS[kind] for kind in SCALARS if kind in allowed)
            choices = "a finite number" if isinstance(value, float) and float in allowed else choices
            raise UserError(f"{key}.{name}={value} is not possible: give {choices}")
        if type(value) is int and float in allowed and int not in allowed:
            checked[name] = float(value)
    return checked


def _hints(made_by: Any) -> dict[str, Any]:
    """The annotations, or none where one of them names what its module imports for type checkers alone."""
    try:
        return get_type_hints(made_by)
    except Exception:  # an annotation may be any expression
        return {}


def _scalars(hint: Any) -> set[type]:
    """The plain types that an annotation allows; none where it allows anything else."""
    kinds = set(get_args(hint)) if get_origin(hint) in (Union, UnionType) else {hint}
    return kinds if kinds <= {*SCALARS, type(None)} else set()


def _fits(value: Any, allowed: set[type]) -> bool:
    if type(value) is int and float in allowed:
        return True
    return type(value) in allowed and (not isinstance(value, float) or math.isfinite(value))
