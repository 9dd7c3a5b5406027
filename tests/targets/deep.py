# SPDX-License-Identifier: Apache-2.0
"""A recursion of argv[1] frames of `down` below `<module>`, at whose bottom `spin` works."""
import os
import signal
import sys
import threading


def down(n):
    if n == 1:
        return spin()  # -> spin
    return down(n - 1)  # -> down


def spin():
    os.write(1, b'ready\n')
    total = 0
    while True:
        total += 1


signal.alarm(300)
sys.setrecursionlimit(int(sys.argv[1]) + 100)
down(int(sys.argv[1]))  # -> down
