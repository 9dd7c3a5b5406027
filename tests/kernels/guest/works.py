#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What must work on every kernel, run as root inside a guest. Speaks TAP.

    works.py all|few [WORD]    all tests or the short list, of these those with the word in their name

Recorded under software emulation, where everything takes twenty times as long: so the rates are low
and targets share a recording.
"""
import os
import re
import subprocess
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(HERE)))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'live'))

import harness  # noqa: E402
from oracle import describe, illegal  # noqa: E402
from test_deep import truncated_shape  # noqa: E402
from test_processes import WORKS, assert_legal  # noqa: E402

PITVIPER = '/pitviper/pitviper'
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
    """The part of the ticks due that an emulated machine found the time for."""
    match = re.search(r'^\s*ticks not delivered\s+([\d,]+)', recording.messages, re.MULTILINE)
    missing = int(match.group(1).replace(',', '')) if match else 0
    return recording.ticks / (recording.ticks + missing)


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
        assert sum(count for _, count in stacks) >= recording.expected(target), recording.messages
    ours = sum(recording.ledger[label] for label in harness.OURS)
    assert recording.ledger['torn'] <= max(2, 0.01 * ours), recording.messages
    assert recording.ledger['ring full'] == 0, recording.messages


@test(few=True)
def deep(workshop):
    """stacks of 1022, 1023, 2000 and 20000 frames"""
    targets = {depth: workshop.start(PYTHON, 'deep.py', depth) for depth in (1022, 1023, 2000, 20000)}
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
    assert recording.count_of('spin') >= 0.8 * 199 * delivered(recording), recording.messages


def moments(workshop, *how):
    target = workshop.start(PYTHON, 'brood.py', 5, 200, *how)
    recorder = workshop.begin('-p', target.pid, '-s', rate=199).sampling()
    spent = [int(line) for line in target.finish(b'\n').split()]
    recording = recorder.wait().check()
    name = 'forked_spin' if how else 'spin'
    found = sum(count for stack, count in recording.stacks()
                if any(frame.name == name and frame.line for frame in stack))
    assert len(spent) == 5
    assert found >= 0.8 * sum(spent) / 1e9 * 199 * delivered(recording), \
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


def main():
    which, word = sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else ''
    chosen = [(name, function) for name, function, few in TESTS
              if (few or which == 'all') and word in name]
    os.chdir('/tmp')
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
        print(f'{outcome} {number} - {name}', flush=True)
        print(f'# {time.monotonic() - began:.0f} s', flush=True)


if __name__ == '__main__':
    main()
