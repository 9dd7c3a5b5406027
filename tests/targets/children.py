# SPDX-License-Identifier: Apache-2.0
"""A parent that works, with a forked child, a started child and a grandchild that work too.

Prints a JSON object of their pids.
"""
import json
import os
import signal
import subprocess
import sys


def parent_work():
    while True:
        work(200)  # -> work


def forked_work():
    while True:
        work(200)  # -> work


def started_work():
    while True:
        work(200)  # -> work


def grandchild_work():
    while True:
        work(200)  # -> work


def work(n):
    total = 0
    for i in range(n):
        total += i
    return total


def main():
    forked = os.fork()
    if not forked:
        forked_work()  # -> forked_work
    started = subprocess.Popen([sys.executable, '-B', sys.argv[0], 'child'],
                               stdout=subprocess.PIPE)
    grandchild = int(started.stdout.readline())
    pids = {'parent': os.getpid(), 'forked': forked, 'started': started.pid,
            'grandchild': grandchild}
    os.write(1, json.dumps(pids).encode() + b'\nready\n')
    parent_work()  # -> parent_work


def child():
    grandchild = os.fork()
    if not grandchild:
        grandchild_work()  # -> grandchild_work
    os.write(1, b'%d\n' % grandchild)
    started_work()  # -> started_work


signal.alarm(300)
if len(sys.argv) > 1:
    child()  # -> child
else:
    main()  # -> main
