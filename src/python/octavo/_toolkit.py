"""The recipe and its steps, as functions."""

import os
import warnings
from collections.abc import Callable, Iterable
from typing import Literal

from octavo import _core
from octavo._errors import CalibrationWarning, InvalidInputError

Path = str | os.PathLike[str]

# Called with a stage ("pull" in bytes, "calibrate", "quantize", ...), how many units of it are done, and of
# how many; by one thread at a time, not always the same. What it raises ends the work.
Progress = Callable[[str, int, int], None]


def _within(name: str, value: float | None, low: float, high: float) -> None:
    if value is not None and not low <= value <= high:
        raise InvalidInputError(f"{name} is {value}; it can be from {low} to {high}")


def _number(alpha: float | Literal["auto"] | None) -> float | None:
    if isinstance(alpha, str):
        if alpha != "auto":
            raise InvalidInputError(f'alpha is "{alpha}"; it can be a number from 0 to 1, or "auto"')
        return None
    _within("alpha", alpha, 0, 1)
    return alpha


def _list(name: str, values: Iterable[str]) -> list[str]:
    if isinstance(values, str):
        raise TypeError(f"{name} is a str; give a list of them")
    return list(values)


def _warn(*reports: _core.SmoothReport | _core.QuantizeReport) -> None:
    for warning in dict.fromkeys(text for report in reports for text in report.calibration_warnings):
        warnings.warn(warning, CalibrationWarning, stacklevel=3)


def import_model(
    source: Path,
    output: Path,
    *,
    model_name: str = "model.onnx",
    functions: bool = False,
    progress: Progress | None = None,
) -> _core.ImportReport:
    """A Hugging Face snapshot or a GGUF file as FP32 ONNX, with the files a runtime needs beside it.

    Args:
        source: snapshot folder, *.gguf file, or `org/name[@revision]` on the hub, as in Embedder.
        output: folder; created if need be.
        model_name: file in `output`; its weights are in `<model_name>.data`.
        functions: write ai.octavo model-local functions instead of flat standard ops.
        progress: called now and then; what it raises ends the work.

    Raises:
        UnsupportedError: an architecture that Octavo does not have.
        NotFoundError: no such source, or a tensor is missing in it.
        IoError: a download failed, as in Embedder.
    """
    return _core.import_model(source, output, model_name, functions, progress)


def smooth(
    fp32: Path,
    output: Path,
    *,
    alpha: float | Literal["auto"] | None = None,
    activations: Literal["per-tensor", "per-token"] = "per-tensor",
    factors: Literal["per-tensor", "per-token", "per-token-16"] = "per-tensor",
    evaluations: int = 80,
    search_log: Path | None = None,
    rotate: bool = False,
    tokenizer: Path | None = None,
    calibration: Path | None = None,
    progress: Progress | None = None,
) -> _core.SmoothReport:
    """SmoothQuant: moves activation outliers into the weights. The function of the model stays.

    Args:
        fp32: ONNX file.
        output: ONNX file to write; it gets a sidecar when `fp32` has one.
        alpha: share of the outliers that moves, 0 to 1, or "auto": searched for every site. None for
            0.8; with factors="per-token-16" there is none.
        activations, evaluations, search_log: of alpha="auto": the scales that the quantized model
            will run with, models to try at most (7 to 10000), a file to go on from after a stop.
        factors: what moves is measured by: the largest numbers, or a channel's share of its token and
            the mean of length and maximum of the weights' row, for activations with a scale a token;
            "per-token-16": those with which the rounding of the weights costs least.
        rotate: first rotate the residual stream (RMSNorm models).
        tokenizer: folder with tokenizer.json; None for the model's.
        calibration: one text a line, or JSON Lines with "text"; None for the built-in texts.
        progress: called now and then; what it raises ends the work.

    Raises:
        InvalidInputError: there is nothing to smooth, an option out of range.
        UnsupportedError: naming what the executor lacks.
        InternalError: the outputs before and after do not agree; nothing is written then.
    """
    _within("evaluations", evaluations, 7, 10000)
    if factors == "per-token-16" and alpha is not None:
        raise InvalidInputError(f"alpha is {alpha}; with factors of 16-bit activations there is none")
    number = _number(0.8 if alpha is None else alpha)
    report = _core.smooth(
        fp32, output, number, activations, factors, evaluations, search_log, rotate, tokenizer, calibration, progress
    )
    _warn(report)
    return report


