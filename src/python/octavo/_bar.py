"""A line on stderr that says how far the work is."""

import sys
import time


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
        sys.stderr.write(f"\r\033[K{self._stage} {share}")
        sys.stderr.flush()

    def close(self) -> None:
        if self._last:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
