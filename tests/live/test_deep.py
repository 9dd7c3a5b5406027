# SPDX-License-Identifier: Apache-2.0
"""Deep stacks: whole up to the limit, beyond it both ends and between them what was left out."""
import collections

import pytest

from shapes import KEPT, ROOT, truncated_shape

DEPTHS = (127, 500, 900, 1022, 1023, 2000)


@pytest.fixture(scope='module')
def very_deep(pythons, workshop):
    """20000: it takes its time, so not at a high rate. The recording; {python: target}"""
    targets = {python: next(iter(made.values()))
               for python, made in workshop.crowd(pythons, 'deep 20000').items()}
    recording = workshop.record_work(targets.values(), 0.4, rate=99)
    workshop.clear()
    assert recording.ledger['truncated'] == recording.count(), recording.messages
    return recording, targets


def test_very_deep(python, very_deep):
    recording, targets = very_deep
    full = ['<module>'] + ['down'] * 20000 + ['spin']
    stacks = recording.stacks(targets[python].pid)
    assert {tuple(frame.name for frame in stack) for stack, _ in stacks} == \
        {tuple(truncated_shape(full))}
    assert recording.met(targets[python].pid) >= recording.expected(targets[python])


@pytest.fixture(scope='module')
def deep(pythons, workshop):
    """The recording; {python: {depth: target}}"""
    names = [f'deep {depth}' for depth in DEPTHS]
    made = workshop.crowd(pythons, *names)
    recording = workshop.record_work([one for them in made.values() for one in them.values()], 0.3,
                                     rate=499)
    workshop.clear()
    pids = {them[name].pid for them in made.values() for name, depth in zip(names, DEPTHS)
            if depth + 2 > KEPT}
    assert recording.ledger['truncated'] == sum(map(recording.count, pids)), recording.messages
    return recording, {python: {depth: them[name] for name, depth in zip(names, DEPTHS)}
                       for python, them in made.items()}


def test_depths(python, deep):
    recording, targets = deep
    for depth, target in targets[python].items():
        full = ['<module>'] + ['down'] * depth + ['spin']
        stacks = recording.stacks(target.pid)
        shapes = collections.Counter()
        for stack, count in stacks:
            shapes[tuple(frame.name for frame in stack)] += count
        # So many of them want the CPU that pitviper may come too late to a ring of long stacks.
        assert recording.met(target.pid) >= recording.expected(target), recording.messages
        assert shapes, depth
        if len(full) > KEPT:
            full = truncated_shape(full)
        assert set(shapes) == {tuple(full)}, \
            f'{depth}: {[(len(shape), shape[ROOT - 1:ROOT + 2]) for shape in shapes]}'
        lines = {frame.line for stack, _ in stacks for frame in stack if frame.name == 'down'}
        assert len(lines) == 2, lines  # the recursion and, at its bottom, the call of spin
        for stack, _ in stacks:
            downs = [frame.line for frame in stack if frame.name == 'down']
            assert len(set(downs[:-1])) == 1 and downs[-1] != downs[0]
