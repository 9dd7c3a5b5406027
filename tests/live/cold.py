# SPDX-License-Identifier: Apache-2.0
"""Memory that is not there: swap space, and who has a process paged out to it."""
import contextlib
import ctypes
import os
import subprocess
import threading

SWAP_MIB = 128
SYS_PROCESS_MADVISE = 440  # Linux 5.10
MADV_PAGEOUT = 21
EVERY_NS = 20_000_000
LIBC = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def swap(folder):
    """True: there is swap space, that of the machine or a disk in memory.

    What a real disk takes for one page may be as long as the pages stay in, and nothing gets on.
    Not tmpfs, which is swapped out itself, and would wait for itself.
    """
    with open('/proc/swaps', encoding='ascii') as stream:
        if len(stream.readlines()) > 1:
            yield True
            return
    with contextlib.ExitStack() as undo:
        def run(*argv):
            return subprocess.run(argv, stdout=subprocess.PIPE, check=True)
        run('mount', '-t', 'ramfs', 'pitviper', folder)
        undo.callback(run, 'umount', folder)
        path = os.path.join(folder, 'swap')
        with open(path, 'wb') as stream:
            for _ in range(SWAP_MIB):
                stream.write(bytes(1 << 20))
        disk = run('losetup', '--find', '--show', path).stdout.decode().strip()
        undo.callback(run, 'losetup', '--detach', disk)
        run('mkswap', disk)
        try:
            run('swapon', disk)
        except subprocess.CalledProcessError:
            yield False
            return
        undo.callback(run, 'swapoff', disk)
        yield True


class Pager(threading.Thread):
    """Has all private memory of a process paged out, again and again: as often as it gets on with it.
    Otherwise what it does in the time between depends on the machine."""

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

    def ran_ns(self):
        with open(f'/proc/{self.pid}/schedstat', encoding='ascii') as schedstat:
            return int(schedstat.read().split()[0])

    def run(self):
        pidfd = os.pidfd_open(self.pid)
        next_ns = 0
        while not self.over.wait(0.005):
            if self.ran_ns() < next_ns:
                continue
            self.page_out(pidfd)
            next_ns = self.ran_ns() + EVERY_NS
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
