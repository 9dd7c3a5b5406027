# SPDX-License-Identifier: Apache-2.0
"""The shares of a known mix of functions against the target's own account of its CPU time."""
import json
import math
import signal

import pytest

OLDEST = 3, 8
SECONDS = 4  # of CPU time
POINTS = 1.5  # percentage points


@pytest.fixture(scope='module')
def recorded(pythons, workshop):
    """The recording of all; {python: (target, what it says of itself)}"""
    targets = {python: made['mix'] for python, made in workshop.crowd(pythons, 'mix').items()}
    recording = workshop.record_work(targets.values(), SECONDS, rate=999)
    for target in targets.values():
        target.process.stdin.close()
        target.signal(signal.SIGCONT)
    told = {python: (target, json.load(target.process.stdout))
            for python, target in targets.items()}
    workshop.clear()
    return recording, told


def test_shares(python, recorded):
    recording, told = recorded
    target, spent = told[python]
    counts = {name: recording.count_of(name, target.pid) for name in spent}
    sampled, total = sum(counts.values()), sum(spent.values())
    assert sampled >= recording.expected(target)
    for name, ns in spent.items():
        wanted, got = 100 * ns / total, 100 * counts[name] / sampled
        # On a busy machine the target gets few samples, and chance moves their shares further.
        chance = 4 * math.sqrt(wanted * (100 - wanted) / sampled)
        assert abs(wanted - got) <= max(POINTS, chance), \
            f'{name}: {got:.2f} % of {sampled} samples, {wanted:.2f} % of the CPU time'
    assert sampled >= 0.97 * recording.count(target.pid), 'the loop around them costs next to nothing'
