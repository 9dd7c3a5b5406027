# SPDX-License-Identifier: Apache-2.0
"""Processes that are born, change and end in every order there is."""
import collections
import json
import re
import signal

import pytest

from harness import find_interpreters, work


def functions(recording, pid):
    """Samples by function on the stack, of one process."""
    found = collections.Counter()
    for stack, count in recording.stacks(pid):
        found.update({frame.name: count for frame in stack})
    return found


@pytest.fixture(scope='module')
def orphans(pythons, workshop):
    """The recording; {python: pids by what became of them}"""
    targets = {python: made['orphans']
               for python, made in workshop.crowd(pythons, 'orphans').items()}
    recorder = workshop.begin('-a', rate=999).sampling()
    for target in targets.values():
        target.signal(signal.SIGCONT)
        target.process.stdin.write(b'\n')
        target.process.stdin.flush()
    pids = {python: json.loads(target.process.stdout.readline())
            for python, target in targets.items()}
    for target in targets.values():
        target.process.wait()
    work(0.2, *(one['orphan'] for one in pids.values()))
    recording = recorder.interrupt().wait().check()
    workshop.clear()
    return recording, pids


def test_orphans_zombies_and_the_killed(python, orphans):
    """Whoever works is shown with what it did, whatever became of it and of its parents."""
    recording, pids = orphans[0], orphans[1][python]
    orphan = functions(recording, pids['orphan'])
    assert orphan['orphan_work'] > 50 and not orphan['killed_work'], recording.messages
    for pid, cpu_s in pids['killed']:
        killed = functions(recording, pid)
        assert cpu_s > 0.05 and killed['killed_work'] > recording.ticks_in(cpu_s) / 3, \
            f'{cpu_s} s\n{recording.messages}'
        assert not killed['orphan_work'], recording.messages
    zombie = functions(recording, pids['zombie'])
    assert not zombie['orphan_work'] and not zombie['killed_work']


def test_tour_of_interpreters(workshop):
    """One process runs one Python after the other, directly and by way of a shell."""
    pythons = [one for one in find_interpreters() if not one.root]
    pythons = pythons[::-1] + pythons[:2]  # both directions of change
    first, others = pythons[0], [one.argv[0] for one in pythons[1:]]
    target = workshop.start(first, 'exec_tour.py', 0.15, 0, *others)
    recorder = workshop.begin('-p', target.pid, rate=999).sampling()
    target.process.stdin.write(b'\n')
    target.process.stdin.flush()
    recording = recorder.wait().check()
    target.process.wait()
    hops = collections.Counter()
    for stack, count in recording.stacks(target.pid):
        here = [frame.name for frame in stack if re.fullmatch(r'hop_\d+', frame.name)]
        assert len(here) <= 1, stack
        if here:
            names = [frame.name for frame in stack]
            assert names[:2] == ['<module>', 'main'], stack
            assert names[names.index(here[0]) + 1:] in ([], ['work']), stack
            hops[here[0]] += count
    # No exec is missed, and none of them lends its function to another.
    assert set(hops) == {f'hop_{n}' for n in range(len(pythons))}, (hops, recording.messages)
    assert min(hops.values()) > 10, (hops, recording.messages)
