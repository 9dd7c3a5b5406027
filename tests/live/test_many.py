# SPDX-License-Identifier: Apache-2.0
"""Processes that come and go by the thousand: what has ended costs nothing any more."""
import os
import re

import pytest

from harness import find_interpreters
from test_session import event

COUNT = 2000
ALONE = 1000  # ended processes shown one by one


@pytest.fixture(scope='module')
def one_python():
    """For what has nothing to do with versions."""
    return find_interpreters()[-1]


def held(pid):
    """Resident memory in KB and open files of a process."""
    with open(f'/proc/{pid}/status', encoding='ascii', errors='replace') as stream:
        memory = int(re.search(r'^VmRSS:\s+(\d+) kB', stream.read(), re.MULTILINE).group(1))
    return memory, len(os.listdir(f'/proc/{pid}/fd'))


def go_on(target):
    target.process.stdin.write(b'\n')
    target.process.stdin.flush()


def test_memory_and_files(one_python, workshop):
    """The second thousand of processes takes next to nothing that the first one did not have."""
    target = workshop.start(one_python, 'many.py', COUNT, 0.002)
    recorder = workshop.begin('-a', rate=2999).sampling()
    seen = []
    for word in ('half', 'done'):
        go_on(target)
        target.expect(word)
        seen.append(held(recorder.process.pid))
    recording = recorder.interrupt().wait().check()
    (half, half_files), (end, end_files) = seen
    assert end < half * 1.25, seen
    assert end_files == half_files, seen
    # Whoever was put together with others is in no process of its own, and still has its functions.
    alone = {sample.labels['pid'] for sample in recording.profile.samples
             if 'pid' in sample.labels}
    together = [sample for sample in recording.profile.samples if 'pid' not in sample.labels]
    # A pid may have been used again meanwhile.
    assert ALONE * 0.9 < len(alone) < COUNT * 0.75, recording.messages
    assert {sample.labels['process'].rpartition(' (')[2] for sample in together} == \
        {'ended processes)'}, recording.messages
    burnt = sum(sample.count for sample in together
                if 'burn' in [frame.name for frame in sample.stack])
    assert burnt > COUNT - ALONE, recording.messages
    assert event(recording, 'ended processes put together') > COUNT * 0.95 - ALONE, \
        recording.messages
