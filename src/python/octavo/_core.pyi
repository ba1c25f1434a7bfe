"""The extension; src/python/ is its source."""

import os
import pathlib
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

_Path = str | os.PathLike[str]
_Progress = Callable[[str, int, int], None]

version: str

class Embedder:
    def embed(
        self,
        texts: list[str],
        prompt: object | None,
        prompt_name: str,
        max_length: int,
        dimensions: int,
        normalize: bool | None,
        batch_tokens: int,
        progress: Callable[[int], None] | None,
    ) -> tuple[NDArray[np.float32], list[tuple[int, int, int]], int]: ...
    @property
    def width(self) -> int: ...
    @property
    def max_length(self) -> int: ...
    @property
    def prompts(self) -> dict[str, str]: ...
    @property
    def default_prompt_name(self) -> str: ...
    @property
    def similarity(self) -> str: ...
    @property
    def folder(self) -> pathlib.Path: ...
    def explain(self) -> str: ...

def open_embedder(
    model: _Path,
    model_file: str,
    threads: int,
    exact_onnx: bool,
    batch_tokens: int,
    cache: bool,
    progress: _Progress | None,
) -> tuple[Embedder, list[str]]: ...

class VerifiedText:
    """A text of a VerifyReport; norms are those before normalisation."""

    @property
    def text(self) -> str: ...
    @property
    def ids(self) -> list[int]: ...
    @property
    def tokens(self) -> list[str]: ...
    @property
    def cosine(self) -> float: ...
    @property
    def norm(self) -> float: ...
    @property
    def reference_norm(self) -> float: ...

class VerifyReport:
    """Percentiles as numpy's default; `worst` is an index into `texts`."""

    @property
    def texts(self) -> list[VerifiedText]: ...
    @property
    def cos_min(self) -> float: ...
    @property
    def cos_p1(self) -> float: ...
    @property
    def cos_p5(self) -> float: ...
    @property
    def cos_p50(self) -> float: ...
    @property
    def cos_mean(self) -> float: ...
    @property
    def worst(self) -> int: ...
    @property
    def passed(self) -> bool: ...
    @property
    def reference(self) -> str: ...
    @property
    def notes(self) -> list[str]: ...

class ImportReport:
    """`files` are relative to the output folder; `unused_weights` are not in the graph."""

    @property
    def architecture(self) -> str: ...
    @property
    def parameters(self) -> int: ...
    @property
    def files(self) -> list[str]: ...
    @property
    def unused_weights(self) -> list[str]: ...

class SmoothSite:
    """An input that MatMuls share, where 1/s went, and why it was not folded ("" when it was)."""

    @property
    def input(self) -> str: ...
    @property
    def weights(self) -> list[str]: ...
    @property
    def folded_into(self) -> str: ...
    @property
    def refusal(self) -> str: ...
    @property
    def alpha(self) -> float | None: ...
    @property
    def scale_min(self) -> float: ...
    @property
    def scale_max(self) -> float: ...
    @property
    def outlier_before(self) -> float: ...
    @property
    def outlier_after(self) -> float: ...

class AlphaTrial:
    """A set of alphas that was tried."""

    @property
    def what(self) -> str: ...
    @property
    def loss(self) -> float: ...
    @property
    def kept(self) -> bool: ...

class AlphaSearchReport:
    """`fixed` is the best single alpha, used when the search was `refused`."""

    @property
    def fixed(self) -> float: ...
    @property
    def loss_fixed(self) -> float: ...
    @property
    def loss(self) -> float: ...
    @property
    def confirmed_fixed(self) -> float: ...
    @property
    def confirmed(self) -> float: ...
    @property
    def refused(self) -> bool: ...
    @property
    def texts(self) -> int: ...
    @property
    def trials(self) -> list[AlphaTrial]: ...

class SmoothReport:
    """`difference` of the FP32 outputs before and after, relative to their range."""

    @property
    def search(self) -> AlphaSearchReport | None: ...
    @property
    def rotated_width(self) -> int: ...
    @property
    def not_rotated(self) -> str: ...
    @property
    def sites(self) -> list[SmoothSite]: ...
    @property
    def skipped(self) -> list[str]: ...
    @property
    def difference(self) -> float: ...
    @property
    def calibration_texts(self) -> int: ...
    @property
    def calibration_tokens(self) -> int: ...
    @property
    def calibration_warnings(self) -> list[str]: ...

class ProtectSite:
    """Nodes that read the same input; `wide` when they have 16 bits."""

    @property
    def nodes(self) -> list[str]: ...
    @property
    def share(self) -> float: ...
    @property
    def worth(self) -> float: ...
    @property
    def wide(self) -> bool: ...

class ProtectQuality:
    """Of the texts that the search judged by."""

    @property
    def cos_min(self) -> float: ...
    @property
    def cos_p5(self) -> float: ...
    @property
    def cos_mean(self) -> float: ...

