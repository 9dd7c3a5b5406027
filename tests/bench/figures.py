# SPDX-License-Identifier: Apache-2.0
"""The figures to reach, each measured by one function that yields rows of the table."""
import collections
import contextlib
import os
import re
import signal
import tempfile
import time

from measure import (bpf_statistics, cost, file_cnt, memory_kb, peak_memory_kb, programs,
                     used)
from targets import Brood, Cold, Idler, Many, Mix, Puzzle, Spinner, swap

# what: of the table; who: pitviper or a peer; value: as text; good: True, False, None (no bound)
Row = collections.namedtuple('Row', 'what reach who value good')
FIGURES = {}
PUZZLES = ('flutter', 'recursion', 'generators')
PERF_PER_CPU = os.cpu_count()


class Bench:
    def __init__(self, pitviper, peers, pythons, quick):
        self.pitviper, self.peers, self.pythons, self.quick = pitviper, peers, pythons, quick
        self.python = pythons.get((3, 12)) or pythons[max(pythons)]
        self.runs = 0
        self.worst_difference = 0

    def checked(self, result):
        """Every recording of ours enters the row about the ledger."""
        ticks = result.ledger['ticks']
        rows = sum(count for label, count in result.ledger.items() if label != 'ticks')
        self.runs += 1
        self.worst_difference = max(self.worst_difference, abs(rows - ticks))
        return result

    def record(self, profiler, pid, rate, seconds, **more):
        """Record and do nothing else."""
        with tempfile.TemporaryDirectory() as folder:
            result = profiler.start(pid, rate, seconds, folder, **more).finish(seconds + 60)
        return self.checked(result) if profiler is self.pitviper else result

    def record_and_cost(self, profiler, pid, rate, seconds, meanwhile=time.sleep):
        """(result, cost in steady state, what `meanwhile(seconds)` returned, memory in kB)"""
        with tempfile.TemporaryDirectory() as folder:
            recording = profiler.start(pid, rate, seconds + 2, folder)
            time.sleep(1.5)
            before = cost(recording.pid)
            answer = meanwhile(seconds - 0.5)
            after = cost(recording.pid)
            memory = peak_memory_kb(recording.pid)
            result = recording.finish(60)
        if profiler is self.pitviper:
            self.checked(result)
        return result, used(before, after), answer, memory


def figure(function):
    FIGURES[function.__name__] = function
    return function


def percent(part, whole):
    return f'{100 * part / whole:.2f} %' if whole else '-'


def puzzle_runs(bench):
    """(rate, samples wanted)"""
    return [(1000, 1000)] if bench.quick else [(99, 5000), (1000, 5000), (10000, 5000)]


def verdict(name, rate, version, wrong, samples, torn, wanted):
    """One cell of the figure below. torn: ticks given up; None: said in a row of its own."""
    good = not wrong and samples >= wanted and (torn is None or torn <= 0.001 * (samples + torn))
    text = '' if torn is None else f', torn {percent(torn, samples + torn)}'
    return Row(f'impossible stacks: {name}, {rate} Hz, Python {version[0]}.{version[1]}',
               '0, <= 0.1 % torn', 'pitviper', f'{wrong} of {samples}{text}', good)


def impossible_together(bench, rate, wanted):
    """All targets in one recording: one by one, a low rate would take half an hour."""
    cells = [(name, version) for name in PUZZLES for version in sorted(bench.pythons)]
    with contextlib.ExitStack() as stack:
        targets = {}
        for at, cell in enumerate(cells):
            puzzle = Puzzle(cell[0], bench.pythons[cell[1]], cpu=at % PERF_PER_CPU)
            targets[cell] = stack.enter_context(puzzle)
        seconds = round(1.1 * wanted * len(cells) / rate / PERF_PER_CPU)
        result = bench.record(bench.pitviper, [target.pid for target in targets.values()], rate,
                              seconds)
        for (name, version), target in targets.items():
            stacks = result.by_pid[target.pid]
            yield verdict(name, rate, version, target.impossible(stacks, qualified=True),
                          sum(stacks.values()), None, wanted)
    torn = result.ledger['torn']
    yield Row(f'torn, {rate} Hz, all of these together', '<= 0.1 %', 'pitviper',
              percent(torn, result.samples + torn), torn <= 0.001 * (result.samples + torn))


