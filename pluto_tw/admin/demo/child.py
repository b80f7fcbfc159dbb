# SPDX-License-Identifier: GPL-3.0-or-later
"""
Runs a program that ends when its parent does: `python -m pluto_tw.admin.demo.child PROGRAM ...`.

A supervisor that is killed cannot stop what it has started; the kernel does it then (`prctl(2)`,
PR_SET_PDEATHSIG, which stays over `execve`).
"""

import ctypes
import os
import signal
import sys
from typing import Final

PR_SET_PDEATHSIG: Final = 1


def main(parent: int, program: list[str]) -> None:
    """Becomes *program*, unless *parent* is gone already."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM) != 0:
        raise OSError(ctypes.get_errno(), "prctl")
    if os.getppid() != parent:
        sys.exit(1)
    os.execv(program[0], program)  # noqa: S606


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
