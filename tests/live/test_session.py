# SPDX-License-Identifier: Apache-2.0
"""The collector under stress: stopped, flooded, its targets ending and pids changing hands."""
import collections
import contextlib
import json
import os
import re
import signal
import time

import pytest

from conftest import CHAINS, newest
from harness import READY_S, find_interpreters, work
from shapes import WORKS

OLDEST = 3, 8
UNKNOWN = '[unknown function]'


@contextlib.contextmanager
def stopped(recorder):
    """The collector does not run meanwhile; the kernel side goes on."""
    recorder.interrupt(signal.SIGSTOP)
    yield
    recorder.interrupt(signal.SIGCONT)


def exec_again(target):
    """Have exec_chain.py become another program, and wait until it has."""
    target.process.stdin.write(b'\n')
    target.process.stdin.flush()
    arguments = b''
    while not arguments.endswith(b'\0again\0') or arguments.startswith(b'sh\0'):
        with open(f'/proc/{target.pid}/cmdline', 'rb') as stream:
            arguments = stream.read()
        time.sleep(0.01)


def event(recording, label):
    """How often something happened that is told beside the ledger."""
    match = re.search(rf'^\s*{re.escape(label)}\s+([\d,]+)', recording.messages, re.MULTILINE)
    return int(match.group(1).replace(',', '')) if match else 0


@pytest.fixture(scope='module')
def while_away(pythons, workshop):
    """The recording; {python: {role: pid}}"""
    recorder = workshop.begin('-a', rate=499).sampling()
    found, targets = {}, []
    with stopped(recorder):
        for python in pythons:
            target = workshop.start(python, 'children.py', wait=False)
            found[python] = json.loads(target.process.stdout.readline())
            target.expect('ready')
            target.signal(signal.SIGSTOP)
            targets.append(target)
    for target in targets:
        target.signal(signal.SIGCONT)
    work(0.3, *(pid for pids in found.values() for pid in pids.values()))
    recording = recorder.interrupt().wait().check()
    workshop.clear()
    return recording, found


def test_children_while_away(python, while_away):
    """A program starts and forks before the collector comes round to its exec."""
    recording, found = while_away
    for role, pid in found[python].items():
        assert recording.count_of(WORKS[role], pid) > 50, f'{role}: {recording.messages}'
        names = {frame.name for stack, _ in recording.stacks(pid) for frame in stack}
        assert names & set(WORKS.values()) == {WORKS[role]}, role


@pytest.mark.parametrize('version', CHAINS)
def test_flooded(version, workshop):
    """The ring overflows: every tick is counted, and names lost there come later."""
    python = newest(version)
    flood = workshop.start(python, 'deep.py', 1000)
    # After its exec it is not known, and each of its ticks asks for it: the shortest record there is
    # fills the last gap.
    gap = workshop.start(python, 'exec_chain.py', READY_S)
    late = workshop.start(python, 'flutter.py')
    os.kill(late.pid, signal.SIGSTOP)  # known from the start, but none of its functions is
    recorder = workshop.begin('-a', rate=4999).sampling()
    with stopped(recorder):
        work(0.8, flood.pid, gap.pid)
        exec_again(gap)
        work(0.4, gap.pid)
        for target in (flood, gap):
            os.kill(target.pid, signal.SIGSTOP)
        os.kill(late.pid, signal.SIGCONT)
        work(0.2, late.pid)  # its names find no room
    work(0.5, late.pid)
    recording = recorder.interrupt().wait().check()
    workshop.clear()
    assert recording.ledger['ring full'] > 1000, recording.messages
    assert recording.lost(flood.pid) > recording.lost(late.pid) > 10
    assert event(recording, 'code objects lost, ring full') > 0, recording.messages
    assert recording.count_of('third_a', late.pid) > 100
    assert recording.count_of(UNKNOWN, late.pid) == recording.count_of(UNKNOWN, flood.pid) == 0