@figure
def impossible(bench):
    """stacks that could not have happened, at each rate, in every version"""
    for rate, wanted in puzzle_runs(bench):
        if rate < 1000:
            yield from impossible_together(bench, rate, wanted)
            continue
        for name in PUZZLES:
            for version, python in sorted(bench.pythons.items()):
                # 5 % more than needed: the target shares its CPU with others
                seconds = max(2, round(wanted * 1.05 / rate + 1))
                with Puzzle(name, python, cpu=0) as target:
                    result = bench.record(bench.pitviper, target.pid, rate, seconds)
                    wrong = target.impossible(result.stacks, qualified=True)
                yield verdict(name, rate, version, wrong, result.samples, result.ledger['torn'],
                              wanted)
    for name in PUZZLES:
        yield from impossible_peers(bench, name)


def impossible_peers(bench, name):
    rate, seconds = 1000, 2 if bench.quick else 6
    for peer in bench.peers:
        version = (3, 15) if peer.name == 'CPython 3.15' else (3, 12)
        if version not in bench.pythons:
            continue
        with Puzzle(name, bench.pythons[version], cpu=0) as target:
            result = bench.record(peer, target.pid, rate, seconds)
            wrong = target.impossible(result.stacks, qualified=False)
        attempts = result.samples + result.errors
        yield Row(f'impossible stacks: {name}, {rate} Hz, Python {version[0]}.{version[1]}', '',
                  peer.name, f'{percent(wrong, result.samples)} of {result.samples}, '
                  f'errors {percent(result.errors, attempts)}', None)


# As user/kern/features.c calls what a kernel lacks.
KERNELS = {'as on Linux 6.18': '', 'as on 5.17': 'task_work',
           'as on 5.10': 'loop,task_work,task_type,task_regs'}


@figure
def load(bench):
    """how long the BPF programs are, how much of them the verifier looks at, how long that takes"""
    for name, without in KERNELS.items():
        times = []
        for _ in range(3):
            with Spinner(20, bench.python) as target, tempfile.TemporaryDirectory() as folder:
                recording = bench.pitviper.start(target.pid, 99, 2, folder, verbose=True,
                                                 prefix=('env', f'PITVIPER_WITHOUT={without}'))
                while 'sampling has begun' not in recording.printed():
                    time.sleep(0.02)
                found = programs(recording.pid)
                text = bench.checked(recording.finish(60)).text
            took = re.search(r'programs loaded in ([\d.]+) ms, ([\d.]+) ms of CPU time', text)
            times.append([float(each) for each in took.groups()])
        wall, cpu = min(times)
        yield Row(f'programs {name}: instructions, verified, load', '<= 500 ms', 'pitviper',
                  f'{found.instructions}, {found.verified}, {wall:.0f} ms ({cpu:.0f} ms of CPU)',
                  wall <= 500)


@figure
def shares(bench):
    """of a known mix of functions, against the account that the target keeps itself"""
    seconds = 5 if bench.quick else 20
    for version, python in sorted(bench.pythons.items()):
        if bench.quick and python is not bench.python:
            continue
        with Mix(python) as target:
            result = bench.record(bench.pitviper, target.pid, 999, seconds)
            spent = target.spent()
        counts = {name: sum(count for stack, count in result.stacks.items()
                            if name in [frame.name for frame in stack]) for name in spent}
        worst = max(abs(100 * counts[name] / sum(counts.values()) -
                        100 * spent[name] / sum(spent.values())) for name in spent)
        yield Row(f'shares of a known mix, 999 Hz, {seconds} s, Python {version[0]}.{version[1]}',
                  'within 1.5 points', 'pitviper', f'{worst:.2f} points at worst', worst <= 1.5)


