# SPDX-License-Identifier: Apache-2.0
"""How often did the kernel run the sampler? Its own statistics of BPF programs, not pitviper's."""
import ctypes
import glob
import os
import threading

BPF_PROG_GET_FD_BY_ID = 13
BPF_PROG_TYPE_PERF_EVENT = 7
SYS_BPF = {'x86_64': 321, 'aarch64': 280}.get(os.uname().machine)
SYSCTL = '/proc/sys/kernel/bpf_stats_enabled'


def program_fd(ident):
    """A descriptor of our own, which keeps the program and its counts after its owner's end."""
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = (ctypes.c_uint32 * 32)(ident)
    fd = libc.syscall(SYS_BPF, BPF_PROG_GET_FD_BY_ID, attributes, ctypes.sizeof(attributes))
    return fd if fd >= 0 else None


def fdinfo(path):
    try:
        with open(path, encoding='ascii') as stream:
            return dict(line.rstrip('\n').split(':\t', 1) for line in stream if ':\t' in line)
    except (OSError, ValueError):
        return {}


def busy_s():
    """The time that all CPUs together have not idled, nor been taken away by a hypervisor."""
    with open('/proc/stat', encoding='ascii') as stream:
        user, nice, system, _, _, irq, softirq = map(int, stream.readline().split()[1:8])
    return (user + nice + system + irq + softirq) / os.sysconf('SC_CLK_TCK')


class TickWatch:
    """Holds the perf programs of a starting pitviper; run_cnt is final after stop().

    `look` tells the CPU times of the targets: {key: seconds}. What they used between the first and
    the last tick that was seen is in `used_s`: pitviper's own start and end are no part of that.
    """

    EVERY_S = 0.05

    def __init__(self, look=dict):
        self.run_cnt = None
        self.run_time_ns = None
        self.used_s = {}
        self.busy_hz = None  # ticks in a second of a CPU that is busy, if those of idle ones were none
        self.seen = threading.Event()
        self._look_at = look
        self._fds = {}  # by program id; one that only probes the kernel is never run
        self._over = threading.Event()
        self._thread = None
        self._enabled = self._enable()

    @staticmethod
    def _enable():
        """From before the program is loaded, or the first runs are not counted."""
        try:
            with open(SYSCTL, 'w', encoding='ascii') as stream:
                stream.write('1')
            return True
        except OSError:
            return False

    def start(self, pid):
        self._thread = threading.Thread(target=self._look, args=(pid,), daemon=True)
        self._thread.start()

    def _look(self, pid):
        while not self._over.wait(0.002):
            for path in glob.glob(f'/proc/{pid}/fdinfo/*'):
                info = fdinfo(path)
                if info.get('prog_type') != str(BPF_PROG_TYPE_PERF_EVENT):
                    continue
                if info['prog_id'] not in self._fds:
                    self._fds[info['prog_id']] = program_fd(int(info['prog_id']))
                if int(info.get('run_cnt', 0)) > 0:
                    self._follow()
                    return

    def _follow(self):
        """Note what the targets use while there are ticks."""
        first, begin, busy = self._runs(), self._look_at(), busy_s()
        self.seen.set()
        last = first
        while not self._over.wait(self.EVERY_S):
            now, used = busy_s(), self._look_at()  # before the ticks: those came no earlier
            runs = self._runs()
            if runs > last:
                last = runs
                self.used_s.update({key: used[key] - begin[key] for key in used if key in begin})
                self.busy_hz = (runs - first) / max(now - busy, self.EVERY_S)

    def _infos(self):
        return [fdinfo(f'/proc/self/fdinfo/{fd}') for fd in self._fds.values() if fd is not None]

    def _runs(self):
        return sum(int(info.get('run_cnt', 0)) for info in self._infos())

    def stop(self):
        """After the end of pitviper."""
        self._over.set()
        self._thread.join()
        infos = self._infos()
        for fd in self._fds.values():
            if fd is not None:
                os.close(fd)
        self._fds = {}
        if self._enabled and infos and all(info.get('run_cnt', '').isdigit() for info in infos):
            self.run_cnt = sum(int(info['run_cnt']) for info in infos)
            self.run_time_ns = sum(int(info['run_time_ns']) for info in infos)
