#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the agent costs on a host of many Python processes, by accounts that are not its own.

    tests/bench/agent.py [--processes 100] [--busy 2] [--rate 19] [--max-cpu 0.5%] [--seconds 600]
                         [--starts 0] [--alone]

Each ten seconds a line; at the end the sums: CPU time of the process (schedstat) and of its BPF programs
(the kernel's run-time statistics), memory, descriptors, the store's growth, and the CPU time in the store
beside that of the busy processes, which begin when the agent samples and are stopped before it ends.
--starts: Python processes started (and ended) a second. --alone: in a pid namespace of their own, so that
the agent follows no other processes of the host.
"""
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, 'tests', 'live'), HERE]

import measure  # noqa: E402
from test_agent import UnixConnection, stored  # noqa: E402

CROWD = '''
import os, sys, threading, time
busy, parent = int(sys.argv[1]), os.getppid()
def leaf(n):
    return sum(i * i for i in range(n))
def deep(n, depth):
    return deep(n, depth - 1) if depth else leaf(n)
print('ready', flush=True)
sys.stdin.readline()
if busy:
    while os.getppid() == parent:
        for n in range(100, 400):
            deep(n, n % 17)
while os.getppid() == parent:
    time.sleep(1)
'''
STARTS = '''
import subprocess, sys, time
rate = float(sys.argv[1])
begin, count, children = time.monotonic(), 0, []
while True:
    children = [child for child in children if child.poll() is None]
    if count < (time.monotonic() - begin) * rate and len(children) < 100:
        children.append(subprocess.Popen([sys.executable, '-S', '-E', '-c',
                                          'sum(i * i for i in range(20000))']))
        count += 1
    else:
        time.sleep(0.005)
'''


class Watched:
    """An agent with its store and socket in a folder."""

    def __init__(self, folder, options):
        self.store = os.path.join(folder, 'store.pv')
        self.socket = os.path.join(folder, 'agent.sock')
        self.process = subprocess.Popen(
            [os.path.join(ROOT, '.output', 'pitviper'), 'agent', '--config', '/dev/null',
             '--store', self.store, '--listen', 'unix:' + self.socket,
             '--kill-switch', os.path.join(folder, 'off'), *options])
        self.rows = lambda query: __import__('sqlite3').connect(
            f'file:{urllib.parse.quote(self.store)}?mode=ro', uri=True).execute(query).fetchall()

    def metrics(self):
        connection = UnixConnection(self.socket)
        connection.request('GET', '/metrics')
        text = connection.getresponse().read().decode()
        connection.close()
        return {name: float(value) for name, value in
                re.findall(r'^pitviper_(\w+(?:\{[^}]*\})?) (\S+)$', text, re.MULTILINE)}

    def size(self):
        return sum(os.stat(self.store + end).st_size for end in ('', '-wal', '-shm')
                   if os.path.exists(self.store + end))

    def content(self):
        """Bytes of the pages in use: the log beside the file grows to 4 MB and then no more."""
        return sum(self.rows('SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, '
                             'pragma_freelist_count, pragma_page_size')[0])


def metrics_or(agent, before):
    """Its metrics; those of the last time if the host is too busy to answer."""
    try:
        return agent.metrics()
    except OSError:
        return before


def cpu_s(pid):
    with open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace') as stream:
        fields = stream.read().rpartition(')')[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf('SC_CLK_TCK')


def percent(cost):
    return 100 * (cost.cpu_ns + cost.bpf_ns) / cost.time_ns


def watch(agent, seconds):
    first = before = measure.cost(agent.process.pid)
    size = []
    metrics = agent.metrics()
    worst = 0
    while (before.time_ns - first.time_ns) / 1e9 < seconds:
        time.sleep(10 - (time.monotonic_ns() - first.time_ns) / 1e9 % 10)
        if agent.process.poll() is not None:
            sys.exit(f'the agent has ended: status {agent.process.returncode}')
        now = measure.cost(agent.process.pid)
        metrics = metrics_or(agent, metrics)
        used = percent(measure.used(before, now))
        parts = ', '.join(f'{part} {metrics[f"cpu_seconds_total{{part={chr(34)}{part}{chr(34)}}}"]:.3f}'
                          for part in ('bpf', 'samples', 'watch', 'flush'))
        print(f'{(now.time_ns - first.time_ns) / 1e9:5.0f} s: {used:.3f} % of a CPU '
              f'(its own account: {100 * metrics["cpu_used_ratio"]:.3f} %), '
              f'{metrics["rate_hz"]:.0f} Hz, {measure.memory_kb(agent.process.pid) / 1024:.1f} MB, '
              f'{measure.file_cnt(agent.process.pid)} descriptors, store {agent.size() / 1024:.0f} kB; '
              f'CPU s: {parts}', flush=True)
        if (now.time_ns - first.time_ns) / 1e9 > 15:
            worst = max(worst, used)
        size.append((now.time_ns, agent.content()))
        before = now
    return measure.used(first, before), worst, size


def stop(pids):
    """They run no more after this. The CPU time they have used."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        os.waitpid(pid, os.WUNTRACED)
    return sum(cpu_s(pid) for pid in pids)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--processes', type=int, default=100)
    parser.add_argument('--busy', type=int, default=2)
    parser.add_argument('--rate', type=int, default=19)
    parser.add_argument('--max-cpu', default='0.5%')
    parser.add_argument('--seconds', type=int, default=600)
    parser.add_argument('--starts', type=float, default=0)
    parser.add_argument('--alone', action='store_true')
    args = parser.parse_args()
    if args.alone:
        os.execvp('unshare', ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child', sys.executable]
                  + [one for one in sys.argv if one != '--alone'])
    folder = tempfile.mkdtemp(prefix='pitviper-agent-')
    crowd = [subprocess.Popen([sys.executable, '-c', CROWD, str(int(i < args.busy))],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE)
             for i in range(args.processes)]
    starts = None
    agent = None
    try:
        for one in crowd:
            one.stdout.readline()
        with measure.bpf_statistics():
            agent = Watched(folder, ['--rate', str(args.rate), '--max-cpu', args.max_cpu])
            while not os.path.exists(agent.socket):
                time.sleep(0.05)
            if args.starts:
                starts = subprocess.Popen([sys.executable, '-c', STARTS, str(args.starts)])
            while not agent.metrics()['sampling']:
                time.sleep(0.05)
            # Who watches is not to wait for 200 others.
            os.setpriority(os.PRIO_PROCESS, 0, -10)
            busy = [one.pid for one in crowd[:args.busy]]
            begin_s = sum(map(cpu_s, busy))
            for one in crowd:
                one.stdin.close()
            total, worst, size = watch(agent, args.seconds)
            used_s = stop(busy) - begin_s
            peak = measure.peak_memory_kb(agent.process.pid)
            agent.process.send_signal(signal.SIGTERM)
            agent.process.wait()
        half = size[len(size) // 2:]
        grown = (half[-1][1] - half[0][1]) / max((half[-1][0] - half[0][0]) / 1e9, 1)
        stored_s = sum(stored(agent)[0][pid] for pid in busy)
        outcomes, ticks = agent.rows('SELECT (SELECT sum(cnt) FROM ledger JOIN counter ON counter = '
                                     'counter.id WHERE NOT event), sum(tick_cnt) FROM bucket')[0]
        print(f'CPU: {percent(total):.3f} % of one (process {100 * total.cpu_ns / total.time_ns:.3f} %, '
              f'BPF {100 * total.bpf_ns / total.time_ns:.3f} %); worst ten seconds after the first '
              f'15: {worst:.3f} %')
        print(f'memory: {peak / 1024:.1f} MB at its peak')
        print(f'store: {grown * 86400 / 1e6:.1f} MB a day, by its growth in the second half')
        print(f'busy processes: {used_s:.2f} s of CPU, in the store {stored_s:.2f} s '
              f'({100 * (stored_s / used_s - 1) if used_s else 0:+.2f} %)')
        print(f'ledger: {ticks} ticks, {outcomes} outcomes')
        weighed_s, span_s = agent.rows('SELECT sum(tick_cnt * 1.0 / rate_hz), '
                                       'sum(span_ns * 1e-9 * cpu_cnt) FROM bucket')[0]
        print(f'ticks stand for {weighed_s:.2f} s of {span_s:.2f} s ({100 * (weighed_s / span_s - 1):+.2f} %)')
    finally:
        for one in filter(None, [starts, agent and agent.process, *crowd]):
            if one.poll() is None:
                one.kill()
            one.wait()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == '__main__':
    main()