def quantize(
    input: Path,
    output: Path,
    *,
    per_channel: bool = False,
    weight_type: Literal["qint8", "quint8"] = "qint8",
    reduce_range: bool = False,
    clip: bool = False,
    op_types: Iterable[str] = ("MatMul",),
    exclude: Iterable[str] = (),
    activations: Literal["per-tensor", "per-token", "per-token-16"] = "per-tensor",
    protect: Iterable[str] = (),
    target_cos: float | None = None,
    max_extra_macs: float | None = None,
    protect_log: Path | None = None,
    compensate: bool = False,
    tokenizer: Path | None = None,
    calibration: Path | None = None,
    table: Literal["float32", "int8", "bfloat16", "float16"] = "float32",
    max_size: int | None = None,
    external_data: bool = False,
    progress: Progress | None = None,
) -> _core.QuantizeReport:
    """Dynamic INT8 in the form of ONNX Runtime's quantize_dynamic, or with a scale for every token.

    Args:
        input, output: ONNX files; they may be the same.
        per_channel: a scale for every output channel.
        weight_type: "qint8" (symmetric) or "quint8" (with zero point).
        reduce_range: 7-bit weights.
        clip: a smaller range for a channel where its squared error says so.
        op_types: op types to quantize; MatMul is the only one there is.
        exclude: regular expressions (ECMAScript) searched for in node names; these stay FP32.
        activations: what shares a scale of the activations.
        protect: regular expressions; nodes that get per-token-16 where the others get per-token.
        target_cos, max_extra_macs: with per-token activations, search nodes that get 16 bits: the
            cheapest that bring every judged text to this cosine, at most this share (0 to 1) of
            the products more.
        protect_log: file to go on from after a stop of that search.
        compensate: round weights so that others make up for what each loses (GPTQ).
        tokenizer: folder, for the search and compensate; None for the model's.
        calibration: texts for the same, as in `smooth`.
        table: how the embedding table is stored.
        max_size: bytes of `output` and its sidecar at most: `table` is then chosen.
        external_data: weights in a sidecar (always so above 2 GB).
        progress: called now and then; what it raises ends the work.

    Raises:
        InvalidInputError: nothing would be quantized (with the reason of every node), max_size
            cannot be reached, an option out of range.
    """
    _within("target_cos", target_cos, -1, 1)
    _within("max_extra_macs", max_extra_macs, 0, 1)
    report = _core.quantize(
        input,
        output,
        per_channel,
        weight_type,
        reduce_range,
        clip,
        _list("op_types", op_types),
        _list("exclude", exclude),
        activations,
        _list("protect", protect),
        target_cos,
        max_extra_macs,
        protect_log,
        compensate,
        tokenizer,
        calibration,
        table,
        max_size,
        external_data,
        progress,
    )
    _warn(report)
    return report


def verify(
    model: Path,
    *,
    against: Path | None = None,
    reference: Path | None = None,
    tokenizer: Path | None = None,
    texts: Iterable[str] = (),
    min_cos: float | None = None,
    threads: int | None = None,
    progress: Progress | None = None,
) -> _core.VerifyReport:
    """How close a model's embeddings are to the original's: cosine a text, on identical token ids.

    Args:
        model: ONNX file, a folder with one, or `org/name[@revision]` on the hub, as in Embedder.
        against: FP32 ONNX model to compare with, or a folder with one, or
        reference: a file of tools/dump_reference.py.
        tokenizer: folder; None for the model's own.
        texts: none for the 6 built-in ones (or those of the reference file).
        min_cos: the report's `passed` says whether the smallest cosine is at least this.
        threads: None for all that this process may use.
        progress: called now and then; what it raises ends the work.

    Raises:
        InvalidInputError: neither or both of `against` and `reference`, a reference made of other
            token ids.
        NotFoundError: a file that is not there.
        IoError: a download failed, as in Embedder.
    """
    if (against is None) == (reference is None):
        raise InvalidInputError("verify needs one of against and reference: what to compare with")
    _within("min_cos", min_cos, -1, 1)
    if threads is not None and threads < 1:
        raise InvalidInputError(f"threads is {threads}; it can be 1 or more, or None")
    return _core.verify(
        model, against, reference, tokenizer, _list("texts", texts), min_cos, threads or 0, progress
    )


