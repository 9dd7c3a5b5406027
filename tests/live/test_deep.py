# SPDX-License-Identifier: Apache-2.0
"""Deep stacks: whole up to the limit, beyond it both ends and between them what was left out."""
import collections

KEPT = 1024  # frames of one sample
ROOT = 128  # of them at the root
DEPTHS = (127, 500, 900, 1022, 1023, 2000)


def truncated_shape(full):
    """What is kept of a stack of that many frames."""
    left_out = len(full) - KEPT
    mark = f'[truncated: {left_out} frame{"s" * (left_out > 1)}]'
    return full[:ROOT] + [mark] + full[len(full) - (KEPT - ROOT):]


def test_very_deep(python, workshop):
    """20000: it takes its time, so not at a high rate."""
    target = workshop.start(python, 'deep.py', 20000)
    recording = workshop.record('-p', target.pid, rate=99, seconds=1)
    full = ['<module>'] + ['down'] * 20000 + ['spin']
    shapes = {tuple(frame.name for frame in stack) for stack, _ in recording.stacks(target.pid)}
    assert shapes == {tuple(truncated_shape(full))}
    assert recording.ledger['truncated'] == recording.count() > 0, recording.messages


def test_depths(python, workshop):
    targets = {depth: workshop.start(python, 'deep.py', depth) for depth in DEPTHS}
    recording = workshop.record('-p', ','.join(str(one.pid) for one in targets.values()),
                                rate=1000, seconds=2)
    truncated = 0
    for depth, target in targets.items():
        full = ['<module>'] + ['down'] * depth + ['spin']
        stacks = recording.stacks(target.pid)
        shapes = collections.Counter()
        for stack, count in stacks:
            shapes[tuple(frame.name for frame in stack)] += count
        assert sum(shapes.values()) >= recording.expected(target), depth
        if len(full) > KEPT:
            full = truncated_shape(full)
            truncated += sum(shapes.values())
        assert set(shapes) == {tuple(full)}, \
            f'{depth}: {[(len(shape), shape[ROOT - 1:ROOT + 2]) for shape in shapes]}'
        lines = {frame.line for stack, _ in stacks for frame in stack if frame.name == 'down'}
        assert len(lines) == 2, lines  # the recursion and, at its bottom, the call of spin
        for stack, _ in stacks:
            downs = [frame.line for frame in stack if frame.name == 'down']
            assert len(set(downs[:-1])) == 1 and downs[-1] != downs[0]
    assert recording.ledger['truncated'] == truncated
