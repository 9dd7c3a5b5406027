# SPDX-License-Identifier: Apache-2.0
"""Which processes are recorded, and that each gets its own stacks: several, late ones, children,
those that exec, and one that is killed."""
import json
import os
import signal
import time

from oracle import describe, illegal


OLDEST = 3, 8


def assert_legal(python, target, stacks):
    oracle = python.oracle(target)
    # What runs before the target's first line (imports, site) and after its end is not its own.
    own = [(stack, count) for stack, count in stacks
           if any(oracle.ours(frame) for frame in stack)]
    own = [(stack, count) for stack, count in own
           if all(oracle.ours(frame) or frame.file == 'threading.py' for frame in stack)]
    found = illegal(own, oracle.why_not)
    assert own and not found, describe(found)


def test_two_at_once(python, workshop):
    """Each sample belongs to the process whose program it shows; a third process is not shown."""
    names = ('flutter', 'recursion', 'callbacks')
    targets = {name: workshop.start(python, name + '.py') for name in names}
    pids = {name: target.pid for name, target in targets.items()}
    recording = workshop.record('-p', f'{pids["flutter"]},{pids["recursion"]}', rate=999, seconds=2)
    workshop.clear()
    for name in names[:2]:
        stacks = recording.stacks(pids[name])
        assert sum(count for _, count in stacks) >= recording.expected(targets[name])
        assert {os.path.basename(stack[0].file) for stack, _ in stacks} == {name + '.py'}
    assert recording.count(pids['callbacks']) == 0
    assert recording.ledger['not selected'] >= recording.expected(targets['callbacks'])


def test_all_and_a_late_one(python, workshop):
    """-a records what runs already and what starts later."""
    early = workshop.start(python, 'flutter.py')
    recorder = workshop.begin('-a', rate=999).sampling()
    late = workshop.start(python, 'generators.py')
    time.sleep(1.5)  # to be recorded; not to wait for anything
    recording = recorder.interrupt().wait().check()
    workshop.clear()
    for target, name in ((early, 'flutter.py'), (late, 'generators.py')):
        assert recording.count(target.pid) > 20, recording.messages
        assert_legal(python, name, recording.stacks(target.pid))


def test_exec(python, workshop):
    """Python, then a shell, then Python: both programs under the one pid, and nothing mixed."""
    target = workshop.start(python, 'exec_chain.py', 60)
    recorder = workshop.begin('-p', target.pid, rate=999).sampling()
    workshop.until_cpu(target, 0.3)
    target.process.stdin.write(b'\n')
    target.process.stdin.flush()
    workshop.until_cpu(target, 0.5)
    recording = recorder.interrupt().wait().check()
    workshop.clear()
    one, two = (recording.count_of(name, target.pid) for name in ('stage_one', 'stage_two'))
    assert one > 10 and two > 10, recording.messages
    assert one + two > 0.5 * recording.count(), recording.messages
    assert_legal(python, 'exec_chain.py', recording.stacks())


WORKS = {'parent': 'parent_work', 'forked': 'forked_work', 'started': 'started_work',
         'grandchild': 'grandchild_work'}


def test_children(python, workshop):
    """-s: children and their children, forked or started; without it none of them."""
    target = workshop.start(python, 'children.py', wait=False)
    pids = json.loads(target.process.stdout.readline())
    target.expect('ready')
    recording, alone = workshop.record_all([(('-p', target.pid, '-s'), {'rate': 999, 'seconds': 2}),
                                            (('-p', target.pid), {'rate': 999, 'seconds': 2})])
    workshop.clear()
    for role, pid in pids.items():
        assert recording.count_of(WORKS[role], pid) > 10, role
        assert recording.count_of(WORKS[role]) == recording.count_of(WORKS[role], pid), role
    assert_legal(python, 'children.py', recording.stacks())
    assert alone.count(pids['parent']) == alone.count() > 10


def test_killed(python, workshop):
    """The profile of a target that is killed is written, without being asked to end."""
    target = workshop.start(python, 'flutter.py')
    recorder = workshop.begin('-p', target.pid, rate=999).sampling()
    time.sleep(0.5)  # to be recorded
    os.kill(target.pid, signal.SIGKILL)
    recording = recorder.wait().check()
    assert recording.count(target.pid) > 10
    assert_legal(python, 'flutter.py', recording.stacks())
