# SPDX-License-Identifier: Apache-2.0
"""Code objects come and go at the same addresses; no sample wears an earlier one's name."""
import os
import re
import signal

import pytest

from test_lines import targets_module


def why_not(stack, lines_of):
    """None, or what is wrong with a stack that has a generation's function in it."""
    named = [frame for frame in stack if re.fullmatch(r'(outer|inner)_\d+', frame.name)]
    numbers = {frame.name.split('_')[1] for frame in named}
    if len(numbers) != 1:
        return 'functions of two generations'
    number = numbers.pop()
    call, lines = lines_of(int(number))
    if any(os.path.basename(frame.file) != f'churn_{number}.py' for frame in named):
        return 'a file of another generation'
    names = [frame.name.split('_')[0] for frame in named]
    if names not in (['outer'], ['outer', 'inner']) or named[-1] is not stack[-1]:
        return 'not outer, inner'
    if len(names) == 2 and (named[0].line != call or named[1].line not in lines):
        return f'lines {named[0].line}, {named[1].line} instead of {call}, {sorted(lines)}'
    if [frame.name for frame in stack[:-len(named)]] != ['<module>', 'main', 'generation']:
        return 'not called by generation()'
    return None


@pytest.fixture(scope='module')
def recorded(pythons, workshop):
    """{python: its stacks, what the target itself says}"""
    targets = {python: made['churn'] for python, made in workshop.crowd(pythons, 'churn').items()}
    recording = workshop.record_work(targets.values(), 1.2, rate=2500)
    for target in targets.values():
        target.process.stdin.close()
        target.signal(signal.SIGCONT)
    said = {python: target.process.stdout.read() for python, target in targets.items()}
    workshop.clear()
    return {python: (recording.stacks(target.pid), said[python])
            for python, target in targets.items()}


def test_no_borrowed_names(python, recorded):
    lines_of = targets_module('churn').lines_of
    stacks, said = recorded[python]
    made, again = map(int, said.split())
    assert again > made // 10 > 20, f'{again} of {made} at an earlier address: tests nothing'
    generations, unnamed = set(), 0
    for stack, count in stacks:
        if len(stack) < 4 or stack[2].name != 'generation':
            continue
        if not any(re.fullmatch(r'(outer|inner)_\d+', frame.name) for frame in stack):
            unnamed += count
            continue
        wrong = why_not(stack, lines_of)
        assert not wrong, f'{wrong}: {stack}'
        generations.add(stack[3].name.split('_')[1] if '_' in stack[3].name else '')
    assert len(generations) >= made // 4
