"""Every error that a user of landslip can cause.

Each message is one line that says what is wrong, where, and what to do. Every class is also the
matching built-in, so that callers of the Python API may catch what they are used to catching.
"""

from __future__ import annotations


class LandslipError(Exception):
    """Root of all errors raised on purpose; the command line prints its message and exits with 1."""


class InputError(LandslipError, ValueError):
    """An input has the wrong content: empty, damaged, out of range, contradictory."""


class MissingInputError(LandslipError, FileNotFoundError):
    """A file or folder that is needed is not there."""

    def __str__(self) -> str:
        """Return the message alone (``OSError`` would print an errno tuple)."""
        return str(self.args[0]) if self.args else ""


class OutputError(LandslipError, OSError):
    """An output cannot be written: exists already, locked by another process, disk full, no permission."""

    def __str__(self) -> str:
        """Return the message alone (``OSError`` would print an errno tuple)."""
        return str(self.args[0]) if self.args else ""


class CRSMismatchError(LandslipError, ValueError):
    """A coordinate reference system is missing, unusable, or not the one that is needed."""


class GridMismatchError(LandslipError, ValueError):
    """Rasters that must share one grid do not."""


class CoverageError(LandslipError, ValueError):
    """An input does not cover enough of the scene."""


class LayerError(LandslipError, LookupError):
    """A layer is unknown, or the scene has not what it needs."""

    def __str__(self) -> str:
        """Return the message alone (``KeyError``'s relatives may quote it)."""
        return str(self.args[0]) if self.args else ""


class ConfigError(LandslipError, ValueError):
    """A configuration has an unknown key, a wrong type, or settings that exclude each other."""


class FormatError(LandslipError, ValueError):
    """A file of ours is damaged, incomplete, or of a newer format."""


class ModelError(LandslipError, ValueError):
    """A network cannot be built or loaded as asked: weights, layers, tile size."""


class SplitError(LandslipError, ValueError):
    """Training, validation and test parts cannot be formed, or would leak into one another."""


class RemoteError(LandslipError, OSError):
    """A server could not be reached or gave something unusable."""

    def __str__(self) -> str:
        """Return the message alone (``OSError`` would print an errno tuple)."""
        return str(self.args[0]) if self.args else ""


class ResourceError(LandslipError, MemoryError):
    """The work needs more memory or disk than it was allowed; the message says how much."""
