# SPDX-License-Identifier: Apache-2.0
"""Targets in namespaces, chroots and cgroups of their own; pitviper outside of them and inside."""
import os
import re
import signal
import subprocess

import pytest

from conftest import INTERPRETERS
from oracle import describe, illegal

UNSHARED = ['unshare', '--pid', '--fork', '--kill-child', '--mount-proc', '--net', '--uts', '--ipc',
            '--user', '--map-root-user']
PYTHONS = [one for one in INTERPRETERS if not one.root][-1:] + \
          [one for one in INTERPRETERS if one.root][-1:]


def children(pid):
    with open(f'/proc/{pid}/task/{pid}/children', encoding='ascii') as stream:
        return [int(child) for child in stream.read().split()]


class Inside:
    """A target that is the first process of its own pid namespace."""

    def __init__(self, workshop, python, target, before=()):
        self.workshop = workshop
        self.unshare = workshop.adopt([*UNSHARED, *before, *python.command(target)])
        self.pid, = children(self.unshare.pid)
        self.before = ('nsenter', '-t', str(self.pid), '--pid', '--mount')

    def ps(self, *arguments):
        """What pitviper says in there: {pid: row}."""
        done = subprocess.run([*self.before, self.workshop.pitviper, 'ps', *arguments],
                              stdout=subprocess.PIPE, text=True)
        return {int(line.split()[0]): line for line in done.stdout.splitlines()[1:]}

    def record(self, *arguments, **options):
        return self.workshop.record(*arguments, before=self.before, **options)


def assert_flutter(python, stacks):
    oracle = python.oracle('flutter.py')
    found = illegal(stacks, oracle.why_not)
    assert not found, describe(found)


@pytest.mark.parametrize('contained', PYTHONS, ids=[one.id for one in PYTHONS])
def test_from_outside(contained, workshop):
    """It is known by the pid that we see."""
    python = contained
    inside = Inside(workshop, python, 'flutter.py')
    listed = subprocess.run([workshop.pitviper, 'ps'], stdout=subprocess.PIPE, text=True).stdout
    row = re.search(rf'^ *{inside.pid} .*', listed, flags=re.M)
    assert row and '.'.join(map(str, python.version)) in row.group() and 'supported' in row.group()
    recording = workshop.record('-p', inside.pid, rate=999, seconds=1)
    assert recording.count(inside.pid) > 50, recording.messages
    assert {sample.labels['thread_id'] for sample in recording.profile.samples} == {inside.pid}
    assert_flutter(python, recording.stacks(inside.pid))


def test_from_inside(workshop):
    """Pids are those of in there, and nobody outside is seen."""
    python = PYTHONS[0]
    outside = workshop.start(python, 'generators.py')
    inside = Inside(workshop, python, 'flutter.py')
    listed = inside.ps()
    assert set(listed) == {1} and 'supported' in listed[1]
    assert set(inside.ps('-p', '1')) == {1}
    recording = inside.record('-p', 1, rate=999, seconds=1)
    assert recording.count(1) > 50, recording.messages
    assert {sample.labels['thread_id'] for sample in recording.profile.samples} == {1}
    assert_flutter(python, recording.stacks(1))
    everything = inside.record('-a', rate=999, seconds=1)
    assert everything.count(1) == everything.count() > 50, everything.messages
    assert everything.count_of('sink') == everything.count_of('consume') == 0
    assert everything.ledger['not selected'] > 50, everything.messages
    missing = workshop.begin('-p', outside.pid, before=inside.before).wait()
    assert missing.status == 3 and 'no process' in missing.messages