def build(
    source: Path,
    output: Path,
    *,
    profile: Literal["compat", "accurate", "closest"] = "compat",
    alpha: float | Literal["auto"] | None = None,
    evaluations: int = 80,
    search_log: Path | None = None,
    rotate: bool = True,
    protect: Iterable[str] = (),
    target_cos: float | None = None,
    max_extra_macs: float | None = None,
    protect_log: Path | None = None,
    max_size: int | None = None,
    calibration: Path | None = None,
    reference: Path | None = None,
    texts: Iterable[str] = (),
    retrieval: Path | None = None,
    speed: Path | None = None,
    vanilla: bool = True,
    min_cos: float = 0.90,
    why: str = "",
    date: str = "",
    progress: Progress | None = None,
) -> _core.BuildReport:
    """The whole recipe: a folder with an INT8 model that proves itself.

    Import, SmoothQuant, dynamic INT8, the vanilla variant beside it, and what both lose. Everything
    that was measured is in `report.json` of the folder, `report.html` shows it.

    Args:
        source: snapshot folder, *.gguf file, or `org/name[@revision]` on the hub, as in Embedder.
        output: folder; created if need be.
        profile: "compat", the file that quantize_dynamic writes; "accurate", a scale a token; or
            "closest", 16-bit activations everywhere, without alpha.
        alpha: as in `smooth`; None for what suits the profile.
        evaluations, search_log: of alpha="auto", as in `smooth`.
        rotate: not with "compat": rotate the residual stream where that can be done.
        protect, target_cos, max_extra_macs, protect_log: with "accurate", as in `quantize`.
        max_size: bytes of all that embedding reads, at most.
        calibration: texts, as in `smooth`.
        reference: a file of tools/dump_reference.py to measure against; None for the FP32 model.
        texts: to measure with; none for the 6 built-in ones.
        retrieval: a set of tools/make_retrieval_set.py to measure search on.
        speed: what `octavo bench --json` printed, for the report.
        vanilla: also the variant without smoothing.
        min_cos: the report's `passed` says whether the smallest cosine is at least this.
        why: reason of a rebuild, for the change history.
        date: of a new entry there; "" for today.
        progress: called now and then; what it raises ends the work, and nothing is left behind.

    Raises:
        InvalidInputError, NotFoundError, UnsupportedError: as the steps, and when `output` holds a
            README.md, report.json or report.html that is not a build's.
        IoError: a download failed, as in Embedder.
    """
    automatic = alpha == "auto"
    number = _number(alpha)
    _within("evaluations", evaluations, 7, 10000)
    _within("target_cos", target_cos, -1, 1)
    _within("max_extra_macs", max_extra_macs, 0, 1)
    _within("min_cos", min_cos, -1, 1)
    protected, probe = _list("protect", protect), _list("texts", texts)
    decisive: dict[str, tuple[object, object]] = {
        "profile": (profile, "compat"),
        "alpha": (alpha, None),
        "evaluations": (evaluations, 80),
        "rotate": (rotate, True),
        "protect": (protected, []),
        "target_cos": (target_cos, None),
        "max_extra_macs": (max_extra_macs, None),
        "max_size": (max_size, None),
        "calibration": (_name(calibration), None),
        "reference": (_name(reference), None),
        "texts": (probe, []),
        "retrieval": (_name(retrieval), None),
        "speed": (_name(speed), None),
        "vanilla": (vanilla, True),
        "min_cos": (min_cos, 0.90),
    }
    report = _core.build(
        source,
        output,
        profile,
        number,
        automatic,
        evaluations,
        search_log,
        rotate,
        protected,
        target_cos,
        max_extra_macs,
        protect_log,
        max_size,
        calibration,
        reference,
        probe,
        retrieval,
        speed,
        vanilla,
        min_cos,
        why,
        date,
        _call_text(source, decisive),
        progress,
    )
    _warn(report.smoothing, report.quantization)
    return report


def _name(path: Path | None) -> str | None:
    return None if path is None else os.path.basename(os.path.normpath(path))


def _call_text(source: Path, options: dict[str, tuple[object, object]]) -> str:
    """The call as the model card shows it: what decides the result, files by their names because folders are
    private. "" for the call without options, which the card spells as the program's command."""
    given = [f"{name}={value!r}" for name, (value, default) in options.items() if value != default]
    shown = os.fspath(source) if _core.is_hub_name(source) else _name(source)
    return f"octavo.build({', '.join([repr(shown), repr('DIR'), *given])})" if given else ""
