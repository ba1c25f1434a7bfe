"""A line on stderr that says how far the work is."""

import contextlib
import sys
import time
from collections.abc import Callable, Iterator


class Bar:
    """Drawn at most ten times a second and wiped away by `close`; `total` None: not known."""

    def __init__(self, stage: str, total: int | None) -> None:
        self._stage, self._total, self._last = stage, total, 0.0

    def show(self, done: int) -> None:
        now = time.monotonic()
        if now - self._last < 0.1:
            return
        self._last = now
        share = f"{done:,} texts" if not self._total else f"{100 * done / self._total:3.0f}%"
        self._draw(f"{self._stage} {share}")

    def stage(self, stage: str, done: int, total: int) -> None:
        """As what octavo.Progress is called with; a total of 0 is nothing that could be counted."""
        self._stage, self._total = stage, total
        if total:
            self.show(done)
        else:
            self._last = time.monotonic()
            self._draw(stage)

    def close(self) -> None:
        if self._last:
            self._draw("")

    @staticmethod
    def _draw(line: str) -> None:
        sys.stderr.write(f"\r\033[K{line}")
        sys.stderr.flush()


@contextlib.contextmanager
def downloads() -> Iterator[Callable[[str, int, int], None] | None]:
    """What to call while a model is downloaded: draws a line where stderr is a terminal, as the program does; else None."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    bar = Bar("pull", None)
    try:
        yield bar.stage
    finally:
        bar.close()
