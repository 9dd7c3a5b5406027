# SPDX-License-Identifier: Apache-2.0
"""Start argv[1] children one after another, each of which works argv[2] ms.

The children are early.py, started afresh, or with the word `fork` forked from here. Each says on a
line how many nanoseconds of CPU time its work took; with the word `pids` its pid follows on another.
Begins when a line comes in.
"""
import os
import subprocess
import sys
import time


def forked_spin(end):
    total = 0
    while time.thread_time() < end:
        total += work(200)  # -> work
    return total


def work(n):
    total = 0
    for i in range(n):
        total += i
    return total


def fork_one(seconds):
    pid = os.fork()
    if not pid:
        begin = time.thread_time()
        forked_spin(begin + seconds)  # -> forked_spin
        os.write(1, b'%d\n' % ((time.thread_time() - begin) * 1e9))
        os._exit(0)
    os.waitpid(pid, 0)
    return pid


def start_one(milliseconds):
    path = os.path.join(os.path.dirname(sys.argv[0]), 'early.py')
    child = subprocess.Popen([sys.executable, '-S', '-B', path, milliseconds])
    child.wait()
    return child.pid


def main():
    count, milliseconds = int(sys.argv[1]), sys.argv[2]
    os.write(1, b'ready\n')
    sys.stdin.readline()
    for _ in range(count):
        if 'fork' in sys.argv:
            pid = fork_one(int(milliseconds) / 1000.0)  # -> fork_one
        else:
            pid = start_one(milliseconds)  # -> start_one
        if 'pids' in sys.argv:
            os.write(1, b'%d\n' % pid)


main()  # -> main
