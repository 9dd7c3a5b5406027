# SPDX-License-Identifier: Apache-2.0
"""Every kind of call that CPython has, over and over, in threads named spinner-N (argv[1] of them),
beside nine that wait and one that works in C without the GIL. tests/live/test_matrix.py compares what is sampled with what is traced.
"""
import functools
import os
import re
import signal
import sys
import threading
import zlib

DATA = b'0123456789abcdef' * 4096
WAITING = ['waiter-%d' % i for i in range(9)]
WORDS = 'the quick brown fox jumps over the lazy dog'.split()
PATTERN = re.compile('o')
NEVER = threading.Event()


def spin(n):
    total = 0
    for i in range(n):
        total += i
    return total


def first(n):
    return second(n, spin(n))


def second(n, more):
    result = third(
        n,
        more)
    return result


def third(n, *more, **named):
    while n:
        n -= 1
        spin(2)
    return more


def recursion(n):
    if not n:
        return spin(3)
    return recursion(n - 1) + 1


def numbers(n):
    for i in range(n):
        yield spin(i)


def doubled(items):
    for item in items:
        yield 2 * item


def generators():
    total = 0
    for item in doubled(numbers(5)):
        total += item
    total += sum(numbers(4))
    return total + len(list(doubled(numbers(3))))


def by_length(word):
    return spin(len(word))


def add(left, right):
    return left + spin(right)


def replaced(match):
    spin(3)
    return match.group(0)


def through_c():
    sorted(WORDS, key=by_length)
    functools.reduce(add, range(5))
    PATTERN.sub(replaced, 'oxo')
    list(map(lambda i: spin(i), range(4)))
    return functools.partial(add, 1)(2)


class Base(object):
    def __init__(self, x):
        self.x = x
        self.spun = spin(x)

    @property
    def twice(self):
        return spin(self.x) * 2

    def __getitem__(self, index):
        if index > 2:
            raise IndexError(index)
        return spin(index)

    def __getattr__(self, name):
        return spin(4)

    @staticmethod
    def static(n):
        return spin(n)

    @classmethod
    def made(cls, n):
        return cls(n)


class Derived(Base):
    def __init__(self, x):
        super(Derived, self).__init__(x)
        self.more = spin(x)


def instances():
    one, two = Base(4), Derived.made(3)
    total = one.twice + two.missing + Base.static(3)
    for item in two:
        total += item
    return total


def comprehensions():
    squares = [spin(i) for i in range(4)]
    lengths = {word: spin(2) for word in WORDS[:2]}
    unique = {spin(i) for i in range(3)}
    nested = [[spin(j) for j in range(i)] for i in range(3)]
    return sum(spin(i) for i in squares) + len(lengths) + len(unique) + len(nested)


def doubling(function):
    @functools.wraps(function)
    def wrapper(*args):
        return function(*args) + function(*args)
    return wrapper


@doubling
def decorated(n):
    return spin(n)


def nested(n):
    def inner(m):
        def innermost():
            return spin(n + m)
        return innermost() + 1
    return inner(2) + inner(3)


def handlers():
    try:
        spin(2)
        raise KeyError('x')
    except KeyError:
        spin(3)
    finally:
        spin(1)


WORK = [lambda: first(4), lambda: recursion(12), generators, through_c, instances, comprehensions,
        lambda: decorated(3), lambda: nested(2), handlers]
if sys.version_info >= (3, 6):
    import matrix_new
    WORK += matrix_new.WORK


def work():
    while True:
        for function in WORK:
            function()


def press():
    while True:
        zlib.compress(DATA)


def wait():
    NEVER.wait()


def start(name, function):
    thread = threading.Thread(target=function, name=name)
    thread.daemon = True
    thread.start()


def main():
    for name in WAITING:
        start(name, wait)
    os.write(1, b'ready\n')
    for i in range(int(sys.argv[1]) if len(sys.argv) > 1 else 1):
        start('spinner-%d' % i, work)
    start('presser', press)
    NEVER.wait()


signal.alarm(300)
main()
