# SPDX-License-Identifier: Apache-2.0
"""spin.py DEPTH COUNTER: keep one CPU busy under exactly DEPTH frames and count the rounds.

The rounds are counted in the first 8 bytes of the file COUNTER, so that the bench can see how fast
this runs without disturbing it. The innermost frame calls nothing written in Python.
"""
import mmap
import struct
import sys


def spin(counter):
    rounds = 0
    while True:
        for _ in range(2000):
            pass
        rounds += 1
        counter[0:8] = struct.pack('=Q', rounds)


def descend(depth, counter):
    if depth:
        descend(depth - 1, counter)
    else:
        spin(counter)


with open(sys.argv[2], 'r+b') as stream:
    # <module>, the frame of depth 0, spin: three frames are there anyway.
    descend(int(sys.argv[1]) - 3, mmap.mmap(stream.fileno(), 8))
