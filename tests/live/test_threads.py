# SPDX-License-Identifier: Apache-2.0
"""Threads: their names, who works and who waits, and their stacks down to the thread's start."""
import collections
import os
import re

from harness import parse_folded
from oracle import describe, illegal
from test_lines import targets_module


def test_only_working_threads_by_name(python, workshop):
    names = targets_module('threads')
    target = workshop.start(python, 'threads.py')
    recording = workshop.record('-p', target.pid, rate=1000, seconds=2)
    threads = collections.Counter()
    tids = collections.defaultdict(set)
    for sample in recording.profile.samples:
        threads[sample.labels['thread']] += sample.count
        tids[sample.labels['thread']].add(sample.labels['thread_id'])
    assert set(threads) == set(names.BUSY), threads
    assert all(len(ids) == 1 for ids in tids.values()), tids
    assert all(os.path.isdir(f'/proc/{target.pid}/task/{tid}')
               for ids in tids.values() for tid in ids)
    # One interpreter lock, three equal threads.
    assert min(threads.values()) > 0.15 * sum(threads.values()), threads
    oracle = python.oracle('threads.py')
    found = illegal(recording.stacks(), oracle.why_not)
    assert not found, describe(found)


def test_threads_are_roots(python, workshop):
    """-t: a root frame for each thread, with its id and its name."""
    names = targets_module('threads')
    target = workshop.start(python, 'threads.py')
    path = workshop.record('-p', target.pid, '-t', rate=499, seconds=1, extension='.folded').path
    roots = collections.Counter()
    for stack, count in parse_folded(path).items():
        roots[stack[0]] += count
    shown = {name: [root for root in roots if name in root] for name in names.BUSY}
    assert len(roots) == 3 and all(len(found) == 1 for found in shown.values()), roots
    for root in roots:
        tids = re.findall(r'\d+', root)
        assert any(os.path.isdir(f'/proc/{target.pid}/task/{tid}') for tid in tids), root