def test_life_inside(workshop):
    """Forks, threads and programs that start in there while it is recorded."""
    python = PYTHONS[0]
    inside = Inside(workshop, python, 'flutter.py')
    work = ('import os, threading\nparent = os.getpid()\n'
            'def forked():\n while os.getppid() == parent: pass\n'
            'def threaded():\n while True: pass\n'
            'if os.fork() == 0: os._exit(forked())\n'
            'threading.Thread(target=threaded, name="named").start()\n'
            'import time; time.sleep(1.5); os._exit(3)')
    recording = inside.record('-a', rate=999, status=3, after=[*python.argv, '-c', work])
    assert recording.count_of('forked') > 20 and recording.count_of('threaded') > 20, \
        recording.messages
    pids = {sample.labels['pid'] for sample in recording.profile.samples}
    assert max(pids) < 100, pids
    names = {sample.labels['thread'] for sample in recording.profile.samples}
    assert 'named' in names, names
    children_too = inside.record('-s', rate=999, status=3, after=[*python.argv, '-c', work])
    assert children_too.count_of('forked') > 20, children_too.messages
    assert children_too.count_of('first_a') == 0


def test_wrong_proc(workshop):
    """A /proc of another namespace would name other processes by the same numbers."""
    done = subprocess.run(['unshare', '--pid', '--fork', workshop.pitviper, 'record', '-a', '-d', '1',
                           '-o', workshop.output()], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 6 and 'mount -t proc' in done.stderr, done.stderr
    done = subprocess.run(['unshare', '--pid', '--fork', workshop.pitviper, 'doctor'],
                          stdout=subprocess.PIPE, text=True)
    assert re.search('pid namespace.*/proc shows', done.stdout), done.stdout
    done = subprocess.run(['unshare', '--pid', '--fork', '--mount-proc', workshop.pitviper, 'doctor'],
                          stdout=subprocess.PIPE, text=True)
    assert re.search('ok.*pid namespace.*this container only', done.stdout), done.stdout


def memory_group():
    """A new memory cgroup."""
    for root in ('/sys/fs/cgroup/memory', '/sys/fs/cgroup/unified', '/sys/fs/cgroup'):
        if os.path.exists(os.path.join(root, 'cgroup.procs')):
            path = os.path.join(root, f'pitviper-test-{os.getpid()}')
            os.mkdir(path)
            return path
    raise AssertionError('no cgroup file system')


def test_memory_cgroup(workshop):
    """What the profiler keeps is not charged to the target, nor does the limit stop it."""
    python = PYTHONS[0]
    target = workshop.start(python, 'flutter.py')
    group = memory_group()
    try:
        with open(os.path.join(group, 'cgroup.procs'), 'w', encoding='ascii') as stream:
            stream.write(str(target.pid))
        recording = workshop.record('-p', target.pid, rate=999, seconds=1)
        assert recording.count(target.pid) > 50, recording.messages
        assert_flutter(python, recording.stacks(target.pid))
    finally:
        workshop.clear()
        os.rmdir(group)


def limit(group, megabytes):
    """Of memory and of nothing in its stead, by either version of cgroups."""
    first = os.path.exists(os.path.join(group, 'memory.limit_in_bytes'))
    rows = {'memory.limit_in_bytes': megabytes << 20, 'memory.swappiness': 0} if first else \
        {'../cgroup.subtree_control': '+memory', 'memory.max': megabytes << 20, 'memory.swap.max': 0}
    for name, value in rows.items():
        path = os.path.join(group, name)
        if name == 'memory.swap.max' and not os.path.exists(path):
            continue  # a kernel that has no swap
        with open(path, 'w', encoding='ascii') as stream:
            stream.write(str(value))
    return os.path.join(group, 'memory.oom_control' if first else 'memory.events')


def test_killed_for_its_memory(workshop):
    """The kernel ends it in the midst of a page fault: what it did until then is shown, and all adds up."""
    python, rate = PYTHONS[0], 999
    group = memory_group()
    try:
        events = limit(group, 64)
        enter = f'echo $$ >{group}/cgroup.procs && exec "$@"'
        recording = workshop.record(rate=rate, status=128 + signal.SIGKILL,
                                    after=['sh', '-c', enter, 'sh', *python.command('glutton.py')])
        with open(events, encoding='ascii') as stream:
            assert 'oom_kill 1\n' in stream.read()
    finally:
        os.rmdir(group)
    spent_s = sum(map(int, recording.output.split())) / 1000
    assert spent_s and recording.count_of('eat') >= 0.9 * spent_s * rate, \
        f'{spent_s} s\n{recording.messages}'
