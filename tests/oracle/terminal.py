"""What a program shows on a terminal."""
import os
import pty


def shown_on_terminal(start):
    """start(descriptor) starts a process whose output goes there; (process, everything it showed until it closed that)."""
    leader, follower = pty.openpty()
    process = start(follower)
    os.close(follower)
    shown = b""
    try:
        while part := os.read(leader, 65536):
            shown += part
    except OSError:
        pass  # the other end is closed
    os.close(leader)
    return process, shown
