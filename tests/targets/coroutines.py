# SPDX-License-Identifier: Apache-2.0
"""Chains of coroutines that suspend at their bottom, and asynchronous generators."""
# needs: 3.6
import os
import signal


class Suspend:
    """Awaiting this hands control back to whoever drives the coroutine, n times."""

    def __init__(self, n):
        self.n = n

    def __await__(self):
        for i in range(self.n):
            yield i


async def bottom_a(n):
    await Suspend(n)  # -> Suspend.__init__ Suspend.__await__
    return work_a(n)  # -> work_a


def work_a(n):
    total = 0
    for i in range(n):
        total += i
    return total


async def middle_a(n):
    return await bottom_a(n)  # -> bottom_a


async def top_a(n):
    first = await middle_a(n)  # -> middle_a
    second = await bottom_a(n)  # -> bottom_a
    return first + second


async def produce_b(n):
    for i in range(n):
        yield i
        await Suspend(1)  # -> Suspend.__init__ Suspend.__await__


async def filter_b(n):
    async for item in produce_b(n):  # -> produce_b
        if item % 2:
            yield work_b(item)  # -> work_b


def work_b(n):
    total = n
    while n:
        n -= 1
        total += n
    return total


async def top_b(n):
    total = 0
    async for item in filter_b(n):  # -> filter_b
        total += item
    return total


def drive_a(coroutine):
    while True:
        try:
            coroutine.send(None)  # -> top_a
        except StopIteration:
            return


def drive_b(coroutine):
    while True:
        try:
            coroutine.send(None)  # -> top_b
        except StopIteration:
            return


def main():
    while True:
        drive_a(top_a(3))  # -> drive_a +top_a
        drive_b(top_b(4))  # -> drive_b +top_b


signal.alarm(300)
os.write(1, b'ready\n')
main()  # -> main
