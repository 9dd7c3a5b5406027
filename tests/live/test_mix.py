# SPDX-License-Identifier: Apache-2.0
"""The shares of a known mix of functions against the target's own account of its CPU time."""
import json
import math

OLDEST = 3, 8
SECONDS = 5
POINTS = 1.5  # percentage points


def test_shares(python, workshop):
    target = workshop.start(python, 'mix.py')
    recording = workshop.record('-p', target.pid, rate=999, seconds=SECONDS)
    spent = json.loads(target.finish())
    counts = {name: recording.count_of(name) for name in spent}
    sampled, total = sum(counts.values()), sum(spent.values())
    assert sampled >= recording.expected(target)
    for name, ns in spent.items():
        wanted, got = 100 * ns / total, 100 * counts[name] / sampled
        # On a busy machine the target gets few samples, and chance moves their shares further.
        chance = 4 * math.sqrt(wanted * (100 - wanted) / sampled)
        assert abs(wanted - got) <= max(POINTS, chance), \
            f'{name}: {got:.2f} % of {sampled} samples, {wanted:.2f} % of the CPU time'
    assert sampled >= 0.97 * recording.count(), 'the loop around them costs next to nothing'
