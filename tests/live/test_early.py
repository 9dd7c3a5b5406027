# SPDX-License-Identifier: Apache-2.0
"""Programs that live a moment: their time is attributed from their first line on."""
import pytest

from oracle import describe, illegal

OLDEST = 3, 8
RATE = 1000


def assert_legal(python, target, recording, name):
    oracle = python.oracle(target)
    own = [(stack, count) for stack, count in recording.stacks()
           if any(oracle.ours(frame) and frame.name == name for frame in stack)]
    found = illegal(own, oracle.why_not)
    assert own and not found, describe(found)


def test_launched(python, workshop):
    """A program of a third of a second; its exit status and its output are passed on."""
    recording = workshop.record(rate=RATE, status=7, after=python.command('early.py', '300'))
    assert int(recording.output) >= 300e6
    assert recording.count_of('spin') >= 0.9 * 0.3 * RATE, recording.messages
    assert_legal(python, 'early.py', recording, 'spin')


@pytest.mark.parametrize('count, milliseconds, how', [(20, 50, ()), (30, 20, ('fork',))],
                         ids=['started', 'forked'])
def test_children_of_a_moment(python, workshop, count, milliseconds, how):
    """At least nine tenths of the CPU time that the children spend in their work, by name and line;
    each is known at its exec, as it is the program that its parent runs."""
    target = workshop.start(python, 'brood.py', count, milliseconds, *how)
    recorder = workshop.begin('-p', target.pid, '-s', rate=RATE).sampling()
    spent = [int(line) for line in target.finish(b'\n').split()]
    recording = recorder.wait().check()
    assert len(spent) == count
    name = 'forked_spin' if how else 'spin'
    found = sum(count for stack, count in recording.stacks()
                if any(frame.name == name and frame.line for frame in stack))
    assert found >= 0.9 * sum(spent) / 1e9 * RATE, \
        f'{found} samples of {sum(spent) / 1e6:.0f} ms\n{recording.messages}'
    assert recording.count_of('[unknown function]') == 0, recording.messages
    assert recording.ledger['process unknown'] <= 0.01 * recording.count(), recording.messages
    assert_legal(python, 'brood.py' if how else 'early.py', recording, name)
