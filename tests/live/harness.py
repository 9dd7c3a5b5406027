# SPDX-License-Identifier: Apache-2.0
"""Start targets, record them, read what pitviper says about it. No code is shared with it."""
import atexit
import collections
import concurrent.futures
import contextlib
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time

import pprof
from oracle import Oracle
from ticks import TickWatch

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TARGETS = os.path.join(ROOT, 'tests', 'targets')
READY_S = 60


class Interpreter:
    """One Python; in a chroot the targets are copied to where it sees them."""

    def __init__(self, found):
        self.id = found['id']
        self.version = tuple(map(int, found['version'].split('.')))
        self.origin = found['origin']
        self.free_threaded = found['free_threaded']
        self.debug = found['debug']
        self.argv = found['argv']
        self.root = found['root']
        self._targets = TARGETS
        self._oracles = {}

    def __repr__(self):
        return self.id

    def targets(self):
        """The folder of the targets, as this interpreter sees it."""
        if self.root and self._targets == TARGETS:
            inside = tempfile.mkdtemp(prefix='pitviper-live-', dir=os.path.join(self.root, 'tmp'))
            os.chmod(inside, 0o755)
            atexit.register(shutil.rmtree, inside, ignore_errors=True)
            self._targets = inside[len(self.root):] + '/targets'
            shutil.copytree(TARGETS, self.root + self._targets)
        return self._targets

    def runs(self, target):
        """Is it new enough? A target says what it needs: `# needs: 3.6`."""
        with open(os.path.join(TARGETS, target), encoding='utf-8') as stream:
            needs = re.search(r'^# needs: (\d+)\.(\d+)$', stream.read(), re.MULTILINE)
        return not needs or self.version >= tuple(map(int, needs.groups()))

    def put(self, path):
        """Make a file of ours one of the targets; its name there."""
        folder = self.root + self.targets()
        if folder != TARGETS:
            shutil.copy(path, folder)
            return os.path.basename(path)
        return os.path.abspath(path)

    def oracle(self, target):
        """Judge of the stacks of that target, with the lines that this interpreter gives it."""
        if target not in self._oracles:
            self._oracles[target] = self._make_oracle(target)
        return self._oracles[target]

    def _make_oracle(self, target):
        command = self.command(self.put(os.path.join(HERE, 'code_lines.py')),
                               os.path.join(self.targets(), target))
        done = subprocess.run(command, stdout=subprocess.PIPE, env=clean_environment(), check=True)
        lines = {}
        for name, first, numbers in json.loads(done.stdout):
            lines.setdefault((name, first), set()).update(numbers)
        return Oracle(os.path.join(TARGETS, target), self.version, lines)

    def command(self, target, *arguments, options=()):
        return [*self.argv, *options, '-B', os.path.join(self.targets(), target), *arguments]


@functools.lru_cache(maxsize=None)
def every_interpreter():
    """All that there are. PITVIPER_LIVE_ONLY=3.12,3.14.10-sid picks some."""
    done = subprocess.run([os.path.join(HERE, 'interpreters'), '--install'],
                          stdout=subprocess.PIPE, check=True)
    found = [Interpreter(one) for one in json.loads(done.stdout)]
    only = [name for name in os.environ.get('PITVIPER_LIVE_ONLY', '').split(',') if name]
    return [one for one in found
            if not only or any(one.id == name or one.id.startswith(name + '.') for name in only)]


def find_interpreters():
    """Those that every test is run with: release builds of each version, from two sources at most.
    What else there is of a version comes into the matrix only (test_matrix.py)."""
    found = every_interpreter()
    usual = [one for one in found if one.origin in ('pyenv', 'debian', 'sid', 'named') and
             not one.debug and not one.id.endswith('-nopie')]
    covered = {one.version[:2] for one in usual}
    return [one for one in found if one in usual or
            (one.version[:2] not in covered and not one.debug and not one.id.endswith('-nopie'))]


def clean_environment():
    return {key: value for key, value in os.environ.items()
            if not key.startswith('PYTHON') and key != 'LD_PRELOAD'}


def used(pid):
    """The CPU time that a process has had, in seconds."""
    with open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace') as stream:
        fields = stream.read().rpartition(')')[2].split()
    return sum(map(int, fields[11:13])) / os.sysconf('SC_CLK_TCK')