def cheap_tick_ns(bench, seconds):
    """Mean BPF time of a tick that is not the target's, while the same CPUs are as busy."""
    with Idler() as idle:
        _, spent, _, _ = bench.record_and_cost(bench.pitviper, idle.pid, 997, seconds)
    return spent.tick_ns / max(spent.tick_cnt, 1)


@figure
def bpf_time(bench):
    """BPF time of a tick that meets the target: the mean over all ticks, less those of other tasks at
    the cost that they have when only an idle process is recorded"""
    seconds = 4 if bench.quick else 10
    for depth, bound in ((20, 3.0), (120, 10.0)):
        with Spinner(depth, bench.python) as target:
            cheap = cheap_tick_ns(bench, seconds)
            result, spent, _, _ = bench.record_and_cost(bench.pitviper, target.pid, 997, seconds)
        share = result.samples / result.ledger['ticks']
        mean = (spent.tick_ns / spent.tick_cnt - (1 - share) * cheap) / share / 1000
        yield Row(f'BPF time a target tick, 997 Hz, {depth} frames', f'<= {bound:.0f} us',
                  'pitviper', f'{mean:.2f} us (other ticks {cheap / 1000:.2f} us)', mean <= bound)


@figure
def system_calls(bench):
    """system calls of the collector for each sample: two runs that differ in length only"""
    def count(target, seconds):
        with tempfile.NamedTemporaryFile() as table:
            prefix = ('strace', '-f', '-c', '-S', 'calls', '-U', 'calls,name', '-o', table.name)
            result = bench.record(bench.pitviper, target.pid, 1000, seconds, prefix=prefix)
            text = table.read().decode()
        calls = [int(n) for n, name in re.findall(r'^\s*(\d+)\s+(\w+)', text, re.M)
                 if name != 'total']
        return sum(calls), result.samples

    with Spinner(20, bench.python) as target:
        short, long = count(target, 2), count(target, 6 if bench.quick else 12)
    calls, samples = long[0] - short[0], long[1] - short[1]
    yield Row('system calls a sample, 1000 Hz', '0 on the tick path, batches', 'pitviper',
              f'{calls / samples:.4f} ({calls} for {samples} samples, all in the collector)',
              calls / samples < 0.1)


@figure
def collector(bench):
    """CPU of the collector once all names are known"""
    with Spinner(20, bench.python) as target:
        result, spent, _, _ = bench.record_and_cost(bench.pitviper, target.pid, 1000,
                                                    4 if bench.quick else 10)
    samples = spent.tick_cnt * result.samples / result.ledger['ticks']
    cpu_ms = spent.cpu_ns / 1e6 / samples * 10000
    yield Row('collector CPU for 10,000 samples of 20 frames', '<= 50 ms', 'pitviper',
              f'{cpu_ms:.1f} ms', cpu_ms <= 50)


@figure
def lost(bench):
    """the highest rate on one busy process"""
    seconds = 5 if bench.quick else 20
    with Spinner(20, bench.python) as target:
        result = bench.record(bench.pitviper, target.pid, 10000, seconds)
    gone = result.ledger['ring full']
    yield Row(f'lost at 10000 Hz, {seconds} s, one busy process', '0', 'pitviper',
              f'{gone} of {result.samples + gone} (ticks: '
              f'{percent(result.ledger["ticks"], 10000 * seconds * PERF_PER_CPU)} of those due)',
              not gone)


@figure
def whole_host(bench):
    """the default use on a host of 50 Python processes, two of them busy"""
    with contextlib.ExitStack() as stack:
        for _ in range(48):
            stack.enter_context(Idler())
        for cpu in (0, 1):
            stack.enter_context(Spinner(20, bench.python, cpu, first=False))
        time.sleep(3)
        _, spent, _, memory = bench.record_and_cost(bench.pitviper, None, 99,
                                                    10 if bench.quick else 30)
    share = 100 * (spent.cpu_ns + spent.bpf_ns) / spent.time_ns
    yield Row('whole profiler, 99 Hz -a, 50 processes, 2 busy', '<= 0.3 % of a CPU', 'pitviper',
              f'{share:.3f} % (BPF {100 * spent.bpf_ns / spent.time_ns:.3f} %, collector '
              f'{100 * spent.cpu_ns / spent.time_ns:.3f} %)', share <= 0.3)
    yield Row('resident memory at its peak, the same', '<= 40 MB', 'pitviper',
              f'{memory / 1024:.1f} MB', memory <= 40 * 1024)


