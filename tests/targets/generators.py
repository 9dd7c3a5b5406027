# SPDX-License-Identifier: Apache-2.0
"""Two pipelines of generators that interleave, each under a consumer of its own."""
# needs: 3.6
import os
import signal


def source_a(n):
    for i in range(n):
        yield work_a(i)  # -> work_a


def work_a(i):
    total = i
    total += 1
    return total


def scale_a(items):
    for item in items:  # -> source_a
        yield item * 2


def relay_a(n):
    items = source_a(n)  # -> +source_a
    yield from scale_a(items)  # -> scale_a
    yield from scale_a(source_a(n))  # -> scale_a +source_a


def consume_a(n):
    total = 0
    for item in relay_a(n):  # -> relay_a
        total += item
    return total


def source_b(n):
    while n:
        value = work_b(n)  # -> work_b
        yield value
        n -= 1


def work_b(i):
    total = i
    total -= 1
    return total


def relay_b(n):
    yield from source_b(n)  # -> source_b


def outer_b(n):
    yield from relay_b(n)  # -> relay_b


def consume_b(n):
    total = 0
    for item in outer_b(n):  # -> outer_b
        total += item
    return total


class Steps:
    """Both pipelines, one item of each in turn."""

    def __init__(self, n):
        self.left = relay_a(n)  # -> +relay_a
        self.right = outer_b(n)  # -> +outer_b

    def step_a(self):
        return next(self.left, None)  # -> relay_a

    def step_b(self):
        return next(self.right, None)  # -> outer_b

    def run(self):
        while True:
            left = self.step_a()  # -> Steps.step_a
            right = self.step_b()  # -> Steps.step_b
            if left is None and right is None:
                return


def main():
    while True:
        consume_a(5)  # -> consume_a
        consume_b(4)  # -> consume_b
        steps = Steps(3)  # -> Steps.__init__
        steps.run()  # -> Steps.run


signal.alarm(300)
os.write(1, b'ready\n')
main()  # -> main
