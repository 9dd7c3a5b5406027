# SPDX-License-Identifier: Apache-2.0
"""Take memory until somebody ends it: a MiB after each 2 ms of work, whose sum is said on a line."""
import os
import time

MS = 2


def work(end):
    while time.thread_time() < end:
        pass


def eat(held):
    work(time.thread_time() + MS / 1000.0)  # -> work
    held.append(b'x' * (1 << 20))
    os.write(1, b'%d\n' % MS)


def main():
    held = []
    while True:
        eat(held)  # -> eat


main()  # -> main
