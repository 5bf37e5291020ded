"""How a mistake of a user's has to end."""

from maskgit_lab.launch.cli import EXIT_USER_ERROR


def expect_refused(said, sentence: str) -> None:
    """Checks that a command ended with one sentence."""
    assert said.code == EXIT_USER_ERROR
    errors = said.err.strip().splitlines()
    assert len(errors) == 1 and errors[0].startswith("error: ") and sentence in errors[0], said.err
    assert "Traceback" not in said.out + said.err
