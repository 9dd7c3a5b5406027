# SPDX-License-Identifier: Apache-2.0
"""The walk at every instruction: what a tick would show there, judged by the oracle.

The sampled tests meet a window of three instructions once in a million ticks. Here the target takes
one instruction after the other, so none is left out that its loop comes by.
"""
import collections
import concurrent.futures
import os
import queue
import subprocess

import pytest

from harness import ROOT, clean_environment
from oracle import describe, illegal
from pprof import Profile
from test_truth import NAMES

STEPS = int(os.environ.get('PITVIPER_STEPS', '50000'))
PROGRAM = os.path.join(ROOT, '.output', 'tests', 'walker', 'steps')
WARM_MS = 300


def steps_of(python, name):
    """Before 3.8 frame objects are linked by one store each way: there are no windows to be met. The
    loop of flutter is short: a quarter of the steps meets all of it."""
    return STEPS // (5 if python.version < (3, 8) else 4 if name == 'flutter' else 1)


def walk(python, name, path, cpus):
    """(Counter by outcome, what it was mended from and mode; profile)"""
    cpu = cpus.get()
    try:
        # A stop is several times cheaper where tracer and target share a CPU.
        command = ['taskset', '-c', str(cpu), PROGRAM, str(steps_of(python, name)), str(WARM_MS), path,
                   *python.command(name + '.py')]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=300,
                              env=clean_environment())
    finally:
        cpus.put(cpu)
    assert done.returncode == 0, f'{name}: {done.stdout}'
    counts = collections.Counter()
    for line in done.stdout.splitlines():
        outcome, mended, mode, count = line.split()
        counts[outcome, mended, mode] = int(count)
    return counts, Profile(path)


@pytest.fixture(scope='module')
def walks(request, tmp_path_factory):
    """{interpreter: {target: its walk, to be waited for}} of all that are asked for, each CPU at one
    until all are done."""
    folder = tmp_path_factory.mktemp('steps')
    cpus = queue.SimpleQueue()
    for cpu in os.sched_getaffinity(0):
        cpus.put(cpu)
    pythons = {item.callspec.params['python']: None for item in request.session.items
               if item.module is request.module}
    with concurrent.futures.ThreadPoolExecutor(cpus.qsize()) as pool:
        for python in pythons:
            python.targets()  # not by two at once
        yield {python: {name: pool.submit(walk, python, name,
                                          str(folder / f'{python}-{name}.pb.gz'), cpus)
                        for name in NAMES if python.runs(name + '.py')} for python in pythons}
        pool.shutdown(cancel_futures=True)


@pytest.fixture(scope='module')
def walked(python, walks):
    """{target: its walk}"""
    return {name: one.result() for name, one in walks[python].items()}


@pytest.mark.parametrize('target', NAMES)
def test_every_instruction(python, walked, target):
    counts, profile = walked[target]
    steps = steps_of(python, target)
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
    for name, (counts, _) in walked.items():
        total += steps_of(python, name)
        torn += sum(count for (outcome, _, mode), count in counts.items()
                    if outcome == 'TORN' and mode == 'user')
    assert torn <= 0.001 * total, {name: counts for name, (counts, _) in walked.items()}
