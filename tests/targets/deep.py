# SPDX-License-Identifier: Apache-2.0
"""A recursion of argv[1] frames of `down` below `<module>`, at whose bottom `spin` works."""
import os
import resource
import signal
import sys

STACK = 1 << 30


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
if int(sys.argv[1]) > 5000 and resource.getrlimit(resource.RLIMIT_STACK)[0] < STACK:
    resource.setrlimit(resource.RLIMIT_STACK, (STACK, resource.RLIM_INFINITY))
    os.execv(sys.executable, [sys.executable] + sys.argv)  # the room is laid out by exec
sys.setrecursionlimit(int(sys.argv[1]) + 100)
down(int(sys.argv[1]))  # -> down
