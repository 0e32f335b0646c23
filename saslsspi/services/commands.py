"""What a configured command prints, such as a token of OAuth."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Final

from saslsspi.errors import NoCredentials

__all__ = ["printed_token"]

_COMMAND_SECONDS: Final = 120


def printed_token(command: Sequence[str], option: str) -> str:
    """Return the first line that a command prints; what it says of itself goes to standard error. It blocks.

    Args:
        command: The program and its arguments; no shell reads them.
        option: What the command was given as, for errors.

    Raises:
        NoCredentials: it fails, or prints nothing.
    """
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=_COMMAND_SECONDS)  # noqa: S603
    except (OSError, UnicodeDecodeError, subprocess.SubprocessError) as error:
        # Not the error's own text: a command line may hold a secret.
        status = getattr(error, "returncode", None)
        ended = type(error).__name__ if status is None else f"exit status {status}"
        raise NoCredentials(f"{option}: {command[0]} gave no token ({ended})") from error
    lines = done.stdout.splitlines()
    if not lines or not lines[0].strip():
        raise NoCredentials(f"{option}: {command[0]} printed nothing; its first line is to be the token")
    return lines[0].strip()
