"""The one kind of error that reaches a user as a sentence instead of a traceback."""


class UserError(Exception):
    """A mistake that the user can fix: the message says in one sentence what is wrong and what to do."""


def first_line(error: BaseException) -> str:
    """The first line of an error's message, short enough to quote in a sentence."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")[:200]


def install(extra: str) -> str:
    """The command that installs an extra of this package, in the checkout: it is on no index."""
    return f"uv pip install '.[{extra}]'"