def work(seconds, *pids):
    """Wait until each of the processes has had that much more CPU time."""
    ends = {pid: used(pid) + seconds for pid in pids}
    while any(used(pid) < end for pid, end in ends.items()):
        time.sleep(0.01)


class Target:
    """A running target program. What it prints after `ready` is for whoever wants it."""

    def __init__(self, command, wait=True, env=None, word='ready'):
        self.command = command
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=env or clean_environment(), start_new_session=True)
        self.pid = self.process.pid
        if wait:
            self.expect(word)

    def expect(self, word):
        """Its next line, which must be this word."""
        line = self.process.stdout.readline().decode()
        assert line == word + '\n', f'{self.command} said {line!r} instead of {word!r}'

    def finish(self, feed=None):
        """Close its input, which asks it for what it knows; returns the rest of its output."""
        return self.process.communicate(feed, timeout=READY_S)[0].decode()

    def alive(self):
        return self.process.poll() is None

    def cpu_s(self):
        """CPU time of the process so far, by the kernel's own account."""
        return used(self.pid)

    def signal(self, number):
        """Send it to all of its processes."""
        os.killpg(self.pid, number)

    def kill(self):
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


class Recording:
    """What one run of `pitviper record` left: status, messages, ledger, profile."""

    def __init__(self, status, messages, path, rate, watch):
        self.status = status
        self.messages = messages
        self.path = path
        self.ledger, self.ticks = parse_ledger(messages)
        self.run_cnt = watch.run_cnt
        self.output = ''
        self.rate = rate
        self.cpu_s = watch.used_s  # by pid: CPU time of the targets while there were ticks
        self.busy_hz = watch.busy_hz
        self.profile = pprof.Profile(path) if path.endswith('.pb.gz') and os.path.exists(path) \
            else None

    def stacks(self, pid=None):
        """[(stack, count)] of all samples or of one process; a stack is root first.

        Without the root frame that each process gets where several are recorded, and without the
        samples that were lost.
        """
        return [(stack, count) for stack, count in self._all(pid) if stack != LOST_STACK]

    def lost(self, pid=None):
        """Samples that found the ring full."""
        return sum(count for stack, count in self._all(pid) if stack == LOST_STACK)

    def _all(self, pid):
        return [(without_process(sample), sample.count) for sample in self.profile.samples
                if pid is None or sample.labels.get('pid') == pid]

    def count(self, pid=None):
        return sum(count for _, count in self.stacks(pid))

    def expected(self, target):
        """At least so many samples must there be of this target: half of the ticks in its CPU time,
        less what chance takes away."""
        ticks = self.ticks_in(self.cpu_s.get(target.pid, 0))
        return max(1, ticks / 2 - 3 * ticks ** 0.5)

    def met(self, pid):
        """Samples of a process, with those that were lost."""
        return self.count(pid) + self.lost(pid)

    def ticks_in(self, seconds):
        """So many ticks lie in that much CPU time, if all CPUs tick alike. A host that lets this
        machine wait delivers fewer of them than were asked for."""
        return min(self.rate, self.busy_hz or 0) * seconds

    def count_of(self, name, pid=None):
        """Samples with a function of this name on their stack."""
        return sum(count for stack, count in self.stacks(pid)
                   if name in [frame.name for frame in stack])

    def check(self, status=0):
        """What holds for every recording: each tick in one bucket, each sample in the profile."""
        assert self.status == status, f'exit status {self.status}:\n{self.messages}'
        assert self.ticks > 0 and sum(self.ledger.values()) == self.ticks, self.messages
        if self.run_cnt is not None:
            assert self.run_cnt == self.ticks, \
                f'the kernel ran the sampler {self.run_cnt} times, the ledger says {self.ticks}'
        if self.profile:
            shown = sum(self.ledger[label] for label in SHOWN)
            assert self.count() == shown, f'{self.count()} samples, but the ledger shows {shown}'
            assert self.lost() == self.ledger['ring full'], \
                f'{self.lost()} are shown as lost: {self.messages}'
            assert self._comments() == self.ledger, self.profile.comments
        return self

    def _comments(self):
        """The ledger as the file itself tells it."""
        rows = {}
        for comment in self.profile.comments:
            match = re.match(r'ledger: (.+?) ([\d,]+) \([\d.]+%\): ', comment)
            if match:
                rows[match.group(1)] = int(match.group(2).replace(',', ''))
        return {label: rows.get(label, 0) for label in self.ledger}


