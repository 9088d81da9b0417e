"""The environment in which tests, notebooks and records compute: the one place that fixes it.

Libraries choose their code by the processor, and sums in another order differ in the last digits; a
few epochs of training make a visible difference of that. So each library is held to AVX2, which
every x86-64 server has, and to one thread. ``PROCESSOR=native`` or ``PROCESSOR=default`` (no wide
vectors at all) replaces the choice: the tests must pass with either.

Import it before NumPy or torch; kernels and other processes inherit it.
"""

import os
from collections.abc import Mapping, MutableMapping

__all__ = ["LEVELS", "pin", "pinned"]

COMMON = {
    "OMP_NUM_THREADS": "1",  # two threads on two busy cores are slower than one, and differ
    "PYTHONHASHSEED": "0",
    "HF_HUB_OFFLINE": "1",
    "JUPYTER_PLATFORM_DIRS": "1",
    "COMPANION_STRICT": "1",  # a measurement outside its tolerance fails, and is not just noted
}
# By level: torch, oneDNN (its LSTM), MKL (its products), OpenBLAS (NumPy and SciPy), NumPy itself.
LEVELS: dict[str, dict[str, str]] = {
    "native": {},
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_CBWR": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    },
    "default": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "COMPATIBLE",
        "OPENBLAS_CORETYPE": "Prescott",
        "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4 AVX512_ICL AVX512_SPR",
    },
}


def pinned(environment: Mapping[str, str]) -> dict[str, str]:
    """Compute the variables to set.

    Args:
        environment: Where ``PROCESSOR`` may name a level; ``avx2`` unless it does.

    Returns:
        The variables of the level, and those that hold at every level.

    Raises:
        ValueError: If there is no such level.
    """
    level = environment.get("PROCESSOR", "avx2")
    if level not in LEVELS:
        raise ValueError(f"PROCESSOR is {level!r}; choose one of {', '.join(LEVELS)}")
    return COMMON | LEVELS[level]


def pin(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set the variables, and remove those of the other levels."""
    chosen = pinned(environment)
    for name in {name for level in LEVELS.values() for name in level} - chosen.keys():
        environment.pop(name, None)
    environment.update(chosen)
