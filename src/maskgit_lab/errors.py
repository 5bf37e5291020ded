"""The one kind of error that reaches a user as a sentence instead of a traceback."""


class UserError(Exception):
    """A mistake that the user can mend: the message says in one sentence what is wrong and what to do."""
