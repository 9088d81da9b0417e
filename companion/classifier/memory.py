"""Keep memory that a training gives back and takes again in every step.

Explained in :doc:`/project/benchmarks`.
"""

import ctypes
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["keep_memory"]

# The parameters of mallopt, from glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_MEBIBYTE = 2**20


@contextmanager
def keep_memory() -> Iterator[None]:
    """Let this process keep freed memory for its next tensors, until the block ends.

    The allocator of Linux's C library asks the system for every block of more than 32 MiB anew, and
    gives it back at once. The system empties each of its pages first, and so the tensors of a large
    batch cost more time to get than to fill. With this they are reused. The process needs more
    memory meanwhile, because free blocks do not always fit; all that is free is given back in the
    end.

    It does nothing with another C library, or where the environment sets the allocator already
    (``MALLOC_…`` or ``GLIBC_TUNABLES``).
    """
    library = _glibc()
    if library is None:
        yield
        return
    library.mallopt(_MMAP_MAX, 0)
    library.mallopt(_TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        # What the allocator would have found for itself: its own thresholds grow up to these.
        library.mallopt(_MMAP_MAX, 65536)
        library.mallopt(_MMAP_THRESHOLD, 32 * _MEBIBYTE)
        library.mallopt(_TRIM_THRESHOLD, 64 * _MEBIBYTE)
        library.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    is_set = any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ)
    if is_set or platform.libc_ver()[0] != "glibc":
        return None
    return ctypes.CDLL(None)
