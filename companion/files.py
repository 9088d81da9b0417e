"""Writing a file so that a crash, a full disk or Ctrl-C leaves the old file or the new one, whole.

Explained in :doc:`/project/using`, "Save and load".
"""

import contextlib
import errno
import os
import secrets
from pathlib import Path

from companion.errors import OutputError

__all__ = ["TEMPORARY_SUFFIX", "write_atomically"]

TEMPORARY_SUFFIX = ".tmp"


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write a whole file or none: a temporary file beside it takes its place in one step.

    The bytes are on the disk before the old file goes, and the new name is before this returns.

    Args:
        path: The file; its folder must be there.
        data: All of its content.

    Raises:
        OutputError: If it cannot be written. What stood there before is whole, and nothing else is
            left.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        _sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if not isinstance(error, OSError):
            raise
        reason = error.strerror or type(error).__name__
        raise OutputError(
            f"{path}: cannot be written ({reason}); free some space or choose another place"
        ) from error


def _sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk; some file systems cannot and say EINVAL."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)
