"""Who decides: the name that goes with decisions and actions where no other is given."""

from __future__ import annotations

import getpass


def user_name() -> str:
    """Return the name of the operating system's user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        return "unknown"
