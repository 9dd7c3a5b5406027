# SPDX-License-Identifier: Apache-2.0
"""Holds so many MiB in small pages, works until its input ends, and then ends at once."""
import ctypes
import mmap
import os
import select
import signal
import sys

PAGE = 4096
MADV_NOHUGEPAGE = 15


def spin():
    while not select.select([0], [], [], 0)[0]:
        sum(range(200))


signal.alarm(300)
memory = mmap.mmap(-1, int(sys.argv[1]) << 20)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
if ctypes.CDLL(None).madvise(ctypes.c_void_p(address), ctypes.c_size_t(len(memory)),
                             MADV_NOHUGEPAGE):
    sys.exit('madvise failed')
for at in range(0, len(memory), PAGE):
    memory[at] = 1
os.write(1, b'ready\n')
spin()
os._exit(0)