def without_process(sample):
    if 'pid' not in sample.labels:  # ended processes put together
        assert sample.stack[0].name == sample.labels['process'], sample
        return sample.stack[1:]
    match = re.match(r'process (\d+):', sample.stack[0].name) if sample.stack else None
    if not match or sample.stack[0].file:
        return sample.stack
    assert int(match.group(1)) == sample.labels['pid'], sample
    return sample.stack[1:]


def outcome_labels():
    """The buckets of the ledger, from the list that makes them."""
    with open(os.path.join(ROOT, 'bpf', 'counters.h'), encoding='utf-8') as stream:
        text = stream.read()
    outcomes = text[text.index('define PV_TICK_OUTCOMES'):text.index('define PV_EVENT_COUNTS')]
    return re.findall(r'X\(\w+, "([^"]+)"', outcomes)


LABELS = outcome_labels()
LOST_STACK = (pprof.Frame('[lost]', '', 0),)  # of a sample that found the ring full
SHOWN = ('complete', 'truncated', 'unreadable')
OURS = SHOWN + ('torn', 'no Python frames', 'ring full')  # ticks in a known Python thread


def parse_ledger(messages):
    """({label: ticks}, all ticks): rows `label  count  percent` and the row `ticks`."""
    rows, ticks = {}, 0
    for line in messages.split('\n'):
        match = re.match(r'\s*(\S.*?)\s{2,}([\d,]+)(?:\s+[\d.]+\s?%)?(?:\s+= sum)?$', line)
        if not match:
            continue
        label, count = match.group(1), int(match.group(2).replace(',', ''))
        if label == 'ticks':
            ticks = count
        elif label in LABELS:
            assert label not in rows, f'two rows of {label}:\n{messages}'
            rows[label] = count
    return {label: rows.get(label, 0) for label in LABELS}, ticks