class ProtectReport:
    """Quality with 8 bits everywhere (`narrow`), as chosen, and with 16 everywhere (`wide`)."""

    @property
    def sites(self) -> list[ProtectSite]: ...
    @property
    def extra_macs(self) -> float: ...
    @property
    def narrow(self) -> ProtectQuality: ...
    @property
    def chosen(self) -> ProtectQuality: ...
    @property
    def wide(self) -> ProtectQuality: ...
    @property
    def reached(self) -> bool: ...
    @property
    def texts(self) -> int: ...
    @property
    def calibration_texts(self) -> int: ...

class QuantizedNode:
    """Bytes of its weight before and after."""

    @property
    def node(self) -> str: ...
    @property
    def weight(self) -> str: ...
    @property
    def bytes_before(self) -> int: ...
    @property
    def bytes_after(self) -> int: ...
    @property
    def activations(self) -> str: ...

class KeptNode:
    """A node that stayed as it was, and why."""

    @property
    def node(self) -> str: ...
    @property
    def reason(self) -> str: ...

class QuantizedTable:
    """The embedding table; its name is "" when it stayed float32."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def bytes_before(self) -> int: ...
    @property
    def bytes_after(self) -> int: ...
    @property
    def also_read_by(self) -> list[str]: ...

class QuantizeReport:
    """Bytes are those of all initializers. `compensated` weights were not rounded to nearest, but to make up for each other on
    `compensation_texts` texts."""

    @property
    def quantized(self) -> list[QuantizedNode]: ...
    @property
    def kept(self) -> list[KeptNode]: ...
    @property
    def table(self) -> QuantizedTable: ...
    @property
    def protection(self) -> ProtectReport | None: ...
    @property
    def compensated(self) -> int: ...
    @property
    def compensation_texts(self) -> int: ...
    @property
    def warnings(self) -> list[str]: ...
    @property
    def calibration_warnings(self) -> list[str]: ...
    @property
    def bytes_before(self) -> int: ...
    @property
    def bytes_after(self) -> int: ...

class BuiltFile:
    """Its name is relative to the output folder."""

    @property
    def name(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def sha256(self) -> str: ...

class BuildReport:
    """What a build measured; `imported` when there was a reference file. All of it is in report.json."""

    @property
    def imported(self) -> VerifyReport | None: ...
    @property
    def smoothed(self) -> VerifyReport: ...
    @property
    def vanilla(self) -> VerifyReport | None: ...
    @property
    def importing(self) -> ImportReport: ...
    @property
    def smoothing(self) -> SmoothReport: ...
    @property
    def quantization(self) -> QuantizeReport: ...
    @property
    def fp32_bytes(self) -> int: ...
    @property
    def files(self) -> list[BuiltFile]: ...
    @property
    def changes(self) -> list[str]: ...
    @property
    def passed(self) -> bool: ...

def is_hub_name(model: _Path) -> bool: ...
def import_model(
    source: _Path,
    output: _Path,
    model_name: str,
    functions: bool,
    progress: _Progress | None,
) -> ImportReport: ...
def smooth(
    fp32: _Path,
    output: _Path,
    alpha: float | None,
    activations: str,
    factors: str,
    evaluations: int,
    search_log: _Path | None,
    rotate: bool,
    tokenizer: _Path | None,
    calibration: _Path | None,
    progress: _Progress | None,
) -> SmoothReport: ...
def quantize(
    input: _Path,
    output: _Path,
    per_channel: bool,
    weight_type: str,
    reduce_range: bool,
    clip: bool,
    op_types: list[str],
    exclude: list[str],
    activations: str,
    protect: list[str],
    target_cos: float | None,
    max_extra_macs: float | None,
    protect_log: _Path | None,
    compensate: bool,
    tokenizer: _Path | None,
    calibration: _Path | None,
    table: str,
    max_size: int | None,
    external_data: bool,
    progress: _Progress | None,
) -> QuantizeReport: ...
def verify(
    model: _Path,
    against: _Path | None,
    reference: _Path | None,
    tokenizer: _Path | None,
    texts: list[str],
    min_cos: float | None,
    threads: int,
    progress: _Progress | None,
) -> VerifyReport: ...
def build(
    source: _Path,
    output: _Path,
    profile: str,
    alpha: float | None,
    search: bool,
    evaluations: int,
    search_log: _Path | None,
    rotate: bool,
    protect: list[str],
    target_cos: float | None,
    max_extra_macs: float | None,
    protect_log: _Path | None,
    max_size: int | None,
    calibration: _Path | None,
    reference: _Path | None,
    texts: list[str],
    retrieval: _Path | None,
    speed: _Path | None,
    vanilla: bool,
    min_cos: float,
    why: str,
    date: str,
    command_line: str,
    progress: _Progress | None,
) -> BuildReport: ...
