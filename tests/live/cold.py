# SPDX-License-Identifier: Apache-2.0
"""Memory that is not there: swap space, and who has a process paged out to it."""
import contextlib
import ctypes
import os
import subprocess
import threading

SWAP_MIB = 256
SYS_PROCESS_MADVISE = 440  # Linux 5.10
MADV_PAGEOUT = 21
EVERY_S = 0.02
LIBC = ctypes.CDLL(None, use_errno=True)


@contextlib.contextmanager
def swap(folder):
    """True: there is swap space, that of the machine or a file in the folder."""
    with open('/proc/swaps', encoding='ascii') as stream:
        if len(stream.readlines()) > 1:
            yield True
            return
    path = os.path.join(folder, 'swap')
    with open(path, 'wb') as stream:
        os.chmod(path, 0o600)
        for _ in range(SWAP_MIB):  # no holes
            stream.write(bytes(1 << 20))
    subprocess.run(['mkswap', path], stdout=subprocess.DEVNULL, check=True)
    try:
        if subprocess.run(['swapon', path], check=False).returncode:
            yield False
            return
        try:
            yield True
        finally:
            subprocess.run(['swapoff', path], check=True)
    finally:
        os.unlink(path)


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
