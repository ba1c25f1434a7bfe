"""Octavo: INT8 text embedding models on CPUs.

    import octavo

    embedder = octavo.Embedder("minilm-int8")
    vectors = embedder.encode(["how do I reset my password?", "I forgot my login"])

`build` makes such a folder of a Hugging Face snapshot or a GGUF file; `import_model`, `smooth`,
`quantize` and `verify` are its steps. What goes wrong is an `octavo.Error`, of the class that says
what kind.
"""

from octavo._core import (
    BuildReport,
    ImportReport,
    QuantizeReport,
    SmoothReport,
    VerifyReport,
)
from octavo._core import version as __version__
from octavo._embedder import Embedder
from octavo._errors import (
    CalibrationWarning,
    Error,
    InternalError,
    InvalidInputError,
    IoError,
    ModelWarning,
    NotFoundError,
    OutOfMemoryError,
    TruncationWarning,
    UnsupportedError,
)
from octavo._precision import Dtype, as_dtype
from octavo._toolkit import Progress, build, import_model, quantize, smooth, verify

__all__ = [
    "BuildReport",
    "CalibrationWarning",
    "Dtype",
    "Embedder",
    "Error",
    "ImportReport",
    "InternalError",
    "InvalidInputError",
    "IoError",
    "ModelWarning",
    "NotFoundError",
    "OutOfMemoryError",
    "Progress",
    "QuantizeReport",
    "SmoothReport",
    "TruncationWarning",
    "UnsupportedError",
    "VerifyReport",
    "__version__",
    "as_dtype",
    "build",
    "import_model",
    "quantize",
    "smooth",
    "verify",
]
