# SPDX-License-Identifier: Apache-2.0
"""What is used on a kernel that lacks a feature, used on this one: the same stacks."""
import subprocess

import pytest

from conftest import CHAINS, newest
from oracle import describe, illegal
from shapes import truncated_shape

# Everything that can be done without at once, as on 5.10; and what 5.17 to 6.17 lack.
OLD = 'loop,task_work,task_type,task_regs'
BARE = OLD + ',btf'  # and as one built without types of its own
WITHOUT = [OLD, 'task_work']
TYPES = '/sys/kernel/btf/vmlinux'
RATE = 1000


def without(features):
    return ['env', f'PITVIPER_WITHOUT={features}']


def types(features):
    """The kernel's own, by hand."""
    return ['--btf', TYPES] if 'btf' in features.split(',') else []


@pytest.mark.parametrize('features, version', [(BARE, CHAINS[0]), (OLD, CHAINS[1]),
                                               ('btf', CHAINS[-1]), ('task_work', CHAINS[-1])])
def test_stacks(workshop, features, version):
    python = newest(version)
    moving = {name: workshop.start(python, name + '.py') for name in ('flutter', 'generators')}
    deep = workshop.start(python, 'deep.py', 2000)
    pids = ','.join(str(one.pid) for one in (*moving.values(), deep))
    recording = workshop.record('-p', pids, *types(features), rate=999, seconds=2,
                                before=without(features))
    for name, target in moving.items():
        stacks = recording.stacks(target.pid)
        assert recording.count(target.pid) >= recording.expected(target), recording.messages
        found = illegal(stacks, python.oracle(name + '.py').why_not)
        assert not found, describe(found)
    shapes = {tuple(frame.name for frame in stack) for stack, _ in recording.stacks(deep.pid)}
    assert shapes == {tuple(truncated_shape(['<module>'] + ['down'] * 2000 + ['spin']))}
    assert recording.count(deep.pid) >= recording.expected(deep), recording.messages


@pytest.mark.parametrize('features', WITHOUT)
def test_as_deep(workshop, features):
    """Whichever repeats the step goes as far: 32768 frames."""
    target = workshop.start(newest(CHAINS[-1]), 'deep.py', 20000)
    recording = workshop.record('-p', target.pid, rate=99, seconds=1, before=without(features))
    full = ['<module>'] + ['down'] * 20000 + ['spin']
    shapes = {tuple(frame.name for frame in stack) for stack, _ in recording.stacks()}
    assert shapes == {tuple(truncated_shape(full))}, recording.messages


@pytest.mark.parametrize('how, function', [((), 'spin'), (('fork',), 'forked_spin')],
                         ids=['started', 'forked'])
def test_births_without_types(workshop, how, function):
    """Fork, exec and exit are met as well, and those that run already are found."""
    target = workshop.start(newest(CHAINS[-1]), 'brood.py', 10, 30, *how)
    recorder = workshop.begin('-p', target.pid, '-s', *types('btf'), rate=RATE,
                              before=without('btf')).sampling()
    spent = [int(line) for line in target.finish(b'\n').split()]
    recording = recorder.wait().check()
    found = recording.count_of(function)
    assert len(spent) == 10 and found >= 0.9 * recording.ticks_in(sum(spent) / 1e9), \
        f'{found} samples of {sum(spent) / 1e6:.0f} ms\n{recording.messages}'
    assert recording.ledger['process unknown'] <= 0.01 * recording.count(), recording.messages


def doctor(pitviper, features=''):
    done = subprocess.run([*without(features), pitviper, 'doctor', *types(features)], stdout=subprocess.PIPE,
                          text=True, check=False)
    table = done.stdout[done.stdout.index('\nThis kernel:\n'):].split('\n')[2:]
    return done.returncode, [line.split()[0] for line in table[:table.index('')]], done.stdout


def test_doctor(pitviper):
    """It says of each feature whether it is used."""
    status, words, text = doctor(pitviper)
    assert status == 0 and set(words) <= {'has', 'lacks'} and len(words) >= 7, text
    status, fewer, text = doctor(pitviper, OLD)
    assert status == 0 and fewer.count('lacks') == len(OLD.split(',')), text
    assert fewer.count('has') == len(words) - len(OLD.split(',')), text
    status, fewer, text = doctor(pitviper, 'btf')
    assert status == 0 and text.count(f' {TYPES}\n') == 1, text
    # With the types goes what the kernel checks against them.
    assert fewer.count('lacks') == 6 and len(fewer) == len(words), text


@pytest.mark.parametrize('features', ['ring', 'lopo', 'loop,', 'loop,lopo'])
def test_no_such_feature(pitviper, features):
    done = subprocess.run([*without(features), pitviper, 'doctor'], stdout=subprocess.PIPE,
                          text=True, check=False)
    assert done.returncode == 6, done.stdout
    assert 'PITVIPER_WITHOUT' in done.stdout
