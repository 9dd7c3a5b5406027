# SPDX-License-Identifier: Apache-2.0
"""Stacks whose frames and code are not in memory."""
import pytest

import cold
from harness import OURS
from test_session import event

TASK_WORK = 'bpf_task_work_schedule_resume_impl'


@pytest.fixture(scope='module')
def swap(tmp_path_factory):
    with cold.swap(str(tmp_path_factory.mktemp('swap'))) as there_is:
        if not there_is:
            pytest.skip('no swap space can be had here')
        yield


def has_task_work():
    with open('/proc/kallsyms', encoding='ascii') as stream:
        return any(line.split()[2] == TASK_WORK for line in stream)


def test_paged_out(python, workshop, swap):
    """Where the kernel can wait for pages each stack is whole; elsewhere it says what is missing."""
    target = workshop.start(python, 'cold.py')
    with cold.Pager(target.pid) as pager:
        recording = workshop.record('-p', target.pid, rate=999, seconds=2)
    assert pager.swapped_kib > 400, 'nothing was paged out: tests nothing'
    ledger = recording.ledger
    ours = sum(ledger[label] for label in (*OURS, 'no Python state', 'unfinished'))
    assert ours >= recording.expected(target), recording.messages
    if not has_task_work():
        assert ledger['unreadable'] + ledger['torn'] > 0.5 * ours, recording.messages
        return
    assert ledger['complete'] >= 0.99 * ours, recording.messages
    assert event(recording, 'waited for pages') > 10, recording.messages
    expected = ['<module>'] + [f'level_{n}' for n in range(40)] + ['leaf']
    for stack, _ in recording.stacks():
        assert [frame.name for frame in stack][:42] == expected, stack
