"""Every error that the package raises on purpose.

Each message says what is wrong, where (file, row, column), and what to do. Catch
:class:`CompanionError` to catch them all.
"""

__all__ = [
    "CheckpointError",
    "CompanionError",
    "DataError",
    "DeviceError",
    "EmptyDocumentError",
    "LedgerError",
    "MissingPackageError",
    "OutputError",
]


class CompanionError(Exception):
    """The base of all errors of this package."""


class DataError(CompanionError, ValueError):
    """The data, or an argument that describes it, cannot be used."""


class EmptyDocumentError(DataError):
    """A document has no word that the model could read."""


class CheckpointError(CompanionError):
    """A saved model is missing, damaged, of another version, or not ours."""


class DeviceError(CompanionError):
    """The device asked for is not on this machine."""


class MissingPackageError(CompanionError, ImportError):
    """An optional package is not installed; the message has the command that installs it."""


class OutputError(CompanionError, OSError):
    """A file or folder cannot be written."""


class LedgerError(CompanionError, AssertionError):
    """A measured number is not the number that the book prints."""
