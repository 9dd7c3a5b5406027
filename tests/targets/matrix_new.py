# SPDX-License-Identifier: Apache-2.0
"""What only Python 3.6 and later can run; part of matrix.py."""


def spin(n):
    total = 0
    for i in range(n):
        total += i
    return total


def leaves(n):
    for i in range(n):
        got = yield spin(i)
        if got:
            spin(got)


def delegating(n):
    yield from leaves(n)
    yield from [1, 2]


def generators():
    running = delegating(3)
    next(running)
    running.send(2)
    return sum(running) + sum(delegating(2))


class Suspended:
    def __init__(self, n):
        self.n = n

    def __await__(self):
        for i in range(self.n):
            yield spin(i)


class Context:
    async def __aenter__(self):
        await Suspended(1)

    async def __aexit__(self, *_):
        spin(2)


async def bottom(n):
    await Suspended(n)
    return spin(n)


async def middle(n):
    return await bottom(n) + await bottom(1)


async def items(n):
    for i in range(n):
        yield spin(i)
        await Suspended(1)


async def top(n):
    total = await middle(n)
    async with Context():
        async for item in items(n):
            total += item
    return total + len([item async for item in items(2)])


def drive(coroutine):
    while True:
        try:
            coroutine.send(None)
        except StopIteration:
            return


def coroutines():
    drive(top(3))


class Keywords:
    def __init__(self, x, *, factor=2, **more):
        self.x = spin(x * factor)

    def __call__(self, *args, **named):
        return [spin(arg) for arg in args]


def keywords():
    nonlocal_total = 0

    def count(n):
        nonlocal nonlocal_total
        nonlocal_total += spin(n)

    made = Keywords(2, factor=3, other=1)
    made(1, 2, key=3)
    count(2)
    return f'{made.x} {spin(2)}'


WORK = [generators, coroutines, keywords]
