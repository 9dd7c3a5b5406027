# SPDX-License-Identifier: Apache-2.0
"""Stacks whose frames and code are not in memory."""
import ctypes
import os
import subprocess
import threading

import pytest

from harness import OURS
from test_session import event

SWAP_MIB = 256
TASK_WORK = 'bpf_task_work_schedule_resume_impl'
SYS_PROCESS_MADVISE = 440  # Linux 5.10
MADV_PAGEOUT = 21
EVERY_S = 0.02
LIBC = ctypes.CDLL(None, use_errno=True)


@pytest.fixture(scope='module')
def swap(tmp_path_factory):
    """Space to page out to: what there is, or a file of our own."""
    with open('/proc/swaps', encoding='ascii') as stream:
        if len(stream.readlines()) > 1:
            yield
            return
    path = str(tmp_path_factory.mktemp('swap') / 'swap')
    with open(path, 'wb') as stream:
        os.chmod(path, 0o600)
        for _ in range(SWAP_MIB):  # no holes
            stream.write(bytes(1 << 20))
    subprocess.run(['mkswap', path], stdout=subprocess.DEVNULL, check=True)
    if subprocess.run(['swapon', path], check=False).returncode:
        pytest.skip('no swap space can be had here')
    try:
        yield
    finally:
        subprocess.run(['swapoff', path], check=True)


class Pager(threading.Thread):
    """Has all private memory of a process paged out, again and again."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid = pid
        self.over = threading.Event()
        self.swapped_kib = 0

    def page_out(self, pidfd):
        with open(f'/proc/{self.pid}/maps', encoding='utf-8', errors='replace') as maps:
            fields = [line.split() for line in maps]
        ends = [[int(end, 16) for end in one[0].split('-')] for one in fields
                if one[1] == 'rw-p' and (len(one) < 6 or one[5] == '[heap]')]
        for start, end in ends:
            vector = (ctypes.c_size_t * 2)(start, end - start)
            if LIBC.syscall(SYS_PROCESS_MADVISE, pidfd, vector, ctypes.c_size_t(1), MADV_PAGEOUT,
                            0) < 0:
                raise OSError(ctypes.get_errno(), 'process_madvise')

    def run(self):
        pidfd = os.pidfd_open(self.pid)
        while not self.over.wait(EVERY_S):
            self.page_out(pidfd)
            with open(f'/proc/{self.pid}/status', encoding='utf-8') as status:
                swapped = [int(line.split()[1]) for line in status if line.startswith('VmSwap:')]
            self.swapped_kib = max(self.swapped_kib, *swapped)
        os.close(pidfd)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


def has_task_work():
    with open('/proc/kallsyms', encoding='ascii') as stream:
        return any(line.split()[2] == TASK_WORK for line in stream)


def test_paged_out(python, workshop, swap):
    """Where the kernel can wait for pages each stack is whole; elsewhere it says what is missing."""
    target = workshop.start(python, 'cold.py')
    with Pager(target.pid) as pager:
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
