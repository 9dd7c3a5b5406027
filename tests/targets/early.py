# SPDX-License-Identifier: Apache-2.0
"""Work from the first moment on for argv[1] milliseconds of CPU time, say how many nanoseconds that
were, and end with status 7."""
import sys
import time


def spin(end):
    total = 0
    while time.thread_time() < end:
        total += work(200)  # -> work
    return total


def work(n):
    total = 0
    for i in range(n):
        total += i
    return total


begin = time.thread_time()
spin(begin + int(sys.argv[1]) / 1000.0)  # -> spin
sys.stdout.write('%d\n' % ((time.thread_time() - begin) * 1e9))
sys.exit(7)
