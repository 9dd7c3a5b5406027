#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What must work on every kernel, run as root inside a guest. Speaks TAP.

    works.py all|few [WORD]    all tests or the short list, of these those with the word in their name

Recorded under software emulation, where everything takes twenty times as long: so the rates are low
and targets share a recording.
"""
import errno
import glob
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'live'))

import harness  # noqa: E402
from oracle import describe, illegal  # noqa: E402
from refuse import CAPABILITIES, mounted, nobody_with, without_syscall  # noqa: E402
from shapes import WORKS, assert_legal, truncated_shape  # noqa: E402

PITVIPER = '/pitviper/pitviper'
HOST = '/pitviper/host'  # tests/targets/host.c, where the live tests don't have it
PARANOID = '/proc/sys/kernel/perf_event_paranoid'
harness.READY_S = 600  # an emulated machine on a busy one
TESTS = []


def test(few=False):
    def register(function):
        TESTS.append((function.__doc__.split('\n')[0].rstrip('.'), function, few))
        return function
    return register


def this_python():
    return harness.Interpreter({
        'id': 'guest', 'version': '%d.%d.%d' % sys.version_info[:3], 'origin': 'debian', 'root': '',
        'free_threaded': False, 'debug': False,
        'argv': ['/usr/bin/python%d.%d' % sys.version_info[:2]]})


PYTHON = this_python()


def delivered(recording):
    """The part of the ticks due that an emulated machine found the time for, on CPUs that were busy: one
    that is idle misses none."""
    match = re.search(r'^\s*ticks not delivered\s+([\d,]+)', recording.messages, re.MULTILINE)
    missing = int(match.group(1).replace(',', '')) if match else 0
    busy = recording.ticks - recording.ledger['idle']
    return busy / (busy + missing)


def run(*arguments, **options):
    return subprocess.run([PITVIPER, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=300, **options)


@test(few=True)
def doctor(_):
    """doctor finds nothing missing"""
    done = run('doctor')
    print(''.join('# ' + line + '\n' for line in done.stdout.splitlines()), end='', flush=True)
    assert done.returncode == 0, done.stdout


@test(few=True)
def no_impossible_stack(workshop):
    """alternating chains, generators: no impossible stack"""
    names = ['flutter.py', 'generators.py', 'recursion.py']
    targets = {name: workshop.start(PYTHON, name) for name in names}
    recording = workshop.record('-p', ','.join(str(one.pid) for one in targets.values()), rate=199,
                                seconds=6)
    workshop.clear()
    for name, target in targets.items():
        stacks = recording.stacks(target.pid)
        found = illegal(stacks, PYTHON.oracle(name).why_not)
        assert not found, f'{name}: {describe(found)}'
        # Three share two CPUs. What an emulated machine delivers of ticks depends on its host.
        assert sum(count for _, count in stacks) > 0.1 * recording.count(), recording.messages
    ours = sum(recording.ledger[label] for label in harness.OURS)
    assert recording.ledger['torn'] <= max(2, 0.01 * ours), recording.messages
    assert recording.count() >= 0.95 * (ours + recording.ledger['no Python state']), recording.messages
    assert recording.ledger['ring full'] == 0, recording.messages


@test(few=True)
def deep(workshop):
    """stacks of 1024 frames are whole, of 20000 have both ends"""
    targets = {depth: workshop.start(PYTHON, 'deep.py', depth) for depth in (1022, 20000)}
    recording = workshop.record('-p', ','.join(str(one.pid) for one in targets.values()), rate=49,
                                seconds=6)
    for depth, target in targets.items():
        full = ['<module>'] + ['down'] * depth + ['spin']
        full = truncated_shape(full) if len(full) > 1024 else full
        shapes = {tuple(frame.name for frame in stack) for stack, _ in recording.stacks(target.pid)}
        assert shapes == {tuple(full)}, \
            f'{depth}: {[(len(shape), shape[127:130]) for shape in shapes]}\n{recording.messages}'


@test(few=True)
def everything_and_a_late_one(workshop):
    """-a: what runs already and what starts later"""
    early = workshop.start(PYTHON, 'flutter.py')
    recorder = workshop.begin('-a', rate=99).sampling()
    late = workshop.start(PYTHON, 'generators.py')
    time.sleep(3)  # to be recorded; not to wait for anything
    recording = recorder.interrupt().wait().check()
    workshop.clear()
    for target, name in ((early, 'flutter.py'), (late, 'generators.py')):
        assert recording.count(target.pid) > 10, recording.messages
        assert_legal(PYTHON, name, recording.stacks(target.pid))


@test(few=True)
def launched(workshop):
    """-- cmd: its status, its output, its stacks"""
    recording = workshop.record(rate=199, status=7, after=PYTHON.command('early.py', '1000'))
    assert int(recording.output) >= 1000e6
    assert recording.count_of('spin') >= 0.5 * 199 * delivered(recording), recording.messages


def moments(workshop, *how):
    target = workshop.start(PYTHON, 'brood.py', 5, 200, *how)
    recorder = workshop.begin('-p', target.pid, '-s', rate=199).sampling()
    spent = [int(line) for line in target.finish(b'\n').split()]
    recording = recorder.wait().check()
    name = 'forked_spin' if how else 'spin'
    found = sum(count for stack, count in recording.stacks()
                if any(frame.name == name and frame.line for frame in stack))
    assert len(spent) == 5
    assert found >= 0.5 * sum(spent) / 1e9 * 199 * delivered(recording), \
        f'{found} samples of {sum(spent) / 1e6:.0f} ms\n{recording.messages}'
    assert recording.count_of('[unknown function]') == 0, recording.messages


@test(few=True)
def started_children(workshop):
    """children of a moment, by exec"""
    moments(workshop)


@test(few=True)
def forked_children(workshop):
    """children of a moment, by fork"""
    moments(workshop, 'fork')


@test()
def exec_in_between(workshop):
    """Python, then a shell, then Python, under one pid"""
    target = workshop.start(PYTHON, 'exec_chain.py', 60)
    recorder = workshop.begin('-p', target.pid, rate=199).sampling()
    workshop.until_cpu(target, 2)  # what the host takes away counts as the guest's, and has no ticks
    target.process.stdin.write(b'\n')
    target.process.stdin.flush()
    workshop.until_cpu(target, 5)
    recording = recorder.interrupt().wait().check()
    workshop.clear()
    one, two = (recording.count_of(name, target.pid) for name in ('stage_one', 'stage_two'))
    assert one > 5 and two > 5, f'{one}, {two}: {recording.messages}'
    assert_legal(PYTHON, 'exec_chain.py', recording.stacks())


@test()
def children_of_children(workshop):
    """-s: children and their children, forked and started"""
    target = workshop.start(PYTHON, 'children.py', wait=False)
    pids = json.loads(target.process.stdout.readline())
    target.expect('ready')
    recording = workshop.record('-p', target.pid, '-s', rate=199, seconds=4)
    workshop.clear()
    for role, pid in pids.items():
        assert recording.count_of(WORKS[role], pid) > 5, f'{role}: {recording.messages}'
        assert recording.count_of(WORKS[role]) == recording.count_of(WORKS[role], pid), role
    assert_legal(PYTHON, 'children.py', recording.stacks())


def in_a_library(workshop):
    """Python in a library: its thread-local storage has a fixed place, or none"""
    [library] = glob.glob('/usr/lib/*/libpython3.*.so.1.0')
    code = 'def spin():\n    while True: pass\nspin()'
    targets = []
    for room in (512, 0):  # what the dynamic linker may give to libraries that come late
        environment = {**harness.clean_environment(),
                       'GLIBC_TUNABLES': f'glibc.rtld.optional_static_tls={room}'}
        targets.append(workshop.adopt([HOST, '/usr', library, code], env=environment))
    recording = workshop.record('-p', ','.join(str(one.pid) for one in targets), rate=99, seconds=3)
    for target in targets:
        assert recording.count_of('spin', target.pid) > 10, recording.messages


if os.path.exists(HOST):
    test(few=True)(in_a_library)


# --- the machine changes ---

def write(path, text):
    with open(path, 'w', encoding='ascii') as stream:
        stream.write(str(text))


@test(few=True)
def hotplug(workshop):
    """a CPU goes offline and comes back: none is lost"""
    target = workshop.start(PYTHON, 'flutter.py')
    recorder = workshop.begin('-p', target.pid, rate=99).sampling()
    for away_s in (0, 2):
        write('/sys/devices/system/cpu/cpu1/online', 0)
        time.sleep(away_s)  # not to wait for anything: a short and a long absence
        write('/sys/devices/system/cpu/cpu1/online', 1)
    os.sched_setaffinity(target.pid, {1})
    workshop.until_cpu(target, 4)
    recording = recorder.interrupt().wait().check()
    # The first second or so is lost: that often the CPUs are looked at.
    assert recording.count(target.pid) > 0.3 * 99 * 4 * delivered(recording), recording.messages
    assert_legal(PYTHON, 'flutter.py', recording.stacks())


@test(few=True)
def clock_jumps(workshop):
    """the clock is set forth and back: no negative time"""
    target = workshop.start(PYTHON, 'flutter.py')
    recorder = workshop.begin('-p', target.pid, rate=99, extension='.speedscope.json').sampling()
    began, real = time.monotonic(), time.time()
    for days in (400, -400, 0):
        time.clock_settime(time.CLOCK_REALTIME, real + days * 86400)
        workshop.until_cpu(target, 1)
    recording = recorder.interrupt().wait()
    spent = time.monotonic() - began
    assert recording.status == 0 and sum(recording.ledger.values()) == recording.ticks
    seconds = float(re.search(r'samples? in ([-\d.]+) s at', recording.messages).group(1))
    assert 0 < seconds < spent + 60, recording.messages
    with open(recording.path, encoding='utf-8') as stream:
        profiles = json.load(stream)['profiles']
    assert profiles and any(one['samples'] for one in profiles)
    for one in profiles:
        assert 0 <= one['startValue'] <= one['endValue'] <= (spent + 60) * 1e9, one['name']
        assert all(weight > 0 for weight in one['weights']), one['name']


# --- hosts that say no ---

class Asked:
    """What record and doctor said, asked at the same time."""

    def __init__(self, become=None, options=()):
        record = ['record', '-a', '-d', '0.2', '-o', '/dev/null', '-f', 'folded', *options]
        commands = [PITVIPER, *record], [PITVIPER, 'doctor', *options]
        running = [subprocess.Popen(command, preexec_fn=become, stdin=subprocess.DEVNULL, text=True,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                   for command in commands]
        said = [process.communicate(timeout=300)[0] for process in running]
        self.status = [process.returncode for process in running]
        self.record, self.doctor = said

    def works(self):
        assert self.status == [0, 0], self
        assert not re.search('^missing', self.doctor, re.MULTILINE), self

    def refused(self, status, cause, remedy):
        assert self.status == [status, status], self
        for words in (cause, remedy):
            assert words in self.record, f'{words}: {self.record}'
            assert re.search(r'^missing .*' if words == cause else r'^ +-> .*', self.doctor,
                             re.MULTILINE) and words in self.doctor, f'{words}: {self.doctor}'

    def __str__(self):
        return f'{self.status}\n{self.record}\n{self.doctor}'


def five(without=(), locked_kb=None):
    """Nobody with the five capabilities, or without some of them."""
    become = nobody_with(set(CAPABILITIES) - set(without))

    def prepare():
        limit = resource.RLIM_INFINITY if locked_kb is None else locked_kb * 1024
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (limit, limit))
        become()
    return prepare


@test()
def capabilities(_):
    """five capabilities suffice, without one of three it says so"""
    Asked(five()).works()
    for name in ('CAP_BPF', 'CAP_PERFMON'):
        Asked(five([name])).refused(5, f'not there: {name}', 'sudo setcap')
    without = Asked(five(['CAP_SYS_PTRACE']))
    assert without.status == [0, 5], without
    assert 'warning: not there: CAP_SYS_PTRACE' in without.record, without
    assert 'not there: CAP_SYS_PTRACE' in without.doctor, without


@test()
def locked_memory(_):
    """a limit of locked memory that is too low for BPF maps"""
    asked = Asked(five(locked_kb=64))
    if asked.status == [0, 0]:  # counted in the memory cgroup instead: only before 5.11 it is a limit
        assert 'locked memory               does not matter here' in asked.doctor, asked
        assert os.uname().release.split('.')[:2] > ['5', '10'], asked
    else:
        asked.refused(5, 'counts BPF maps as locked memory, of which 64 KiB', 'prlimit --memlock')


@test()
def paranoid(_):
    """perf_event_paranoid at 3 and 4"""
    for level in (3, 4):
        write(PARANOID, level)
        # Debian's own patch: from 3 on CAP_SYS_ADMIN is asked for.
        Asked(five()).refused(5, f'kernel.perf_event_paranoid is {level}',
                              'sysctl -w kernel.perf_event_paranoid=2')
    Asked().works()
    write(PARANOID, 2)


@test()
def no_compiler(_):
    """bpf_jit_enable at 0"""
    path = '/proc/sys/net/core/bpf_jit_enable'
    try:
        write(path, 0)
    except OSError as error:  # a kernel without an interpreter
        assert error.errno == errno.EINVAL
        return
    try:
        Asked().refused(5, 'net.core.bpf_jit_enable is 0', 'sysctl -w net.core.bpf_jit_enable=1')
    finally:
        write(path, 1)


@test()
def no_types(_):
    """a kernel without BTF"""
    hidden = mounted('none', '/sys/kernel/btf', 'tmpfs', '')
    Asked(hidden).refused(6, 'offers no BTF (/sys/kernel/btf/vmlinux', '--btf FILE')
    with tempfile.NamedTemporaryFile(suffix='.btf') as copy:
        with open('/sys/kernel/btf/vmlinux', 'rb') as own:
            shutil.copyfileobj(own, copy)
        copy.flush()
        Asked(hidden, ['--btf', copy.name]).works()


@test()
def filtered(_):
    """seccomp hides bpf() or perf_event_open()"""
    for call, error in (('bpf', errno.EPERM), ('bpf', errno.ENOSYS), ('perf_event_open', errno.EPERM)):
        Asked(without_syscall(call, error)).refused(5, f'a seccomp filter hides {call}()',
                                                    'seccomp profile')


@test()
def hidden_processes(_):
    """/proc mounted with hidepid"""
    become = mounted('proc', '/proc', 'proc', 'hidepid=2', five(['CAP_SYS_PTRACE']))
    done = run('record', '-p', str(os.getpid()), '-o', '/dev/null', '-f', 'folded',
               preexec_fn=become)
    assert done.returncode == 5 and '/proc is mounted with hidepid=' in done.stderr, done.stderr
    done = run('doctor', preexec_fn=become)
    assert done.returncode == 5 and '/proc is mounted with hidepid=' in done.stdout, done.stdout


# The last one: there is no way back.
@test()
def locked_down(_):
    """lockdown: integrity does not matter, confidentiality is told"""
    path = '/sys/kernel/security/lockdown'
    write(path, 'integrity')
    Asked().works()
    write(path, 'confidentiality')
    Asked().refused(6, 'locked down for confidentiality', 'boot without lockdown=confidentiality')


def main():
    which, word = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ''
    chosen = [(name, function) for name, function, few in TESTS
              if (few or which == 'all') and re.search(word, name)]
    os.chdir('/tmp')
    # Ignored by those who are started, too: targets end themselves, but not before a slow test.
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    write(PARANOID, 2)  # Debian's is 3, for which there is a test of its own
    print(f'# {os.uname().release} {os.uname().machine}, Python {PYTHON.version}', flush=True)
    print(f'1..{len(chosen)}', flush=True)
    for number, (name, function) in enumerate(chosen, 1):
        began = time.monotonic()
        try:
            with harness.Workshop(PITVIPER, '/tmp') as workshop:
                function(workshop)
            outcome = 'ok'
        except Exception:  # any: the other tests shall run
            outcome = 'not ok'
            print(''.join(f'# {line}\n' for line in traceback.format_exc().split('\n')), end='')
        print(f'# {time.monotonic() - began:.0f} s', flush=True)
        print(f'{outcome} {number} - {name}', flush=True)


if __name__ == '__main__':
    main()
