# SPDX-License-Identifier: Apache-2.0
"""Threads that are hard to follow: many, brief, without the lock, forked, and greenlets."""
import collections
import concurrent.futures
import os
import subprocess

from harness import every_interpreter
from oracle import describe, illegal


def of_target(oracle, stack):
    """Without what the threading module does for the target's calls of it."""
    ours = [at for at, frame in enumerate(stack) if oracle.ours(frame)]
    first = ours[0] if ours else len(stack)
    return stack[:next((at for at in range(first, len(stack)) if not oracle.ours(stack[at])),
                       len(stack))]


def assert_legal(python, recording, pid):
    oracle = python.oracle('hard_threads.py')
    found = illegal([(of_target(oracle, stack), count) for stack, count in recording.stacks(pid)],
                    oracle.why_not)
    assert not found, describe(found)


def by_thread_name(recording, pid):
    found = collections.defaultdict(set)
    for sample in recording.profile.samples:
        if sample.labels['pid'] == pid:
            found[sample.labels['thread']] |= {frame.name for frame in sample.stack}
    return found


def test_cases(python, workshop):
    """All at once: 1000 threads that wait, brief ones, one in C without the lock, a fork."""
    cases = 'released', 'many', 'brief', 'forked'
    made = workshop.crowd([python], *(f'hard_threads {case}' for case in cases))[python]
    recording = workshop.record_waking(made.values(), 0.3, '-s', rate=999)
    pids = {case: target.pid for case, target in zip(cases, made.values())}
    child, = {sample.labels['pid'] for sample in recording.profile.samples} - set(pids.values())
    for pid in [*pids.values(), child]:
        assert_legal(python, recording, pid)
    for case, pid in pids.items():
        assert recording.count(pid) > 5, (case, recording.messages)
    released = by_thread_name(recording, pids['released'])
    assert set(released) == {'released_work', 'python_work'}, released
    assert all(len(set(released) & names) == 1 for names in released.values()), released
    assert set(by_thread_name(recording, pids['many'])) == {'python_work'}
    assert recording.count_of('brief_work', pids['brief']) > 5, recording.messages
    assert recording.count_of('child_work', child) == recording.count(child) > 5
    assert recording.count_of('child_work', pids['forked']) == 0


def has_greenlet(python):
    return not subprocess.run([*python.argv, '-c', 'import greenlet'], stderr=subprocess.DEVNULL,
                              check=False).returncode


def test_greenlets(workshop):
    """Of every interpreter that has them: a Debian suite has them for one or two of its own."""
    usual = [one for one in every_interpreter() if not one.debug and not one.id.endswith('-nopie')]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        able = [python for python, has in zip(usual, pool.map(has_greenlet, usual)) if has]
    assert able
    targets = [target for made in workshop.crowd(able, 'hard_threads greenlets').values()
               for target in made.values()]
    recording = workshop.record_work(targets, 0.5, rate=999)
    for target in targets:
        for name in ('greenlet_one', 'greenlet_two'):
            assert recording.count_of(name, target.pid) > 20, recording.messages
        for stack, _ in recording.stacks(target.pid):
            names = [frame.name for frame in stack]
            assert not {'greenlet_one', 'greenlet_two'} <= set(names), names
    # What is torn is counted: the switch copies C stacks, entry frames of the interpreter with them.
