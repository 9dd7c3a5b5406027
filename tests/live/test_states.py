# SPDX-License-Identifier: Apache-2.0
"""Which thread state is whose: states that move between threads, threads that Python does not know,
threads without any state, and interpreters beside the main one."""
import collections
import os
import signal
import subprocess

import pytest

from harness import TARGETS, without_process
from test_embedded import SHARED, version


@pytest.fixture(scope='module')
def states(tmp_path_factory):
    path = str(tmp_path_factory.mktemp('states') / 'states')
    subprocess.run(['cc', '-O2', '-o', path, os.path.join(TARGETS, 'states.c'), '-ldl', '-lpthread'],
                   check=True)
    return path


def by_thread(recording, pid):
    """{tid: {names of functions on its stacks}}"""
    found = collections.defaultdict(set)
    for sample in recording.profile.samples:
        if sample.labels['pid'] == pid:
            found[sample.labels['thread_id']] |= {frame.name for frame in without_process(sample)}
    return found


# A thread's outermost frame before its first traceable instruction: CPython shows none there either.
NOT_BEGUN = '[no Python frames]'


CASES = 'foreign', 'ensure'


@pytest.fixture(scope='module', params=SHARED, ids=map(version, SHARED))
def moved(request, states, workshop):
    """The recording; {case: pid}"""
    host = request.param
    targets = {case: workshop.adopt([states, host.prefix, host.library, case]) for case in CASES}
    for target in targets.values():
        target.signal(signal.SIGSTOP)
    recording = workshop.record_work(targets.values(), 0.7, rate=999)
    workshop.clear()
    # What ran Python is not given up: the first thread, in C, has half of the two CPUs or more.
    lost = recording.ledger['torn'] + recording.ledger['ring full']
    assert lost <= 0.01 * recording.count(), recording.messages
    return recording, {case: target.pid for case, target in targets.items()}


@pytest.mark.parametrize('case', CASES)
def test_moved(case, moved):
    """Each worker with its own function, and the first thread, who made the states, with none."""
    recording, pid = moved[0], moved[1][case]
    found = by_thread(recording, pid)
    assert pid not in found, found
    assert sorted((names - {NOT_BEGUN} for names in found.values()), key=sorted) == [
        {'<module>', 'worker_one'}, {'<module>', 'worker_two'}], found
    assert recording.count(pid) > 50, recording.messages
    assert recording.count_of(NOT_BEGUN, pid) <= max(2, 0.01 * recording.count(pid)), \
        recording.messages
    for stack, _ in recording.stacks(pid):
        assert [frame.name for frame in stack] in (
            ['<module>'], ['<module>', 'worker_one'], ['<module>', 'worker_two'],
            [NOT_BEGUN]), stack


@pytest.mark.parametrize('host', SHARED[-1:], ids=map(version, SHARED[-1:]))
def test_native_threads(host, states, workshop):
    target = workshop.adopt([states, host.prefix, host.library, 'native'])
    recording = workshop.record('-p', target.pid, rate=999, seconds=1)
    assert set(by_thread(recording, target.pid)) <= {target.pid}
    assert recording.ledger['no Python state'] > 50, recording.messages


@pytest.fixture(scope='module')
def interpreters(pythons, workshop):
    """{python: its samples}"""
    targets = {python: made['interpreters']
               for python, made in workshop.crowd(pythons, 'interpreters').items()}
    recording = workshop.record_work(targets.values(), 0.7, rate=999)
    workshop.clear()
    return {python: [sample for sample in recording.profile.samples
                     if sample.labels['pid'] == target.pid] for python, target in targets.items()}


@pytest.mark.parametrize('target', ['interpreters'])
def test_interpreters(python, target, interpreters):
    """Each thread with the stack of the interpreter that runs on it, and with its number."""
    found = collections.Counter()
    for sample in interpreters[python]:
        names = [frame.name for frame in without_process(sample)]
        label = sample.labels['thread'].partition(' [interpreter ')[2].rstrip(']')
        if 'in_sub' in names or 'in_main' in names:
            found[names[-1] if names[-1] in ('in_sub', 'in_main') else names[-2], label] += 1
            assert len({'in_sub', 'in_main'} & set(names)) == 1, names
        if 'in_sub' in names:
            assert names == ['<module>', 'in_sub'][:len(names)], names
    numbers = {number for name, number in found if name == 'in_sub'}
    assert set(found) == {('in_main', '')} | {('in_sub', number) for number in numbers}
    assert len(numbers) == 2 and '' not in numbers, found
