# SPDX-License-Identifier: Apache-2.0
"""Work under one interpreter after the other, all in one process.

    exec_tour.py SECONDS HOP [INTERPRETER...]

Works in a function named after its hop for so long, then execs the next interpreter, every second one
by way of a shell.
"""
import os
import signal
import sys
import time

SOURCE = '''
def hop_%d(end):
    while time.time() < end:
        work(200)
'''


def work(n):
    total = 0
    for i in range(n):
        total += i
    return total


def main(seconds, hop, others):
    space = {'time': time, 'work': work}
    exec(compile(SOURCE % hop, 'hop_%d.py' % hop, 'exec'), space)
    space['hop_%d' % hop](time.time() + seconds)
    if not others:
        return
    command = [others[0], '-B', sys.argv[0], str(seconds), str(hop + 1)] + others[1:]
    if hop % 2:
        os.execv('/bin/sh', ['sh', '-c', 'exec "$0" "$@"'] + command)
    os.execv(command[0], command)


signal.alarm(300)
if sys.argv[2] == '0':
    os.write(1, b'ready\n')
    os.read(0, 1)
main(float(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
