"""The errors that reach a user as a sentence instead of a traceback."""

EXIT_USER_ERROR = 2  # of a command that a user can put right
GO_ON = "run the same command again, which continues from what was saved"  # what to do where processes have ended


class UserError(Exception):
    """A mistake that the user can fix: the message says in one sentence what is wrong and what to do."""


class Interrupted(KeyboardInterrupt):
    """A signal has asked a training to end, whose state is saved.

    Args:
        signal: its number.
    """

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal


def first_line(error: BaseException) -> str:
    """The first line of an error's message, short enough to quote in a sentence; of a list of faults, the first."""
    faults = getattr(error, "errors", None)
    if isinstance(error, ValueError) and callable(faults) and (first := next(iter(faults()), None)):  # pydantic's
        return f"{'.'.join(map(str, first['loc']))}={first['input']}: {first['msg']}"[:200]
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".:")[:200]


def install(extra: str) -> str:
    """The command that installs an extra of this package, in the checkout: it is on no index."""
    return f"uv pip install '.[{extra}]'"