@figure
def many_processes(bench):
    """memory and open files when half of many short processes have ended, and when all have"""
    count = 2000 if bench.quick else 20000
    with tempfile.TemporaryDirectory() as folder, Many(bench.python, count, 0.002) as target:
        # Fast enough that half of them have filled the ring, whose pages are memory when touched.
        recording = bench.pitviper.start(None, 2999, 600, folder)
        time.sleep(1.5)
        seen = []
        for word in (b'half\n', b'done\n'):
            if target.half() != word:
                raise RuntimeError('many.py ended')
            seen.append((memory_kb(recording.pid), file_cnt(recording.pid)))
        os.kill(recording.pid, signal.SIGINT)
        bench.checked(recording.finish(60))
    (half, half_files), (end, end_files) = seen
    yield Row(f'resident memory after {count} short processes, against half of them', 'flat',
              'pitviper', f'{end / 1024:.1f} MB, {half / 1024:.1f} MB', end <= 1.05 * half)
    yield Row('file descriptors, the same', 'flat', 'pitviper', f'{end_files}, {half_files}',
              end_files == half_files)


@figure
def start(bench):
    """from the start of the command to the first sample received"""
    with Spinner(20, bench.python) as target:
        for who, pid in (('-p', target.pid), ('-a', None)):
            result = bench.record(bench.pitviper, pid, 99, 2, verbose=True)
            match = re.search(r'first sample after ([\d.,]+) ?ms', result.text)
            after = float(match.group(1).replace(',', '')) if match else None
            yield Row(f'first sample after start, {who}, 99 Hz', '<= 300 ms', 'pitviper',
                      f'{after:.0f} ms' if match else 'not said', bool(match) and after <= 300)


def record_brood(bench, brood, pid, children=False):
    """(result, CPU nanoseconds of the children)"""
    with tempfile.TemporaryDirectory() as folder:
        recording = bench.pitviper.start(pid, 999, 300, folder, children=children)
        time.sleep(2)
        spent_ns = brood.spent_ns()
        os.kill(recording.pid, signal.SIGINT)
        return bench.checked(recording.finish(60)), spent_ns


def brood_stacks(bench, result):
    """The stacks of the processes of a brood, whatever else the host runs."""
    files = {os.path.join(bench.python.targets(), name) for name in ('brood.py', 'early.py')}
    return [one for stacks in result.by_pid.values()
            if any(frame.file in files for stack in stacks for frame in stack)
            for one in stacks.items()]


@figure
def short_processes(bench):
    """CPU time of short children, one after another, that is attributed by name and line"""
    count, unnamed = 50 if bench.quick else 200, 0
    for forked, milliseconds, reach in ((False, 50, 95), (True, 50, 98), (False, 20, 90),
                                        (True, 20, 95)):
        with Brood(bench.python, count, milliseconds, forked) as brood:
            result, spent_ns = record_brood(bench, brood, None)
        name = 'forked_spin' if forked else 'spin'
        stacks = brood_stacks(bench, result)
        found = sum(count for stack, count in stacks
                    if any(frame.name == name and frame.line for frame in stack))
        unnamed += sum(count for stack, count in stacks
                       if any(frame.name == '[unknown function]' for frame in stack))
        share = 100 * found / 999 * 1e9 / spent_ns
        yield Row(f'CPU time of {count} {"forked" if forked else "started"} children of '
                  f'{milliseconds} ms, 999 Hz', f'>= {reach} %', 'pitviper', f'{share:.1f} %',
                  share >= reach)
    yield Row('samples without a name, all of these', '0', 'pitviper', str(unnamed), not unnamed)


