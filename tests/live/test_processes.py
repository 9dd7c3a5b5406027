# SPDX-License-Identifier: Apache-2.0
"""Which processes are recorded, and that each gets its own stacks: several, late ones, children,
those that exec, and one that is killed."""
import json
import os
import signal

import pytest

from harness import READY_S, work
from shapes import WORKS, assert_legal

OLDEST = 3, 8


def pids_of(targets):
    return ','.join(str(target.pid) for target in targets)


def of_each(made):
    """What crowd() made of one target: {python: target}."""
    return {python: next(iter(targets.values())) for python, targets in made.items()}


@pytest.fixture(scope='module')
def selected(pythons, workshop):
    """The recording of two of three programs of each interpreter, and those."""
    made = workshop.crowd(pythons, 'flutter', 'recursion', 'callbacks')
    recording, = workshop.record_works(
        [targets[name] for targets in made.values() for name in ('flutter', 'recursion')], 0.3,
        [((), {'rate': 999})], beside=[targets['callbacks'] for targets in made.values()])
    workshop.clear()
    assert recording.ledger['not selected'] >= sum(
        recording.expected(targets['callbacks']) for targets in made.values()), recording.messages
    return recording, made


def test_two_at_once(python, selected):
    """Each sample belongs to the process whose program it shows; a third process is not shown."""
    recording, made = selected
    targets = made[python]
    for name in ('flutter', 'recursion'):
        stacks = recording.stacks(targets[name].pid)
        assert sum(count for _, count in stacks) >= recording.expected(targets[name])
        assert {os.path.basename(stack[0].file) for stack, _ in stacks} == {name + '.py'}
    assert recording.count(targets['callbacks'].pid) == 0


@pytest.fixture(scope='module')
def everything(pythons, workshop):
    """The recording of what runs already and of what starts later, and those."""
    early = of_each(workshop.crowd(pythons, 'flutter'))
    recorder = workshop.begin('-a', rate=999).sampling()
    late = of_each(workshop.crowd(pythons, 'generators'))
    for target in (*early.values(), *late.values()):
        target.signal(signal.SIGCONT)
    work(0.3, *(target.pid for target in (*early.values(), *late.values())))
    recording = recorder.interrupt().wait().check()
    workshop.clear()
    return recording, early, late


def test_all_and_a_late_one(python, everything):
    """-a records what runs already and what starts later."""
    recording, early, late = everything
    for target, name in ((early[python], 'flutter.py'), (late[python], 'generators.py')):
        assert recording.count(target.pid) > 20, recording.messages
        assert_legal(python, name, recording.stacks(target.pid))


@pytest.fixture(scope='module')
def execs(pythons, workshop):
    targets = of_each(workshop.crowd(pythons, f'exec_chain {READY_S}'))
    recorder = workshop.begin('-p', pids_of(targets.values()), rate=999).sampling()
    for target in targets.values():
        target.signal(signal.SIGCONT)
    work(0.2, *(target.pid for target in targets.values()))
    for target in targets.values():
        target.process.stdin.write(b'\n')
        target.process.stdin.flush()
    work(0.4, *(target.pid for target in targets.values()))
    recording = recorder.interrupt().wait().check()
    workshop.clear()
    return recording, targets


def test_exec(python, execs):
    """Python, then a shell, then Python: both programs under the one pid, and nothing mixed."""
    recording, targets = execs
    pid = targets[python].pid
    one, two = (recording.count_of(name, pid) for name in ('stage_one', 'stage_two'))
    assert one > 10 and two > 10, recording.messages
    assert one + two > 0.5 * recording.count(pid), recording.messages
    assert_legal(python, 'exec_chain.py', recording.stacks(pid))


@pytest.fixture(scope='module')
def families(pythons, workshop):
    """The recordings with the children and without; {python: {role: pid}}"""
    targets, pids = [], {}
    for python in pythons:
        target = workshop.start(python, 'children.py', wait=False)
        pids[python] = json.loads(target.process.stdout.readline())
        target.expect('ready')
        target.signal(signal.SIGSTOP)
        targets.append(target)
    recordings = workshop.record_works(
        targets, 0.2, [(('-s',), {'rate': 999}), ((), {'rate': 999})],
        children=[pid for roles in pids.values() for pid in roles.values()])
    workshop.clear()
    return *recordings, pids


def test_children(python, families):
    """-s: children and their children, forked or started; without it none of them."""
    recording, alone, pids = families
    mine = pids[python]
    found = []
    for role, pid in mine.items():
        found += recording.stacks(pid)
        assert recording.count_of(WORKS[role], pid) > 10, role
        names = {frame.name for stack, _ in recording.stacks(pid) for frame in stack}
        assert names & set(WORKS.values()) == {WORKS[role]}, role
    assert_legal(python, 'children.py', found)
    assert alone.count(mine['parent']) > 10
    assert alone.count() == sum(alone.count(roles['parent']) for roles in pids.values())


@pytest.fixture(scope='module')
def killed(pythons, workshop):
    targets = of_each(workshop.crowd(pythons, 'flutter'))
    recorder = workshop.begin('-p', pids_of(targets.values()), rate=999).sampling()
    for target in targets.values():
        target.signal(signal.SIGCONT)
    work(0.1, *(target.pid for target in targets.values()))
    for target in targets.values():
        os.kill(target.pid, signal.SIGKILL)
    return recorder.wait().check(), targets


def test_killed(python, killed):
    """The profile of targets that are killed is written, without being asked to end."""
    recording, targets = killed
    assert recording.count(targets[python].pid) > 10
    assert_legal(python, 'flutter.py', recording.stacks(targets[python].pid))
