# SPDX-License-Identifier: Apache-2.0
"""The walk at every instruction: what a tick would show there, judged by the oracle.

The sampled tests meet a window of three instructions once in a million ticks. Here the target takes
one instruction after the other, so none is left out that its loop comes by.
"""
import collections
import os
import subprocess

import pytest

from harness import ROOT, clean_environment
from oracle import describe, illegal
from pprof import Profile
from test_truth import NAMES

STEPS = int(os.environ.get('PITVIPER_STEPS', '50000'))
PROGRAM = os.path.join(ROOT, '.output', 'tests', 'walker', 'steps')
WARM_MS = 300


def steps_of(python):
    """Frame objects are linked by one store each way: there are no windows to be met."""
    return STEPS if python.version >= (3, 8) else STEPS // 5


@pytest.fixture(scope='module')
def walked(python, tmp_path_factory):
    """{target: (Counter by outcome, what it was mended from and mode; profile)}"""
    folder = tmp_path_factory.mktemp('steps')
    cpus = sorted(os.sched_getaffinity(0))
    waiting, results = [name for name in NAMES if python.runs(name + '.py')], {}

    def start(name, cpu):
        path = str(folder / f'{name}.pb.gz')
        # A stop is several times cheaper where tracer and target share a CPU.
        command = ['taskset', '-c', str(cpu), PROGRAM, str(steps_of(python)), str(WARM_MS), path,
                   *python.command(name + '.py')]
        return name, path, subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                                            env=clean_environment())
    while waiting:
        for name, path, process in [start(waiting.pop(0), cpu) for cpu in cpus if waiting]:
            said = process.communicate(timeout=300)[0]
            assert process.returncode == 0, f'{name}: {said}'
            counts = collections.Counter()
            for line in said.splitlines():
                outcome, mended, mode, count = line.split()
                counts[outcome, mended, mode] = int(count)
            results[name] = counts, Profile(path)
    return results


@pytest.mark.parametrize('target', NAMES)
def test_every_instruction(python, walked, target):
    counts, profile = walked[target]
    steps = steps_of(python)
    assert sum(counts.values()) == 2 * steps, counts
    assert counts['COMPLETE', 'whole', 'user'] > 0.9 * steps, counts
    judge = python.oracle(target + '.py')
    places = collections.defaultdict(collections.Counter)
    for sample in profile.samples:
        if not sample.labels['thread'].startswith('TORN '):
            places[sample.stack][sample.labels['thread']] += sample.count
    found = illegal([(stack, sum(where.values())) for stack, where in places.items()],
                    judge.why_not)
    assert not found, describe(found) + '\n' + \
        '\n'.join(str(dict(places[stack])) for _, _, stack in found[:5])


def test_hardly_an_instruction_is_given_up(python, walked):
    """The share of ticks, which take their registers with them, is that of instructions."""
    torn = total = 0
    for counts, _ in walked.values():
        total += steps_of(python)
        torn += sum(count for (outcome, _, mode), count in counts.items()
                    if outcome == 'TORN' and mode == 'user')
    assert torn <= 0.001 * total, {name: counts for name, (counts, _) in walked.items()}
