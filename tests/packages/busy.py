# SPDX-License-Identifier: Apache-2.0
"""A program that works for a second."""
import time


def busy(end):
    total = 0
    while time.time() < end:
        total += 1
    return total


busy(time.time() + 1)
