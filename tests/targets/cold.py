# SPDX-License-Identifier: Apache-2.0
"""Work at the leaf of a stack whose other frames, and their code, nobody touches.

Forty functions call each other, each with a frame and with code of more than a page.
"""
import os
import signal
import time

DEPTH = 40
LOCALS = 700
SOURCE = '''
def level_%d(functions, n):
    if n < 0:
        %s
    return functions[n + 1](functions, n + 1) + 1
'''


def build():
    functions = []
    for n in range(DEPTH):
        body = '; '.join('x%d = n + %d' % (i, i) for i in range(LOCALS))
        space = {}
        exec(compile(SOURCE % (n, body), 'level_%d.py' % n, 'exec'), space)
        functions.append(space['level_%d' % n])
    return functions + [leaf]


def leaf(functions, n):
    os.write(1, b'ready\n')
    while True:
        end = time.time() + 0.02
        while time.time() < end:
            sum(range(200))


signal.alarm(300)
FUNCTIONS = build()
FUNCTIONS[0](FUNCTIONS, 0)
