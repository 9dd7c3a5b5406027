# SPDX-License-Identifier: Apache-2.0
"""No stack that cannot be: chains, recursions, generators and coroutines that change within
microseconds, recorded together at all rates, every stack judged by the oracle."""
import collections

import pytest

from harness import OURS
from oracle import describe, illegal

NAMES = ['flutter', 'recursion', 'generators', 'coroutines', 'callbacks']
RATES = [99, 1000, 10000]  # recorded at once
SECONDS = 1  # of CPU time of each target

Run = collections.namedtuple('Run', 'recording targets')


@pytest.fixture(scope='module')
def runs(python, workshop):
    """{rate: the recording of all targets}"""
    targets = workshop.crowd([python], *NAMES)[python]
    recordings = workshop.record_works(targets.values(), SECONDS,
                                       [((), {'rate': rate}) for rate in RATES])
    workshop.clear()
    return {rate: Run(recording, targets) for rate, recording in zip(RATES, recordings)}


@pytest.fixture(params=RATES, ids=lambda rate: f'{rate}Hz')
def run(runs, request):
    return runs[request.param]


@pytest.mark.parametrize('target', NAMES)
def test_no_impossible_stack(python, run, target):
    oracle = python.oracle(target + '.py')
    running = run.targets[target]
    stacks = run.recording.stacks(running.pid)
    found = illegal(stacks, oracle.why_not)
    count = sum(one[1] for one in stacks)
    assert not found, f'{sum(one[0] for one in found)} of {count} are impossible:\n' + \
        describe(found)
    assert count >= run.recording.expected(running)


def test_hardly_a_tick_is_given_up(run):
    """At most 0.1 % torn; a few are allowed where 0.1 % is less than that."""
    ledger = run.recording.ledger
    ours = sum(ledger[label] for label in OURS)
    assert ledger['torn'] <= max(2, 0.001 * ours), run.recording.messages
    assert ledger['ring full'] == 0 and ledger['layout unknown'] == 0, run.recording.messages
    assert ledger['unreadable'] <= max(2, 0.001 * ours), run.recording.messages
    assert ledger['truncated'] == 0, run.recording.messages
