# SPDX-License-Identifier: Apache-2.0
"""Threads in hard cases, one function each: argv[1] says which.

    released   the lock given up inside C code, which works, beside a thread that runs Python
    many       1000 threads that wait and two that work
    brief      threads that live about a millisecond, one after the other
    forked     a fork, without exec, of a process with threads
    greenlets  two greenlets that switch all the time
"""
# -> @thread released_work python_work wait brief_work
import os
import signal
import sys
import threading
import time
import zlib

DATA = b'x' * (1 << 22)
NEVER = threading.Event()
# Set when the target is ready: 2.7 can keep a thread that wants the lock from a busy one waiting for
# minutes, so none is busy before.
GO = threading.Event()


def released_work():
    GO.wait()
    while True:
        zlib.crc32(DATA)


def python_work():
    GO.wait()
    while True:
        add_up(50)  # -> add_up


def add_up(n):
    total = 0
    for i in range(n):
        total += i
    return total


def wait():
    NEVER.wait()


def brief_work(end):
    while time.time() < end:
        add_up(20)  # -> add_up


def start(function, *args):
    thread = threading.Thread(target=function, args=args, name=function.__name__)
    thread.daemon = True
    thread.start()
    return thread


def ready():
    os.write(1, b'ready\n')
    GO.set()


def released():
    start(released_work)
    start(python_work)
    ready()
    NEVER.wait()


def many():
    threading.stack_size(256 * 1024)
    for i in range(1000):
        start(wait)
        if i in (10, 990):
            start(python_work)
    ready()
    NEVER.wait()


def brief():
    ready()
    while True:
        start(brief_work, time.time() + 0.001).join()  # -> start


def forked():
    start(python_work)
    start(wait)
    if not os.fork():
        child_work()  # -> child_work
    ready()
    NEVER.wait()


def child_work():
    while os.getppid() != 1:
        add_up(50)  # -> add_up


def greenlet_one():
    while True:
        for _ in range(3):
            add_up(3)  # -> add_up
        two.switch()


def greenlet_two():
    while True:
        deeper(5)  # -> deeper


def deeper(n):
    if n:
        return deeper(n - 1)  # -> deeper
    return one.switch()


def greenlets():
    import greenlet
    global one, two
    one, two = greenlet.greenlet(greenlet_one), greenlet.greenlet(greenlet_two)
    ready()
    one.switch()  # -> greenlet_one greenlet_two


signal.alarm(300)
globals()[sys.argv[1]]()  # -> released many brief forked greenlets