class Workshop:
    """The targets of a test module and the recordings of them."""

    def __init__(self, pitviper, folder):
        self.pitviper = pitviper
        self.folder = folder
        self.running = []
        self.recorders = []
        self.made = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop_recorders()
        self.clear()

    def clear(self):
        for target in self.running:
            target.kill()
        self.running = []

    def start(self, python, target, *arguments, wait=True):
        made = Target(python.command(target, *map(str, arguments)), wait)
        self.running.append(made)
        return made

    def crowd(self, pythons, *names, warm_s=0):
        """{python: {name: target}} of those that it can run, all stopped: those that work already
        would slow the others' start. Each has worked for `warm_s`."""
        wanted = [(python, name) for python in pythons for name in names
                  if python.runs(name.split()[0] + '.py')]
        for python in pythons:
            python.targets()  # not by two at once

        def start(one):
            python, name = one
            target = self.start(python, *(name.split()[0] + '.py', *name.split()[1:]))
            work(warm_s, target.pid)
            target.signal(signal.SIGSTOP)
            return target

        made = {python: {} for python in pythons}
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for (python, name), target in zip(wanted, pool.map(start, wanted)):
                made[python][name] = target
        return made

    def record_work(self, targets, seconds, *arguments, **options):
        """Record stopped targets by -p until each of them has had that much CPU time; the Recording. They
        are stopped again: what comes after it takes no time from anybody."""
        return self.record_works(targets, seconds, [(arguments, options)])[0]

    def record_waking(self, targets, seconds, *arguments, **options):
        """The same of targets that go on already and are not stopped again, as that would wake all
        threads that wait."""
        pids = ','.join(str(target.pid) for target in targets)
        for target in targets:
            target.signal(signal.SIGCONT)
        recorder = self.begin('-p', pids, *arguments, **options).sampling()
        work(seconds, *(target.pid for target in targets))
        return recorder.interrupt().wait().check()

    def record_works(self, targets, seconds, runs, children=(), beside=()):
        """record_work() by several that watch at the same time: [(arguments, options)]. `children`
        are pids that are waited for, too; `beside` are targets that work meanwhile."""
        pids = ','.join(str(target.pid) for target in targets)
        recorders = [self.begin('-p', pids, *arguments, **options) for arguments, options in runs]
        for recorder in recorders:
            recorder.sampling()
        working = [*targets, *beside]
        before = {target: target.cpu_s() for target in working}
        for target in working:
            target.signal(signal.SIGCONT)
        work(seconds, *(target.pid for target in working), *children)
        for target in working:
            target.signal(signal.SIGSTOP)
        recordings = [recorder.interrupt().wait().check() for recorder in recorders]
        for recording in recordings:
            recording.cpu_s = {target.pid: target.cpu_s() - start
                               for target, start in before.items()}
        return recordings

    @staticmethod
    def until_cpu(target, seconds):
        """Wait until the target has used that much more CPU time."""
        end = target.cpu_s() + seconds
        while target.cpu_s() < end:
            assert target.alive()
            time.sleep(0.02)

    def adopt(self, command, env=None, word='ready'):
        """Start any command that says `ready`, or another word."""
        made = Target(command, env=env, word=word)
        self.running.append(made)
        return made

    def output(self, extension='.pb.gz'):
        self.made += 1
        return os.path.join(self.folder, f'{self.made}{extension}')

    def begin(self, *arguments, rate=None, seconds=None, extension='.pb.gz', after=(), feed=b'',
              before=()):
        """Start `pitviper record`; `after` follows `--`, `feed` is its input, `before` starts it."""
        path = self.output(extension)
        command = [*before, self.pitviper, 'record', *map(str, arguments), '-o', path]
        command += ['-r', str(rate)] if rate else []
        command += ['-d', str(seconds)] if seconds else []
        command += ['--', *after] if after else []
        self.recorders.append(Recorder(command, path, rate or 99, feed, self._cpu_times))
        return self.recorders[-1]

    def stop_recorders(self):
        """Those of a failed test would go on."""
        for recorder in self.recorders:
            recorder.kill()
        self.recorders = []

    def record(self, *arguments, status=0, **options):
        """Record and check; the Recording."""
        return self.record_all([(arguments, options)], status)[0]

    def record_all(self, runs, status=0):
        """The same of several that watch at the same time: [(arguments, options)]."""
        recorders = [self.begin(*arguments, **options) for arguments, options in runs]
        return [recorder.wait().check(status) for recorder in recorders]

    def _cpu_times(self):
        """{pid: CPU time} of the targets that have not ended."""
        times = {}
        for target in self.running:
            with contextlib.suppress(OSError, IndexError):
                times[target.pid] = target.cpu_s()
        return times


class Recorder:
    """A running `pitviper record`."""

    def __init__(self, command, path, rate, feed, look):
        self.path = path
        self.rate = rate
        self.feed = feed
        self.errors = tempfile.TemporaryFile()
        self.watch = TickWatch(look)
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=self.errors,
                                        stdout=subprocess.PIPE, env=clean_environment())
        self.watch.start(self.process.pid)

    def sampling(self):
        """Wait until its timer ticks."""
        deadline = time.monotonic() + READY_S
        while not self.watch.seen.wait(0.01):
            assert self.process.poll() is None, self.messages()
            assert time.monotonic() < deadline, 'no sampler was loaded'
        return self

    def messages(self):
        self.errors.seek(0)
        return self.errors.read().decode('utf-8', 'replace')

    def interrupt(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
            self.watch.stop()

    def wait(self):
        try:
            output = self.process.communicate(self.feed, timeout=READY_S)[0].decode()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self.watch.stop()
        made = Recording(self.process.returncode, self.messages(), self.path, self.rate, self.watch)
        made.output = output
        return made


def parse_folded(path):
    """Counter of tuples of labels, root first. One line a stack, whatever the names are."""
    stacks = collections.Counter()
    with open(path, encoding='utf-8', newline='\n') as stream:
        for line in stream:
            match = re.fullmatch(r'(.*) (\d+)\n', line)
            assert match, f'not a line of folded stacks: {line!r}'
            stacks[tuple(match.group(1).split(';'))] += int(match.group(2))
    return stacks
