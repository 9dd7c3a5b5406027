# SPDX-License-Identifier: Apache-2.0
"""Figures of what is kept on disk: a week of it, and a recorder that is killed again and again."""
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

from figures import Row, figure
from profilers import ROOT
from targets import Mix, Spinner

KILL_RATE = 499
MIB = 1 << 20


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=True)


@figure
def week(bench):
    """A store as the agent fills it: its size, and how long a report of 15 minutes of it takes."""
    days = 0.5 if bench.quick else 7
    fill = os.path.join(ROOT, '.output/tests/bench/fill_store')
    with tempfile.TemporaryDirectory(dir='/dev/shm') as folder:
        path = os.path.join(folder, 'week.pv')
        said = dict(line.split() for line in run(fill, path, str(days)).stdout.splitlines())
        took = []
        for _ in range(5):
            start = time.monotonic()
            run(bench.pitviper.binary, 'report', '--store', path, '--last', '15m', '-q',
                '-o', os.path.join(folder, 'report.svg'))
            took.append(time.monotonic() - start)
    size, day = int(said['bytes']), int(said.get('day_bytes', 0))
    took.sort()
    yield Row(f'report of the last 15 minutes out of {days:g} days', '<= 1 s', 'pitviper',
              f'{took[2]:.3f} s (of {size / MIB:.0f} MiB)', took[2] <= 1)
    if day:
        yield Row('store: a day of 100 processes on 2 busy CPUs, 19 Hz', '<= 60 MB', 'pitviper',
                  f'{day / 1e6:.1f} MB (7 days, rolled up: {size / 1e6:.1f} MB)', day <= 60e6)


class Killed:
    """One file that recorder after recorder writes to until it is killed."""

    def __init__(self, pitviper, path):
        self.command = [pitviper, 'record', '-v', '-o', path, '-r', str(KILL_RATE), '-p']
        self.path = path
        self.stored = []  # buckets, as the last look found them

    def once(self, moment, pids):
        """Record, kill it after so many seconds; what is wrong with the file, or None."""
        command = [*self.command, ','.join(map(str, pids))]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   text=True)
        while 'sampling has begun' not in process.stderr.readline():
            if process.poll() is not None:
                return f'it ended with {process.returncode}'
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        killed_ns = time.time_ns()
        process.wait()
        process.stderr.close()
        return self.look(killed_ns, moment)

    def look(self, killed_ns, moment):
        report = subprocess.run([self.command[0], 'report', self.path, '--top', '1'],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                check=False)
        if report.returncode not in (0, 10):
            return f'report: {report.stderr}'
        before = self.stored
        with sqlite3.connect(f'file:{self.path}?mode=ro', uri=True) as file:
            self.stored = file.execute(
                'SELECT b.id, b.start_ns, b.span_ns, b.tick_cnt, coalesce(s.cnt, 0),'
                ' (SELECT sum(cnt) FROM ledger JOIN counter ON id = counter'
                '  WHERE bucket = b.id AND NOT event)'
                ' FROM bucket b LEFT JOIN sample s ON s.bucket = b.id ORDER BY b.id').fetchall()
            sound = file.execute('PRAGMA integrity_check').fetchone()[0]
        file.close()
        if sound != 'ok':
            return f'integrity check: {sound}'
        if self.stored[:len(before)] != before:
            return 'what was stored has changed'
        return self.judge(self.stored[len(before):], killed_ns, moment)

    def judge(self, fresh, killed_ns, moment):
        end_ns = 0
        for _, start_ns, span_ns, ticks, samples, outcomes in fresh:
            if ticks != outcomes:
                return f'{ticks} ticks, {outcomes} in the ledger'
            if samples > ticks:
                return f'{samples} samples of {ticks} ticks'
            if start_ns < end_ns - 50e6:
                return 'two buckets of the same time'
            end_ns = start_ns + span_ns
        # Due at 1, 2 and 4 seconds: no more than what came after the last of these is missing.
        due = sum(moment > at + 0.5 for at in (1, 2, 4))
        if len(fresh) < due or (fresh and killed_ns - end_ns > 3e9):
            return f'{len(fresh)} buckets after {moment:.2f} s'
        return None


@figure
def killed(bench):
    """kill -9 of a recorder under load at random moments, half of them around the first flush."""
    wanted, batch = 20 if bench.quick else 200, 20
    rng = random.Random(1)
    wrongs = []
    with tempfile.TemporaryDirectory() as folder:
        recorder = Killed(bench.pitviper.binary, os.path.join(folder, 'a.pv'))
        for number in range(0, wanted, batch):
            # Anew each time: they end by themselves after some minutes.
            with Mix(bench.python) as mix, Spinner(50, bench.python, first=False) as spinner:
                for odd in range(batch):
                    moment = 1 + rng.uniform(-0.02, 0.06) if odd % 2 else rng.uniform(0, 2.6)
                    wrong = recorder.once(moment, [mix.pid, spinner.pid])
                    if wrong:
                        wrongs.append(wrong)
                        print(f'kill {number + odd}, after {moment:.3f} s: {wrong}',
                              file=sys.stderr)
        cnt = len(recorder.stored)
    yield Row(f'{wanted} kill -9 of record -o x.pv: does not open, loses more, counts twice', '0',
              'pitviper', f'{len(wrongs)} ({cnt} parts stored)', not wrongs)
