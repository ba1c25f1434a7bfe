"""What Octavo raises and warns of."""


class Error(Exception):
    """Base of every error of this package: what is wrong, where, and what to do."""


class InvalidInputError(Error, ValueError):
    """A file, option or text breaks its format or the limits."""


class UnsupportedError(Error):
    """Well-formed, but it names something that Octavo does not have; the message names it."""


class NotFoundError(Error, LookupError):
    """A file, tensor or prompt name that is not there."""


class IoError(Error, OSError):
    """The operating system said no: permission, full disk, broken pipe."""


class OutOfMemoryError(Error, MemoryError):
    """Memory has ended."""


class InternalError(Error, RuntimeError):
    """A mistake of Octavo's own; please report it."""


class TruncationWarning(UserWarning):
    """Texts were longer than the model's maximum length and were cut."""


class CalibrationWarning(UserWarning):
    """A model was calibrated on few texts."""


class ModelWarning(UserWarning):
    """Something about a model had to be guessed."""
