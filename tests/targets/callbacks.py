# SPDX-License-Identifier: Apache-2.0
"""Python called from C in the middle of the stack, and calls that CPython specializes."""
import functools
import os
import re
import signal

WORDS = 'the quick brown fox jumps over the lazy dog'.split()
PATTERN = re.compile('o')


def by_length(word):
    return spin(len(word))  # -> spin


def spin(n):
    total = 0
    for i in range(n):
        total += i
    return total


def add(left, right):
    return left + spin(right)  # -> spin


def replace(match):
    spin(3)  # -> spin
    return match.group(0)


class Point(object):
    def __init__(self, x):
        self.x = x
        self.spun = spin(x)  # -> spin

    @property
    def double(self):
        return spin(self.x) * 2  # -> spin

    def __add__(self, other):
        return spin(other)  # -> spin

    def __getitem__(self, index):
        if index > 3:
            raise IndexError(index)
        return spin(index)  # -> spin

    def __getattr__(self, name):
        return spin(5)  # -> spin


class Child(Point):
    def __init__(self, x):
        super(Child, self).__init__(x)  # -> Point.__init__
        self.child = True


def numbers(n):
    for i in range(n):
        yield spin(i)  # -> spin


def sort():
    return sorted(WORDS, key=by_length)  # -> by_length


def fold():
    return functools.reduce(add, range(6))  # -> add


def substitute():
    return PATTERN.sub(replace, 'oxo')  # -> replace


def construct():
    point = Point(4)  # -> Point.__init__
    child = Child(3)  # -> Child.__init__
    return point.x + child.x


def attributes():
    point = POINT
    total = point.double  # -> Point.double
    total += point.missing  # -> Point.__getattr__
    total += point + 4  # -> Point.__add__
    total += point[2]  # -> Point.__getitem__
    return total


def gather():
    return list(numbers(4))  # -> numbers


def comprehend():
    return [  # -> <listcomp>
        spin(i)  # -> spin
        for i in range(4)]  # before 3.8 -> <listcomp> <listcomp>:spin  # 2.7 -> spin


def summed():
    return sum(  # -> <genexpr>
        spin(i)  # -> spin
        for i in range(4))  # before 3.8 -> <genexpr> <genexpr>:spin


def mapped():
    return list(map(  # -> <lambda>
        lambda i: spin(i),  # -> spin
        range(3)))  # before 3.8 -> <lambda>


def indirect():
    return functools.partial(add, 1)(2)  # -> add


def main():
    while True:
        sort()  # -> sort
        fold()  # -> fold
        substitute()  # -> substitute
        construct()  # -> construct
        attributes()  # -> attributes
        gather()  # -> gather
        comprehend()  # -> comprehend
        summed()  # -> summed
        mapped()  # -> mapped
        indirect()  # -> indirect


POINT = Point(3)  # -> Point.__init__
signal.alarm(300)
os.write(1, b'ready\n')
main()  # -> main
