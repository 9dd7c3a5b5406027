# SPDX-License-Identifier: Apache-2.0
"""Which thread state is whose: states that move between threads, threads that Python does not know,
threads without any state, and interpreters beside the main one."""
import collections
import os
import subprocess

import pytest

from harness import TARGETS
from test_embedded import SHARED, version


@pytest.fixture(scope='module')
def states(tmp_path_factory):
    path = str(tmp_path_factory.mktemp('states') / 'states')
    subprocess.run(['cc', '-O2', '-o', path, os.path.join(TARGETS, 'states.c'), '-ldl', '-lpthread'],
                   check=True)
    return path


def by_thread(recording):
    """{tid: {names of functions on its stacks}}"""
    found = collections.defaultdict(set)
    for sample in recording.profile.samples:
        found[sample.labels['thread_id']] |= {frame.name for frame in sample.stack}
    return found


# A thread's outermost frame before its first traceable instruction: CPython shows none there either.
NOT_BEGUN = '[no Python frames]'


def record_case(states, workshop, host, case):
    target = workshop.adopt([states, host.prefix, host.library, case])
    return target, workshop.record('-p', target.pid, rate=999, seconds=1)


@pytest.mark.parametrize('case', ['foreign', 'ensure'])
@pytest.mark.parametrize('host', SHARED, ids=map(version, SHARED))
def test_moved(host, case, states, workshop):
    """Each worker with its own function, and the first thread, who made the states, with none."""
    target, recording = record_case(states, workshop, host, case)
    found = by_thread(recording)
    assert target.pid not in found, found
    assert sorted((names - {NOT_BEGUN} for names in found.values()), key=sorted) == [
        {'<module>', 'worker_one'}, {'<module>', 'worker_two'}], found
    assert recording.count() > 50, recording.messages
    assert recording.count_of(NOT_BEGUN) <= max(2, 0.01 * recording.count()), recording.messages
    for stack, _ in recording.stacks():
        assert [frame.name for frame in stack] in (
            ['<module>'], ['<module>', 'worker_one'], ['<module>', 'worker_two'],
            [NOT_BEGUN]), stack
    # What ran Python is not given up: the first thread, in C, has half of the two CPUs or more.
    lost = recording.ledger['torn'] + recording.ledger['ring full']
    assert lost <= 0.01 * recording.count(), recording.messages


@pytest.mark.parametrize('host', SHARED[-1:], ids=map(version, SHARED[-1:]))
def test_native_threads(host, states, workshop):
    target, recording = record_case(states, workshop, host, 'native')
    assert set(by_thread(recording)) <= {target.pid}
    assert recording.ledger['no Python state'] > 50, recording.messages


@pytest.mark.parametrize('target', ['interpreters'])
def test_interpreters(python, target, workshop):
    """Each thread with the stack of the interpreter that runs on it, and with its number."""
    target = workshop.start(python, target + '.py')
    recording = workshop.record('-p', target.pid, rate=999, seconds=1)
    found = collections.Counter()
    for sample in recording.profile.samples:
        names = [frame.name for frame in sample.stack]
        label = sample.labels['thread'].partition(' [interpreter ')[2].rstrip(']')
        if 'in_sub' in names or 'in_main' in names:
            found[names[-1] if names[-1] in ('in_sub', 'in_main') else names[-2], label] += 1
            assert len({'in_sub', 'in_main'} & set(names)) == 1, names
        if 'in_sub' in names:
            assert names == ['<module>', 'in_sub'][:len(names)], names
    numbers = {number for name, number in found if name == 'in_sub'}
    assert set(found) == {('in_main', '')} | {('in_sub', number) for number in numbers}
    assert len(numbers) == 2 and '' not in numbers, found
