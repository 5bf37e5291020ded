"""Objects from settings: a mapping whose `_target_` names a class or a function, as Hydra writes them."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence
from inspect import Parameter, signature
from pkgutil import resolve_name
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from maskgit_lab.errors import UserError, first_line
from maskgit_lab.paths import shown

T = TypeVar("T")
TARGET = "_target_"
PARTIAL = "_partial_"  # Hydra's mark of an object that is given further arguments, as every one here may be
SCALARS: dict[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
LISTS = (Sequence, list, tuple)  # annotations of several values of one type
MOST_BITS = 63  # of a whole number, which torch keeps in 64


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
        raise UserError(
            f"{key}.{TARGET} does not make the required {kind.__name__}: name a class or function that does"
        )
    arguments = {name: value for name, value in node.items() if name not in (TARGET, PARTIAL)}
    _check_names(target, arguments, key, values)
    _check_lists(target, arguments, key)
    own = checked_arguments(target, arguments, key)
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
    if name is None:
        raise UserError(f"{begin} (it names no class): give {key}=MODULE.CLASS")
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


def _check_lists(target: Any, arguments: Mapping[str, Any], key: str) -> None:
    """Raises a `UserError` for a single value where the annotation asks for several and nothing else."""
    hints = _hints(target)
    for name, value in arguments.items():
        if isinstance(value, tuple(SCALARS)) and _listed(hints.get(name))[0] and not _takes_one(hints.get(name)):
            raise UserError(f"{key}.{name}={value} is not possible: give a list, as {key}.{name}=[{value}]")


def checked_arguments(made_by: Callable[..., object], arguments: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Arguments of a function or a class, where a whole number becomes a float if the annotation asks for one.

    Args:
        made_by: what is called with them.
        arguments: plain values, by their names; others than it has are passed over.
        key: the setting that has them, for errors.

    Raises:
        UserError: a number, text or switch, or one in a list, is of another type than its annotation, or not finite.
    """
    hints, checked = _hints(made_by), dict(arguments)
    for name, value in arguments.items():
        hint = hints.get(name)
        is_list, allowed = _listed(hint)
        if is_list and isinstance(value, list | tuple):
            checked[name] = type(value)(_checked(each, allowed, f"{key}.{name}", value) for each in value)
        elif not is_list and (allowed := _scalars(hint)):
            checked[name] = _checked(value, allowed, f"{key}.{name}", value)
    return checked


def _checked(value: Any, allowed: set[type], key: str, given: Any) -> Any:
    """A value of one of these types, where there are any; `given` is the whole setting, for errors."""
    if allowed and not _fits(value, allowed):
        choices = " or ".join(SCALARS[kind] for kind in SCALARS if kind in allowed)
        choices = "a finite number" if isinstance(value, float) and float in allowed else choices
        choices = "a smaller number" if type(value) is int and {int, float} & allowed else choices
        raise UserError(f"{key}={shown(given)} is not possible: give {choices}{'' if value is given else ' for each'}")
    return float(value) if type(value) is int and float in allowed and int not in allowed else value


def _hints(made_by: Any) -> dict[str, Any]:
    """The annotations, or those of switches alone where one of them names what is imported for type checkers alone.

    An argument without one that is true or false by default is a switch.
    """
    switches = {name: bool for name, each in signature(made_by).parameters.items() if type(each.default) is bool}
    function = made_by.__init__ if isinstance(made_by, type) else made_by  # type: ignore[misc]
    try:
        return switches | get_type_hints(function)
    except Exception:  # an annotation may be any expression
        return switches


def _scalars(hint: Any) -> set[type]:
    """The plain types that an annotation allows; none where it allows anything else."""
    kinds = set(get_args(hint)) if get_origin(hint) in (Union, UnionType) else {hint}
    return kinds if kinds <= {*SCALARS, type(None)} else set()


def _listed(hint: Any) -> tuple[bool, set[type]]:
    """Whether an annotation is of a list, and the plain types that it allows in it."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    found = next((kind for kind in kinds if get_origin(kind) in LISTS), None)
    inner = {each for each in get_args(found) if each is not ...}
    return found is not None, inner if inner <= set(SCALARS) else set()


def _takes_one(hint: Any) -> bool:
    """Whether an annotation of a list allows anything that is none."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else ()
    return any(kind is not type(None) and get_origin(kind) not in LISTS for kind in kinds)


def _fits(value: Any, allowed: set[type]) -> bool:
    if type(value) is int and {int, float} & allowed:
        return value.bit_length() <= MOST_BITS
    return type(value) in allowed and (not isinstance(value, float) or math.isfinite(value))
