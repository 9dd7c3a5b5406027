# SPDX-License-Identifier: Apache-2.0
"""Programs that live a moment: their time is attributed from their first line on."""
import pytest

from oracle import describe, illegal

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
    """At least nine tenths of the CPU time that the children spend in their work."""
    command = python.command('brood.py', str(count), str(milliseconds), *how)
    recording = workshop.record('-s', rate=RATE, after=command, feed=b'\n')
    name = 'forked_spin' if how else 'spin'
    wanted = count * milliseconds * RATE / 1000
    assert recording.count_of(name) >= 0.9 * wanted, \
        f'{recording.count_of(name)} samples of {wanted}\n{recording.messages}'
    assert_legal(python, 'brood.py' if how else 'early.py', recording, name)