@pytest.mark.parametrize('version', CHAINS)
def test_ends_that_nobody_told(version, workshop):
    """Targets exec and end while the ring is full, and nobody reaps them: the recording ends."""
    python = newest(version)
    flood = workshop.start(python, 'deep.py', 1000)
    # After its exec it is not known, and each of its ticks asks for it: that fills the last gap.
    gap = workshop.start(python, 'exec_chain.py', READY_S)
    recorder = workshop.begin('-p', f'{flood.pid},{gap.pid}', rate=4999).sampling()
    with stopped(recorder):
        work(0.8, flood.pid, gap.pid)
        exec_again(gap)
        work(0.4, gap.pid)
        for target in (gap, flood):
            os.kill(target.pid, signal.SIGKILL)
            os.waitid(os.P_PID, target.pid, os.WEXITED | os.WNOWAIT)
    recording = recorder.wait().check()
    assert recording.ledger['ring full'] > 1000, recording.messages
    assert event(recording, 'process events lost, ring full') > 0, recording.messages
    assert recording.count(flood.pid) > 100


@pytest.fixture(scope='module')
def short_threads(pythons, workshop):
    """{python: (samples, what the target says)}; a CPU for each that is recorded"""
    found = {}
    for at in range(0, len(pythons), os.cpu_count()):
        targets = {python: made['short_threads'] for python, made in workshop.crowd(
            pythons[at:at + os.cpu_count()], 'short_threads').items()}
        recording = workshop.record_work(targets.values(), 2, rate=999)
        for python, target in targets.items():
            target.process.stdin.close()
            target.signal(signal.SIGCONT)
            found[python] = ([sample for sample in recording.profile.samples
                              if sample.labels['pid'] == target.pid],
                             target.process.stdout.read())
        workshop.clear()
    return found


def test_short_threads(python, short_threads):
    """A thread that has ended wears neither the name nor the stack of the next one, which has its
    ident and its memory."""
    samples, said = short_threads[python]
    made, again = map(int, said.split())
    assert again > made // 2, f'{again} of {made} idents were used again: tests nothing'
    named = collections.Counter()
    works = collections.defaultdict(set)
    for sample in samples:
        found = [re.fullmatch(r'work_(\d+)', frame.name) for frame in sample.stack]
        number = next((match.group(1) for match in found if match), None)
        name = re.fullmatch(r'name_(\d+)', sample.labels['thread'])
        if number:
            works[sample.labels['thread_id']].add(number)
        if number and name:
            assert name.group(1) == number, f'work_{number} in thread {name.group(0)}'
            named[number] += sample.count
    assert len(named) > 3, named
    assert len(works) > made // 2, f'{len(works)} of {made} threads were met'
    assert all(len(numbers) == 1 for numbers in works.values()), works


def test_taken_down(one_python, workshop):
    """What the kernel does for a process after its end is nobody's Python stack."""
    target = workshop.start(one_python, 'large.py', 600)
    recorder = workshop.begin('-a', rate=4999).sampling()
    work(0.3, target.pid)
    target.finish()
    recording = recorder.interrupt().wait().check()
    assert recording.ledger['exiting'] > 20, recording.messages
    leaves = collections.Counter(stack[-1].name for stack, _ in recording.stacks(target.pid))
    assert set(leaves) <= {'spin', '<module>'}, leaves


@pytest.fixture(scope='module')
def one_python():
    """For what has nothing to do with versions."""
    return find_interpreters()[-1]


ONLINE = '/sys/devices/system/cpu/cpu1/online'


@contextlib.contextmanager
def offline(path):
    """A CPU less."""
    try:
        with open(path, 'w', encoding='ascii') as stream:
            stream.write('0')
        yield
    finally:
        with open(path, 'w', encoding='ascii') as stream:
            stream.write('1')


@pytest.mark.skipif(not os.access(ONLINE, os.W_OK), reason='no CPU here can be taken offline')
def test_a_cpu_that_blinks(one_python, workshop):
    """A CPU that is away for a moment only ticks again when it is back."""
    target = workshop.start(one_python, 'flutter.py')
    recorder = workshop.begin('-p', target.pid, rate=499).sampling()
    with offline(ONLINE):
        pass
    os.sched_setaffinity(target.pid, {1})
    work(3, target.pid)
    recording = recorder.interrupt().wait().check()
    # The first second or so is lost: that often the CPUs are looked at.
    assert recording.count(target.pid) > 300, recording.messages
