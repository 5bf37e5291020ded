"""A setting as it is typed, KEY=VALUE, and as Hydra's grammar takes it: where the two differ, text gets quotes."""

from __future__ import annotations

import re
import shlex

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from maskgit_lab.errors import UserError

OVERRIDE = re.compile(r"(?P<sign>\+{0,2}|~)(?P<key>[\w./@:]+)(?:=(?P<value>.*))?", re.DOTALL)
SPACED = re.compile(r"(?P<key>[\w./@:+~]+)\s*=\s*(?P<value>.*)", re.DOTALL)
# Values that can only be meant as text: no list, no several values, no quotes, no call such as range(1,3).
TEXT = re.compile(r"(?!=|\w+\()[^\[\]{}'\",$\\]+")
NAMED = re.compile(r"[+~]*[\w./@:]+")  # something that begins with the name of a setting
NAME = re.compile(r"[A-Za-z_][\w/-]*([.@:][A-Za-z_][\w/-]*)*", re.ASCII)  # that a setting or a group may have
PAIRS = {"]": "[", "}": "{", ")": "("}


def readable(argument: str) -> str:
    """A setting in Hydra's grammar: a text with characters that this lacks, such as `~` or `é`, gets quotes.

    Raises:
        UserError: it is not KEY=VALUE, or is not closed.
    """
    if not NAMED.match(argument):
        raise UserError(why_unreadable(argument))
    if _is_read(argument):
        return argument
    parts = OVERRIDE.fullmatch(argument)
    if parts is not None and parts["value"] and TEXT.fullmatch(parts["value"]) and _is_closed(parts["value"]):
        quoted_argument = f"{parts['sign']}{parts['key']}={quoted(parts['value'])}"
        if _is_read(quoted_argument):
            return quoted_argument
    raise UserError(why_unreadable(argument))


def quoted(text: str) -> str:
    """A text in the quotes of Hydra's grammar."""
    escaped = re.sub(r"(\\*)('|\Z)", lambda found: found[1] * 2 + ("\\'" if found[2] else ""), text)
    return f"'{escaped}'"


def why_unreadable(argument: str) -> str:
    """One sentence on what is wrong with a setting that Hydra's grammar does not take, and how to write it."""
    begin = f"cannot read the override {argument!r}"
    parts, spaced = OVERRIDE.fullmatch(argument), SPACED.fullmatch(argument)
    if spaced is not None and parts is None:
        return f"{begin}: write it without spaces around =, as {spaced['key']}={spaced['value']}"
    if parts is None or parts["value"] is None:
        key = argument if NAME.fullmatch(argument) else "KEY"
        return (
            f"{begin}: write it as {key}=VALUE; if it belongs to the value before it, put quotes around both, as in "
            "'name=two words'"
        )
    key, value = parts["key"], parts["value"]
    if not NAME.fullmatch(key):
        return f"{key}: there is no such setting"
    if value.startswith("="):
        return f"{begin}: write it as {key}={value.lstrip('=')}"
    if listed := re.fullmatch(r"\(([^()]*)\)", value):
        return f"{begin}: write a list as {key}=[{listed[1]}]"
    if re.search(r"(^|[\[{,])\s*,|,\s*($|[\]}])", value):
        goes_on = value.endswith(",") and not _is_closed(value)
        wrong = "if it continues after a space, remove the space, or put quotes around all of it"
        return f"{begin}: {wrong if goes_on else 'a value is missing next to one of its commas'}"
    as_text = example(parts["sign"] + key, value)
    if not _is_closed(value):
        return f"{begin}: write it with its brackets and quotes closed, or, if they belong to a text, as {as_text}"
    return f"{begin}: if its value is a text, write it as {as_text}"


def example(key: str, text: str) -> str:
    """How a text is typed on a command line, in quotes for the shell and for Hydra."""
    escaped = re.sub(r'(\\*)("|\Z)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), text)
    return shlex.quote(f'{key}="{escaped}"')


def _is_read(argument: str) -> bool:
    try:
        OverridesParser.create().parse_override(argument)
    except HydraException:
        return False
    return True


def _is_closed(value: str) -> bool:
    """Whether every bracket and every quote of a value has its other one."""
    opened, quote = list[str](), ""
    for character in value:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "[{(":
            opened.append(character)
        elif character in PAIRS and (not opened or opened.pop() != PAIRS[character]):
            return False
    return not (opened or quote)
