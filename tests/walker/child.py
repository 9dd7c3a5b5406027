# SPDX-License-Identifier: Apache-2.0
"""Threads that stand still in different places, for test_live.c. CPython 3.6 and later.

Given as -c to the interpreter; argument: "wait". Writes the number of a file descriptor that the
threads sleep in, waits for a line on stdin and then writes what sys._current_frames() says:

    blocked FD THREADS
    thread IDENT NAME COUNT        threading.get_ident(); COUNT lines follow, leaf first
    frame CODE LASTI NAME          id(code), f_lasti, co_qualname or co_name
    end
"""
import asyncio
import functools
import os
import sys
import threading
import time

PIPE, KEEP_OPEN = os.pipe()
RECURSION = 300


def park(*_):
    os.read(PIPE, 1)


def nest_inner(value, *, key=None):
    return [park(), value, key]


def nest_middle():
    return nest_inner(1, key=nest_inner)


def plain_nest():
    for _ in range(3):
        nest_middle()


def recursion(left=RECURSION):
    if not left:
        return park()
    return recursion(left - 1)


def generator(depth):
    yield depth
    if depth:
        yield from generator(depth - 1)
    else:
        park()
    yield depth


def generator_chain():
    for _ in generator(8):
        pass


def squares(items):
    for item in items:
        yield item * item


def pipeline():
    def source():
        yield 1
        yield 2
        park()
    # Twice warm: a specialised FOR_ITER runs the generator without a new C frame.
    for _ in range(50):
        list(squares(range(20)))
    for value in squares(squares(source())):
        sum(x for x in range(value))


class Awaitable:
    def __await__(self):
        yield from self.waits()

    def waits(self):
        park()
        yield


async def coroutine(depth):
    if depth:
        return await coroutine(depth - 1)
    return await Awaitable()


def coroutine_chain():
    coroutine(6).send(None)


def event_loop():
    async def task():
        async with Context():
            async for _ in ticker():
                pass

    async def ticker():
        yield 1
        park()

    class Context:
        async def __aenter__(self):
            await asyncio.sleep(0)

        async def __aexit__(self, *_):
            pass

    async def main():
        await asyncio.gather(task(), asyncio.sleep(0))

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())


def callbacks():
    def key(value):
        return functools.reduce(add, [value, 1, 2])

    def add(left, right):
        return list(map(lambda x: [park(x) for _ in range(1)], [left, right]))

    sorted([2, 1], key=key)


class Base:
    def __init__(self, left):
        self.child = None
        if left > 0:
            self.child = type(self)(left - 1)
        elif left == 0:
            self.value

    @property
    def value(self):
        return park()


class Derived(Base):
    def __init__(self, left):
        super().__init__(left)


def constructors():
    # Warm: from 3.13 on a specialised call puts a frame of its own below __init__.
    for _ in range(2000):
        Base(-1)
        Derived(-1)
    Derived(3)


def constructor_simple():
    class Plain:
        def __init__(self, stop):
            if stop:
                park()

    def make(stop):
        return Plain(stop)

    for _ in range(5000):
        make(False)
    make(True)


def comprehensions():
    return [{x: {park() for _ in 'a'} for x in 'b'} for _ in 'c']


def handlers():
    try:
        raise ValueError
    except ValueError:
        try:
            with open(os.devnull):
                exec('def in_exec():\n    park()\nin_exec()', globals())
        finally:
            pass


def sleeping():
    time.sleep(1000000)


WORK = [plain_nest, recursion, generator_chain, pipeline, coroutine_chain, event_loop, callbacks,
        constructors, constructor_simple, comprehensions, handlers, sleeping]


def chain(frame):
    while frame:
        code = frame.f_code
        yield 'frame %#x %d %s' % (id(code), frame.f_lasti,
                                   getattr(code, 'co_qualname', code.co_name))
        frame = frame.f_back


def report():
    sys.stdout.write('blocked %d %d\n' % (PIPE, len(WORK) + 2))
    sys.stdout.flush()
    os.read(0, 1)
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    lines = []
    for ident, frame in sys._current_frames().items():
        if ident != threading.get_ident():
            frames = list(chain(frame))
            lines.append('thread %d %s %d' % (ident, names[ident], len(frames)))
            lines += frames
    sys.stdout.write('\n'.join(lines + ['end']) + '\n')
    sys.stdout.flush()
    os.read(0, 1)


def main():
    sys.setrecursionlimit(10000)
    for work in WORK + [report]:
        threading.Thread(target=work, name=work.__name__, daemon=True).start()
    park()


main()
