# SPDX-License-Identifier: Apache-2.0
"""The judge is judged: the oracle accepts every stack that a target really has, as its interpreter
traces it, and rejects those stacks with a frame taken out or put in its middle."""
import concurrent.futures
import json
import os
import random
import subprocess

import pytest

from harness import HERE, clean_environment
from oracle import describe, illegal
from pprof import Frame

EVENTS = 10000  # traced
TRACED = ['flutter', 'recursion', 'generators', 'coroutines', 'callbacks']


def traced(python, target):
    """The stacks that the target really has under this interpreter, root first."""
    tracer = python.put(os.path.join(HERE, 'trace_target.py'))
    command = python.command(tracer, os.path.join(python.targets(), target), str(EVENTS))
    done = subprocess.run(command, stdout=subprocess.PIPE, env=clean_environment(), timeout=60)
    return {tuple(Frame(name, file, line) for name, line, file in stack)
            for stack in json.loads(done.stdout)}


@pytest.fixture(scope='module')
def traces(python):
    """{target: its stacks, to be waited for}"""
    python.targets()  # not by two at once
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {name: pool.submit(traced, python, name + '.py') for name in TRACED
               if python.runs(name + '.py')}


@pytest.mark.parametrize('target', TRACED)
def test_real_stacks_are_legal(python, traces, target):
    oracle = python.oracle(target + '.py')
    stacks = traces[target].result()
    assert len(stacks) > 20
    found = illegal([(stack, 1) for stack in stacks], oracle.why_not)
    assert not found, describe(found)
    accepted = mutants = 0
    for stack in random.Random(1).sample(sorted(stacks), min(60, len(stacks))):
        for at in range(len(stack) - 1):
            for mutant in (stack[:at] + stack[at + 1:], stack[:at] + stack[at:at + 1] + stack[at:]):
                mutants += 1
                accepted += mutant not in stacks and oracle.why_not(mutant) is None
    # Left are stacks that the target could have and had not: a generator at its creation, and
    # down_b() on its first lines, which all depths share.
    assert accepted <= 0.01 * mutants + 5, f'{accepted} of {mutants} broken stacks accepted'


def test_crossed_chains_are_illegal(python, traces):
    """The tail of one chain on the head of the other."""
    oracle = python.oracle('flutter.py')
    stacks = [stack for stack in traces['flutter'].result() if len(stack) == 5]
    a = [stack for stack in stacks if stack[2].name == 'first_a']
    b = [stack for stack in stacks if stack[2].name == 'first_b']
    assert a and b
    for left in a:
        for right in b:
            for at in (3, 4):
                assert oracle.why_not(left[:at] + right[at:])
                assert oracle.why_not(right[:at] + left[at:])
