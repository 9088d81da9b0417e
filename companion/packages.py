"""Files that an installed package carries: data sets and models that need no network.

Such a package is not imported; its files are read where they lie.
"""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from companion.errors import MissingPackageError

__all__ = ["find_in_package", "is_installed"]


def find_in_package(package: str, path: str, *, install: str) -> Path:
    """Find a file or folder that an installed package carries.

    Args:
        package: The name of the distribution, as pip knows it.
        path: Where the file or folder lies, from the folder that packages are installed in.
        install: The command that installs it, for the error.

    Returns:
        The path on this machine.

    Raises:
        MissingPackageError: If the package is not installed, or carries no such file.
    """
    try:
        found = Path(str(distribution(package).locate_file(path)))
    except PackageNotFoundError as error:
        raise MissingPackageError(f"the package {package} is missing: {install}") from error
    if not found.exists():
        raise MissingPackageError(
            f"the package {package} is installed without {path}; install the version named here: "
            f"{install}"
        )
    return found


def is_installed(package: str) -> bool:
    """Say whether a distribution is installed; it is not imported."""
    try:
        distribution(package)
    except PackageNotFoundError:
        return False
    return True
