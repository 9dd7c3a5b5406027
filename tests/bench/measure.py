# SPDX-License-Identifier: Apache-2.0
"""What a profiler costs: CPU time, memory and BPF time of a process, read from /proc while it runs."""
import collections
import contextlib
import glob
import json
import os
import re
import subprocess
import time

STATS = '/proc/sys/kernel/bpf_stats_enabled'
PERF_EVENT = 7  # enum bpf_prog_type: the program that runs on the tick


def read(path):
    with open(path, encoding='utf-8', errors='replace') as stream:
        return stream.read()


@contextlib.contextmanager
def bpf_statistics():
    """The kernel's own run-time statistics of BPF programs, on for as long as this lasts."""
    before = read(STATS).strip()
    with open(STATS, 'w', encoding='ascii') as stream:
        stream.write('1')
    try:
        yield
    finally:
        with open(STATS, 'w', encoding='ascii') as stream:
            stream.write(before)


Cost = collections.namedtuple('Cost', 'time_ns cpu_ns bpf_ns tick_ns tick_cnt')


def descendants(pid):
    """A process and what it started."""
    out = [pid]
    for path in glob.glob(f'/proc/{pid}/task/*/children'):
        with contextlib.suppress(OSError):
            for child in read(path).split():
                out += descendants(int(child))
    return out


def cost(pid):
    """What a process, its children and its BPF programs have used so far. tick_*: the program that
    runs on the tick, bpf_ns: all its programs."""
    cpu = 0
    programs = {}
    for each in descendants(pid):
        for path in glob.glob(f'/proc/{each}/task/*/schedstat'):
            with contextlib.suppress(OSError):
                cpu += int(read(path).split()[0])
    for path in glob.glob(f'/proc/{pid}/fdinfo/*'):
        with contextlib.suppress(OSError):
            info = dict(re.findall(r'^(\w+):\s+(\d+)$', read(path), re.M))
            if 'run_time_ns' in info:
                programs[info['prog_id']] = info
    ticks = [p for p in programs.values() if int(p['prog_type']) == PERF_EVENT]
    return Cost(time.monotonic_ns(), cpu, sum(int(p['run_time_ns']) for p in programs.values()),
                sum(int(p['run_time_ns']) for p in ticks), sum(int(p['run_cnt']) for p in ticks))


Programs = collections.namedtuple('Programs', 'instructions verified')


def programs(pid):
    """How long the BPF programs of a process are, and how many instructions the verifier looked at."""
    verified = {}
    for path in glob.glob(f'/proc/{pid}/fdinfo/*'):
        with contextlib.suppress(OSError):
            info = dict(re.findall(r'^(\w+):\s+(\d+)$', read(path), re.M))
            if 'verified_insns' in info:  # a program's, not that of a link to it
                verified[info['prog_id']] = int(info['verified_insns'])
    length = 0
    for program in verified:
        shown = subprocess.run(['/usr/sbin/bpftool', '-j', 'prog', 'show', 'id', program],
                               stdout=subprocess.PIPE, check=True).stdout
        length += json.loads(shown)['bytes_xlated'] // 8
    return Programs(length, sum(verified.values()))


def used(before, after):
    return Cost(*(b - a for a, b in zip(before, after)))


def peak_memory_kb(pid):
    return int(re.search(r'VmHWM:\s+(\d+)', read(f'/proc/{pid}/status')).group(1))


def memory_kb(pid):
    return int(re.search(r'VmRSS:\s+(\d+)', read(f'/proc/{pid}/status')).group(1))


def file_cnt(pid):
    return len(os.listdir(f'/proc/{pid}/fd'))
