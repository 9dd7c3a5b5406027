# SPDX-License-Identifier: Apache-2.0
"""Processes that lose their parents, or are never waited for, or are killed at work.

The parent forks a child that forks a grandchild and ends at once without being waited for (a zombie),
forks children that it kills at work, prints a JSON object of pids (and of the CPU seconds of those that
it killed), and ends; the grandchild goes on.
"""
import json
import os
import signal
import time

KILLED = 5
WORK_S = 0.1


def orphan_work():
    while True:
        work(200)  # -> work


def killed_work(output):
    """Tells when it has worked for a while."""
    end = sum(os.times()[:2]) + WORK_S
    while True:
        work(200)  # -> work
        if output is not None and sum(os.times()[:2]) > end:
            os.write(output, b'.')
            output = None


def work(n):
    total = 0
    for i in range(n):
        total += i
    return total


def orphan(output):
    """In the child: fork again and end."""
    pid = os.fork()
    if not pid:
        orphan_work()  # -> orphan_work
    os.write(output, b'%d\n' % pid)
    os._exit(0)


def killed():
    source, output = os.pipe()
    pid = os.fork()
    if not pid:
        killed_work(output)  # -> killed_work
    os.read(source, 1)
    os.kill(pid, signal.SIGKILL)
    used = os.wait4(pid, 0)[2]
    return pid, used.ru_utime + used.ru_stime


def main():
    source, output = os.pipe()
    zombie = os.fork()
    if not zombie:
        orphan(output)  # -> orphan
    with os.fdopen(source) as stream:
        pids = {'zombie': zombie, 'orphan': int(stream.readline())}
        pids['killed'] = [killed() for _ in range(KILLED)]  # -> killed <listcomp>
    os.write(1, json.dumps(pids).encode() + b'\n')
    time.sleep(0.2)
    os._exit(0)


signal.alarm(300)
os.write(1, b'ready\n')
os.read(0, 1)
main()  # -> main
