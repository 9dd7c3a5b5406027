# SPDX-License-Identifier: Apache-2.0
"""Threads: their names, who works and who waits, and their stacks down to the thread's start."""
import collections
import os
import re

import pytest

from conftest import INTERPRETERS
from harness import parse_folded
from oracle import describe, illegal
from test_lines import targets_module


def tasks(target):
    return {int(tid) for tid in os.listdir(f'/proc/{target.pid}/task')}


@pytest.fixture(scope='module')
def recorded(pythons, workshop):
    """{python: (the recording, its pid, the ids of its threads)}"""
    found = {}
    # The lock of 2.7 is not fair, and least of all where CPUs are scarce.
    for group in ([one for one in pythons if one.version < (3,)],
                  [one for one in pythons if one.version >= (3,)]):
        targets = {python: made['threads']
                   for python, made in workshop.crowd(group, 'threads').items()}
        if targets:
            recording = workshop.record_waking(targets.values(), 1, rate=1000)
            found.update({python: (recording, target.pid, tasks(target))
                          for python, target in targets.items()})
            workshop.clear()
    return found


def test_only_working_threads_by_name(python, recorded):
    names = targets_module('threads')
    recording, pid, there_are = recorded[python]
    threads = collections.Counter()
    tids = collections.defaultdict(set)
    for sample in recording.profile.samples:
        if sample.labels['pid'] == pid:
            threads[sample.labels['thread']] += sample.count
            tids[sample.labels['thread']].add(sample.labels['thread_id'])
    assert set(threads) == set(names.BUSY), threads
    assert all(len(ids) == 1 and ids <= there_are for ids in tids.values()), tids
    # One interpreter lock, three equal threads.
    assert min(threads.values()) > 0.15 * sum(threads.values()), threads
    oracle = python.oracle('threads.py')
    found = illegal(recording.stacks(pid), oracle.why_not)
    assert not found, describe(found)


@pytest.mark.parametrize('newest', INTERPRETERS[-1:], ids=str)
def test_threads_are_roots(newest, workshop):
    """-t: a root frame for each thread, with its id and its name."""
    names = targets_module('threads')
    target = workshop.crowd([newest], 'threads')[newest]['threads']
    path = workshop.record_waking([target], 0.5, '-t', rate=499, extension='.folded').path
    roots = collections.Counter()
    for stack, count in parse_folded(path).items():
        roots[stack[0]] += count
    shown = {name: [root for root in roots if name in root] for name in names.BUSY}
    assert len(roots) == 3 and all(len(found) == 1 for found in shown.values()), roots
    for root in roots:
        assert tasks(target) & set(map(int, re.findall(r'\d+', root))), root
