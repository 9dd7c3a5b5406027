# SPDX-License-Identifier: Apache-2.0
"""Work as stage_one for argv[1] seconds or until a line comes in, become a shell by exec, which becomes
a Python again: work as stage_two."""
import os
import select
import signal
import sys
import time


def stage_one(end):
    while time.time() < end and not select.select([0], [], [], 0)[0]:
        work(200)  # -> work


def stage_two():
    while True:
        work(200)  # -> work


def work(n):
    total = 0
    for i in range(n):
        total += i
    return total


signal.alarm(300)
if len(sys.argv) > 2:
    stage_two()  # -> stage_two
os.write(1, b'ready\n')
stage_one(time.time() + float(sys.argv[1]))  # -> stage_one
os.execv('/bin/sh', ['sh', '-c', 'exec "$0" -B "$1" 0 again', sys.executable, sys.argv[0]])
