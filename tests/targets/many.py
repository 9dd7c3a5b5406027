# SPDX-License-Identifier: Apache-2.0
"""Many short children, one after the other, each forked at the end of a long row of functions.

    many.py COUNT SECONDS

Begins at the first line of its input. Says `half` when half of them have ended and goes on at the next
line, and `done` in the end.
"""
import os
import signal
import sys
import time

ROW = 60


def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(100))


def spawn(count, seconds):
    for _ in range(count):
        pid = os.fork()
        if not pid:
            burn(seconds)
            os._exit(0)
        os.waitpid(pid, 0)


def say(word):
    os.write(1, word + b'\n')
    sys.stdin.readline()


def main(count, seconds):
    for word in b'half', b'done':
        spawn(count // 2, seconds)
        say(word)


def row(last):
    """A function that calls one that calls one ... that calls `last`: each another one."""
    for number in range(ROW):
        space = dict(call=last)
        exec('def step_%d(*arguments):\n    call(*arguments)\n' % number, space)
        last = space['step_%d' % number]
    return last


signal.alarm(300)
say(b'ready')
row(main)(int(sys.argv[1]), float(sys.argv[2]))
