"""Become another program that ends when its parent does: ``launch.py SIGNAL UID GID PARENT COMMAND…``.

A separate small program, not a ``preexec_fn``: Python code between fork and exec may deadlock in a process
that has threads. It imports nothing of Admit One, so that it starts in some ten milliseconds.
"""

import ctypes
import os
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def main(arguments: list[str]) -> None:
    signal_number, uid, gid, parent_pid = (int(argument) for argument in arguments[:4])
    command = arguments[4:]
    if uid != os.geteuid():
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    # After setuid, which clears the parent-death signal. On other systems the next start finds the orphan.
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal_number)
        if os.getppid() != parent_pid:
            sys.exit("the parent ended before its child began")
    os.execv(command[0], command)  # noqa: S606


if __name__ == "__main__":
    main(sys.argv[1:])