@figure
def first_ticks(bench):
    """ticks of known interpreters that come before anything is known of the process"""
    count = 50 if bench.quick else 200
    with Brood(bench.python, count, 20, False) as brood:
        result, _ = record_brood(bench, brood, brood.pid, children=True)
    unknown = result.ledger['process unknown']
    share = 100 * unknown / (count * 0.010 * 999)
    yield Row('first 10 ms of a started, known interpreter: process unknown', '<= 1 %', 'pitviper',
              f'{share:.2f} % ({unknown} ticks of {count} processes)', share <= 1)


@figure
def cold_pages(bench):
    """stacks of a process whose frames and code are paged out every 20 ms"""
    seconds = 4 if bench.quick else 10
    with tempfile.TemporaryDirectory() as folder, swap(folder) as there_is:
        if not there_is:
            return
        with Cold(bench.python) as target:
            result = bench.record(bench.pitviper, target.pid, 999, seconds)
    ours = sum(result.ledger[label] for label in ('complete', 'truncated', 'unreadable', 'torn',
                                                  'unfinished', 'no Python state',
                                                  'no Python frames'))
    share = 100 * result.ledger['complete'] / ours
    yield Row('paged-out frames and code, 999 Hz: whole stacks', '>= 99 %', 'pitviper',
              f'{share:.2f} % (waited for pages {result.events["waited for pages"]} times)',
              share >= 99)


@figure
def cost_of_samples(bench):
    """CPU of the profiler for a sample, and what it slows the target by"""
    seconds = 3 if bench.quick else 6
    for depth in (20, 100):
        for profiler in (bench.pitviper, *bench.peers):
            python = bench.pythons.get((3, 15)) if profiler.name == 'CPython 3.15' else bench.python
            if not python:
                continue
            with Spinner(depth, python, first=False) as target:
                before = target.speed(2)
                result, spent, speed, _ = bench.record_and_cost(profiler, target.pid, 1000, seconds,
                                                                target.speed)
                after = target.speed(2)
            samples = spent.time_ns / 1e9 * result.samples / (seconds + 2)
            work = (spent.cpu_ns + spent.bpf_ns) / 1000 / max(samples, 1)
            yield Row(f'profiler CPU a sample, 1000 Hz, {depth} frames', '', profiler.name,
                      f'{work:.1f} us', None)
            slower = 100 * ((before + after) / 2 / speed - 1)
            yield Row(f'target slowed by, 1000 Hz, {depth} frames', '', profiler.name,
                      f'{slower:+.1f} %', None)


@figure
def ledger(bench):
    """rows against ticks, over all recordings of this run"""
    if not bench.runs:
        with Spinner(20, bench.python) as target:
            bench.record(bench.pitviper, target.pid, 999, 3)
    yield Row('ledger: sum of the rows less ticks', '0, every run', 'pitviper',
              f'{bench.worst_difference} at worst of {bench.runs} runs', not bench.worst_difference)


def summary(rows):
    """For README.md: the many rows about impossible stacks become one for each puzzle."""
    sums = collections.OrderedDict()
    for row in rows:
        match = re.match(r'(impossible stacks: \w+), (\d+) Hz', row.what)
        if not match or row.who != 'pitviper':
            yield row
            continue
        counts = re.match(r'(\d+) of (\d+)', row.value)
        wrong, total = sums.get(match.group(1), (0, 0))
        sums[match.group(1)] = wrong + int(counts.group(1)), total + int(counts.group(2))
    for what, (wrong, total) in sums.items():
        yield Row(f'{what}, all rates and versions', '0', 'pitviper', f'{wrong} of {total}', not wrong)


def measure(bench, names):
    """All rows of the figures named; a figure that fails is a row that says why."""
    with bpf_statistics():
        for name in names:
            try:
                for row in FIGURES[name](bench):
                    yield row
            except (RuntimeError, OSError, KeyError, ZeroDivisionError) as error:
                yield Row(name, '', 'pitviper', f'not measured: {error!r}', False)
