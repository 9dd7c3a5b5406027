# SPDX-License-Identifier: Apache-2.0
"""Programs that live a moment: their time is attributed from their first line on."""
import signal

import pytest

from harness import without_process
from oracle import describe, illegal

OLDEST = 3, 8
RATE = 1000


def assert_legal(python, target, stacks, name):
    oracle = python.oracle(target)
    own = [(stack, count) for stack, count in stacks
           if any(oracle.ours(frame) and frame.name == name for frame in stack)]
    found = illegal(own, oracle.why_not)
    assert own and not found, describe(found)


def test_launched(python, workshop):
    """A program of a third of a second; its exit status and its output are passed on."""
    recording = workshop.record(rate=RATE, status=7, after=python.command('early.py', '300'))
    assert int(recording.output) >= 300e6
    assert recording.count_of('spin') >= 0.9 * recording.ticks_in(0.3), recording.messages
    assert_legal(python, 'early.py', recording.stacks(), 'spin')


def record_broods(pythons, workshop, brood, count):
    """The recording; {python: ({pid: seconds that the child worked}, its stacks)}"""
    targets = {python: made[brood] for python, made in workshop.crowd(pythons, brood).items()}
    pids = ','.join(str(target.pid) for target in targets.values())
    recorder = workshop.begin('-p', pids, '-s', rate=RATE).sampling()
    for target in targets.values():
        target.process.stdin.write(b'\n')
        target.process.stdin.flush()
        target.signal(signal.SIGCONT)
    told = {python: list(map(int, target.process.stdout.read().split()))
            for python, target in targets.items()}
    recording = recorder.wait().check()
    assert all(len(numbers) == 2 * count for numbers in told.values())
    assert recording.count_of('[unknown function]') == 0, recording.messages
    assert recording.ledger['process unknown'] <= 0.01 * recording.count(), recording.messages
    return recording, {python: {pid: ns / 1e9 for ns, pid in zip(numbers[::2], numbers[1::2])}
                       for python, numbers in told.items()}


@pytest.fixture(scope='module')
def started(pythons, workshop):
    return record_broods(pythons, workshop, 'brood 20 50 pids', 20)


@pytest.fixture(scope='module')
def forked(pythons, workshop):
    return record_broods(pythons, workshop, 'brood 30 20 fork pids', 30)


@pytest.mark.parametrize('how, target, name', [('started', 'early', 'spin'),
                                               ('forked', 'brood', 'forked_spin')],
                         ids=['started', 'forked'])
def test_children_of_a_moment(python, how, target, name, request):
    """At least nine tenths of the CPU time that the children spend in their work, by name and line;
    each is known at its exec, as it is the program that its parent runs."""
    recording, spent = request.getfixturevalue(how)
    mine = spent[python]
    stacks = [(without_process(sample), sample.count) for sample in recording.profile.samples
              if sample.labels.get('pid') in mine]
    found = sum(count for stack, count in stacks
                if any(frame.name == name and frame.line for frame in stack))
    assert found >= 0.9 * recording.ticks_in(sum(mine.values())), \
        f'{found} samples of {sum(mine.values()):.3f} s\n{recording.messages}'
    assert_legal(python, target + '.py', stacks, name)
