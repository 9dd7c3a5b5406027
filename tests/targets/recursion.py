# SPDX-License-Identifier: Apache-2.0
"""Two recursions, 90 deep, that alternate: one through five functions in turn, one through a single
function, whose calls tell their depth modulo 5 by their line.
"""
# depth: down_b 91
import os
import signal

DEPTH = 90


def down_a0(n):
    if n == 0:
        return leaf_a(4)  # -> leaf_a
    return down_a4(n - 1)  # -> down_a4


def down_a1(n):
    return down_a0(n - 1)  # -> down_a0


def down_a2(n):
    return down_a1(n - 1)  # -> down_a1


def down_a3(n):
    return down_a2(n - 1)  # -> down_a2


def down_a4(n):
    return down_a3(n - 1)  # -> down_a3


def leaf_a(n):
    total = 0
    for i in range(n):
        total += i
    return total


def down_b(n):
    if n == 0:
        return leaf_b(3)  # -> leaf_b
    rest = n % 5
    if rest == 4:
        return 1 + down_b(n - 1)  # -> down_b @4
    if rest == 3:
        return 1 + down_b(n - 1)  # -> down_b @3
    if rest == 2:
        return 1 + down_b(n - 1)  # -> down_b @2
    if rest == 1:
        return 1 + down_b(n - 1)  # -> down_b @1
    return 1 + down_b(n - 1)  # -> down_b @0


def leaf_b(n):
    total = n
    while n:
        n -= 1
        total += n
    return total


def main():
    while True:
        down_a0(DEPTH)  # -> down_a0
        down_b(DEPTH)  # -> down_b @1


signal.alarm(300)
os.write(1, b'ready\n')
main()  # -> main
