# SPDX-License-Identifier: Apache-2.0
"""Ways to be refused: what a process is before it becomes pitviper. For preexec_fn."""
import ctypes
import os
import struct

LIBC = ctypes.CDLL(None, use_errno=True)
NOBODY = 65534
CAPABILITIES = {'CAP_DAC_READ_SEARCH': 2, 'CAP_SYS_PTRACE': 19, 'CAP_SYSLOG': 34, 'CAP_PERFMON': 38,
                'CAP_BPF': 39}  # the five that are to suffice
SYSCALLS = {'x86_64': {'bpf': 321, 'perf_event_open': 298},
            'aarch64': {'bpf': 280, 'perf_event_open': 241}}.get(os.uname().machine)

PR_SET_KEEPCAPS, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 8, 22, 38, 47
PR_CAP_AMBIENT_RAISE, SECCOMP_MODE_FILTER = 2, 2
CAPABILITY_VERSION_3 = 0x20080522
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000


def call(function, *arguments):
    if function(*arguments) < 0:
        raise OSError(ctypes.get_errno(), function.__name__)


def prctl(option, *arguments):
    words = [ctypes.c_ulong(word) for word in [*arguments, 0, 0, 0, 0][:4]]
    call(LIBC.prctl, option, *words)


def nobody_with(names):
    """An ordinary user with these capabilities, as `setcap` on the program would give them."""
    mask = sum(1 << CAPABILITIES[name] for name in names)

    def become():
        prctl(PR_SET_KEEPCAPS, 1)
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
        low, high = mask & 0xffffffff, mask >> 32
        call(LIBC.capset, struct.pack('II', CAPABILITY_VERSION_3, 0),
             struct.pack('6I', low, low, low, high, high, high))
        for name in names:
            prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAPABILITIES[name])
    return become


def without_syscall(name, errno):
    """As a container's seccomp profile has it."""
    number = SYSCALLS[name]
    program = b''.join(struct.pack('HBBI', *row) for row in (
        (0x20, 0, 0, 0),               # load the number of the call
        (0x15, 0, 1, number),          # if it is that one
        (0x06, 0, 0, 0x50000 | errno), # answer errno
        (0x06, 0, 0, 0x7fff0000)))     # else allow it
    buffer = ctypes.create_string_buffer(program)

    def become():
        header = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', 4, ctypes.addressof(buffer)))
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(header))
    return become


def mounted(source, target, kind, options, then=lambda: None):
    """Something mounted for this process only."""
    def become():
        call(LIBC.unshare, CLONE_NEWNS)
        call(LIBC.mount, b'none', b'/', None, MS_REC | MS_PRIVATE, None)
        call(LIBC.mount, source.encode(), target.encode(), kind.encode(), 0, options.encode())
        then()
    return become
