# SPDX-License-Identifier: Apache-2.0
"""Every interpreter there is, all recorded at once: each sampled stack is one that this interpreter's
own trace of the program has, frame by frame (name, file, line) and call by call."""
import collections
import concurrent.futures
import json
import os
import re
import signal
import subprocess

import pytest

from harness import HERE, clean_environment, every_interpreter

TARGET = 'matrix.py'
RATE = 997
SECONDS_EACH = 0.2
SAMPLES = 40  # of each at least; it is its share of two CPUs that makes them
EVENTS = 12000  # traced: several times all that the program does

Run = collections.namedtuple('Run', 'python mode options spinners')


def modes(python):
    """The ways to run an interpreter that change what a profiler meets."""
    yield Run(python, '', [], 4 if python.free_threaded else 1)
    if python.debug or python.id.endswith('-nopie'):
        return
    if python.version >= (3, 14) and python.origin == 'sid':  # configured with the JIT, off
        yield Run(python, 'jit', ['PYTHON_JIT=1'], 1)
    if python.version >= (3, 12) and not python.free_threaded:
        yield Run(python, 'perf', ['-X', 'perf'], 1)
    if python.version >= (3, 14) and python.free_threaded:
        yield Run(python, 'no-tlbc', ['-X', 'tlbc=0'], 2)


RUNS = [run for python in every_interpreter() for run in modes(python)]


def name_of(run):
    return run.python.id + (f'+{run.mode}' if run.mode else '')


def command(run):
    variables = [option for option in run.options if '=' in option and option[0].isupper()]
    options = [option for option in run.options if option not in variables]
    return ['env', *variables, *run.python.command(TARGET, str(run.spinners), options=options)]


def place(frame):
    """Where a frame stands: what is compared of it."""
    name, line, file = frame
    return name, line or 0, os.path.basename(file)


Recorded = collections.namedtuple('Recorded', 'recording samples listed')


@pytest.fixture(scope='module')
def recorded(workshop, pitviper):
    """{name of the run: the recording, its samples of that run, its row of `pitviper ps`}"""
    targets = {}
    for run in RUNS:  # those that work already would slow the others' start
        target = targets[name_of(run)] = workshop.adopt(command(run))
        os.kill(target.pid, signal.SIGSTOP)
    for target in targets.values():
        os.kill(target.pid, signal.SIGCONT)
    for target in targets.values():
        workshop.until_cpu(target, 0.02)  # its threads have begun their work
    listed = subprocess.run([pitviper, 'ps'], stdout=subprocess.PIPE, text=True, check=True).stdout
    rows = {int(row.split()[0]): re.split(r'\s{2,}', row.strip())[1:]
            for row in listed.splitlines()[1:]}
    pids = ','.join(str(target.pid) for target in targets.values())
    recording = workshop.record('-p', pids, rate=RATE, seconds=max(2, SECONDS_EACH * len(RUNS)))
    workshop.clear()
    assert recording.ledger['torn'] <= max(2, 0.001 * recording.count()), recording.messages
    assert recording.ledger['layout unknown'] == 0, recording.messages
    samples = collections.defaultdict(list)
    for sample in recording.profile.samples:
        samples[sample.labels['pid']].append(sample)
    return {name: Recorded(recording, samples[target.pid], rows.get(target.pid))
            for name, target in targets.items()}


@pytest.fixture(scope='module')
def traces(recorded):
    """{id of the interpreter: what its trace shows}, to be waited for."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield {run.python.id: pool.submit(traced, run.python) for run in RUNS if not run.mode}


def traced(python):
    """(places of frames, (place, name of its callee) of calls) that tracing shows."""
    tracer = python.put(os.path.join(HERE, 'trace_target.py'))
    argv = python.command(tracer, os.path.join(python.targets(), TARGET), str(EVENTS))
    done = subprocess.run(argv, stdout=subprocess.PIPE, env=clean_environment(), timeout=60)
    places, calls = set(), set()
    for stack in json.loads(done.stdout):
        stack = [place(frame) for frame in stack]
        places.update(stack)
        calls.update((caller, callee[0]) for caller, callee in zip(stack, stack[1:]))
    return places, calls


def wrong_in(stack, places, calls):
    stack = [place((frame.name, frame.line, frame.file)) for frame in stack]
    for frame in stack:
        if frame not in places:
            return f'no frame stands at {frame}'
    for caller, callee in zip(stack, stack[1:]):
        if (caller, callee[0]) not in calls:
            return f'{caller} does not call {callee[0]}'
    return None


@pytest.mark.parametrize('run', RUNS, ids=name_of)
def test_frames(run, recorded, traces):
    recording, samples, _ = recorded[name_of(run)]
    places, calls = traces[run.python.id].result()
    found = collections.Counter()
    shown, threads = 0, set()
    for sample in samples:
        stack = [frame for frame in sample.stack if not frame.name.startswith('process ')]
        threads.add(sample.labels['thread'])
        shown += sample.count
        wrong = wrong_in(stack, places, calls)
        if wrong:
            found[wrong] += sample.count
    assert not found, found.most_common(5)
    assert shown >= SAMPLES, f'{shown} samples of {recording.count()}'
    assert threads == {'presser', *(f'spinner-{i}' for i in range(run.spinners))}


@pytest.mark.parametrize('run', RUNS, ids=name_of)
def test_listed(run, recorded):
    version, build, layout, status = recorded[name_of(run)].listed[:4]
    assert version == '.'.join(map(str, run.python.version))
    assert (' free-threaded' in build, ' debug' in build) == \
        (run.python.free_threaded, run.python.debug)
    assert layout and status == 'supported'
