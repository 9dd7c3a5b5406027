# SPDX-License-Identifier: Apache-2.0
"""Two chains of calls, three deep, that alternate within microseconds."""
import os
import signal


def first_a(n):
    return second_a(n)  # -> second_a


def second_a(n):
    return third_a(n)  # -> third_a


def third_a(n):
    total = 0
    for i in range(n):
        total += i
    return total


def first_b(n):
    result = second_b(n)  # -> second_b
    return result


def second_b(n):
    result = third_b(n)  # -> third_b
    return result


def third_b(n):
    total = n
    while n:
        n -= 1
        total += n
    return total


def main():
    while True:
        first_a(8)  # -> first_a
        first_b(6)  # -> first_b


signal.alarm(300)
os.write(1, b'ready\n')
main()  # -> main
