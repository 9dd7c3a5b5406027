# SPDX-License-Identifier: Apache-2.0
"""Functions with 70, 20 and 10 % of the work, which keep the account of their own CPU time.

Slices of 0.3 to 3 ms in an order without a period, so that no timer can run in step with them. On
the end of its input it prints a JSON object: nanoseconds by function.
"""
import json
import os
import random
import select
import signal
import time

SPENT = {'work_a': 0, 'work_b': 0, 'work_c': 0}
PARTS = ['work_a'] * 7 + ['work_b'] * 2 + ['work_c']


def work_a(n):
    total = 0
    for i in range(n):
        total += i & 3
    return total


def work_b(n):
    total = 0
    for i in range(n):
        total += i & 3
    return total


def work_c(n):
    total = 0
    for i in range(n):
        total += i & 3
    return total


def one_slice(function, n):
    start = time.thread_time_ns()
    function(n)  # -> work_a work_b work_c
    return time.thread_time_ns() - start


def asked_to_end():
    return bool(select.select([0], [], [], 0)[0])


def main():
    functions = {'work_a': work_a, 'work_b': work_b, 'work_c': work_c}
    random.seed(1)
    while not asked_to_end():  # -> asked_to_end
        for _ in range(50):
            name = random.choice(PARTS)
            loops = random.randrange(5000, 50000)
            SPENT[name] += one_slice(functions[name], loops)  # -> one_slice
    os.write(1, json.dumps(SPENT).encode())


signal.alarm(300)
os.write(1, b'ready\n')
main()  # -> main
