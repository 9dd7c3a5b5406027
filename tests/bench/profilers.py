# SPDX-License-Identifier: Apache-2.0
"""pitviper and its peers behind one interface: start(pid, rate, seconds) -> Recording -> Result."""
import collections
import contextlib
import glob
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CACHE = os.environ.get('PITVIPER_CACHE') or os.path.expanduser('~/.cache/pitviper')
sys.path.insert(0, os.path.join(ROOT, 'tests/live'))

import pprof  # noqa: E402

Frame = pprof.Frame

# stacks: {frames from the root: samples}; errors: attempts that gave no stack; ledger, events: by
# label, by_pid: {pid: stacks}, pitviper only; text: what it printed.
Result = collections.namedtuple('Result', 'stacks samples errors ledger events text by_pid',
                                defaults=[None])


class Recording:
    """A profiler at work."""

    def __init__(self, argv, out, parse, good=(0,)):
        self.out, self.parse, self.good = out, parse, good
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=subprocess.STDOUT, start_new_session=True)
        self.pid = self.process.pid

    def printed(self):
        return os.pread(self.log.fileno(), 1 << 20, 0).decode('utf-8', 'replace')

    def finish(self, timeout):
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.stop()
            status = 'none: it did not stop in time'
        text = self.printed()
        if status not in self.good or not os.path.exists(self.out):
            raise RuntimeError(f'{self.process.args[0]} ended with status {status}: {text[-500:]}')
        return self.parse(self.out, text)

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()


def folded(path, pattern):
    """Stacks of "frame;frame count" lines; pattern tells name, file and line of a frame."""
    stacks = collections.Counter()
    with open(path, encoding='utf-8', errors='replace') as stream:
        for line in stream:
            if line.startswith('#') or not line.strip():
                continue
            texts, count = line.rsplit(' ', 1)
            matches = [re.fullmatch(pattern, text) for text in texts.split(';')]
            stacks[tuple(Frame(m['name'], m['file'], int(m['line']))
                         for m in matches if m)] += int(count)
    return stacks


class Pitviper:
    name = 'pitviper'

    def __init__(self, binary):
        self.binary = binary

    def start(self, pid, rate, seconds, folder, prefix=(), verbose=False, children=False):
        """pid: one, several, or None for every Python process. prefix: a command to run it under."""
        out = os.path.join(folder, 'pitviper.pb.gz')
        pids = [pid] if isinstance(pid, int) else pid
        who = ['-p', ','.join(map(str, pids))] if pids else ['-a']
        who += ['-v'] if verbose else []
        who += ['-s'] if children else []
        return Recording([*prefix, self.binary, 'record', *who, '-r', str(rate), '-d',
                          str(seconds), '-o', out], out, self.parse)

    @staticmethod
    def parse(path, text):
        profile = pprof.Profile(path)
        stacks = collections.Counter()
        by_pid = collections.defaultdict(collections.Counter)
        # Ended processes that were put together have no pid.
        pids_differ = len({sample.labels.get('pid') for sample in profile.samples}) > 1
        for sample in profile.samples:
            stacks[sample.stack] += sample.count
            # A recording of several processes begins each stack with a frame for the process.
            stack = sample.stack[1:] if pids_differ else sample.stack
            by_pid[int(sample.labels.get('pid', 0))][stack] += sample.count
        rows = {'ledger': {}, 'event': {}}
        for comment in profile.comments:
            match = re.match(r'(ledger|event): (.+?) ([\d,]+)(?: \(|:)', comment)
            if match:
                rows[match.group(1)][match.group(2)] = int(match.group(3).replace(',', ''))
            match = re.match(r'ledger: ([\d,]+) ticks', comment)
            if match:
                rows['ledger']['ticks'] = int(match.group(1).replace(',', ''))
        return Result(stacks, sum(stacks.values()), rows['ledger']['torn'], rows['ledger'],
                      rows['event'], text, by_pid)


class PySpy:
    name = 'py-spy'

    def __init__(self, venv):
        self.binary = os.path.join(venv, 'bin/py-spy')

    def start(self, pid, rate, seconds, folder):
        out = os.path.join(folder, 'py-spy.raw')
        return Recording([self.binary, 'record', '-p', str(pid), '-r', str(rate), '-d', str(seconds),
                          '-f', 'raw', '-o', out], out, self.parse)

    @staticmethod
    def parse(path, text):
        stacks = folded(path, r'(?P<name>.*) \((?P<file>.*):(?P<line>\d+)\)')
        errors = re.search(r'Errors: (\d+)', text)
        return Result(stacks, sum(stacks.values()), int(errors.group(1)) if errors else 0, {}, {},
                      text)


class Austin:
    """Its wheel wants a newer C library than Debian 12 has: it runs with that of the cached Debian."""
    name = 'austin'

    def __init__(self, venv, debian):
        self.venv = venv
        self.binary = [os.path.join(venv, 'bin/austin')]
        if debian and subprocess.run([*self.binary, '-V'], stdout=subprocess.DEVNULL, check=False,
                                     stderr=subprocess.DEVNULL).returncode:
            library = os.path.join(debian, 'usr/lib/x86_64-linux-gnu')
            self.binary = [os.path.join(library, 'ld-linux-x86-64.so.2'), '--library-path', library,
                           *self.binary]

    def start(self, pid, rate, seconds, folder):
        out = os.path.join(folder, 'austin.mojo')
        return Recording([*self.binary, '-i', f'{1000000 // rate}us', '-x', str(seconds), '-p',
                          str(pid), '-o', out], out, self.parse, good=(0, 254))

    def parse(self, path, text):
        """A line is one sample: P<pid>;T<thread>;file:name:line;... microseconds"""
        converter = os.path.join(self.venv, 'bin/mojo2austin')
        subprocess.run([converter, path, path + '.txt'], check=True, stdout=subprocess.DEVNULL)
        with open(path + '.txt', encoding='utf-8') as stream:
            lines = [line.rsplit(' ', 1)[0] + ' 1\n' for line in stream if line.startswith('P')]
        with open(path + '.txt', 'w', encoding='utf-8') as stream:
            stream.writelines(lines)
        stacks = folded(path + '.txt', r'(?P<file>.*):(?P<name>[^:]*):(?P<line>\d+)')
        errors = re.search(r'Error rate\D*(?:\x1b\[[\d;]*m\D*)*(\d+)/(\d+)', text)
        return Result(stacks, sum(stacks.values()), int(errors.group(1)) if errors else 0, {}, {},
                      text)


class Tachyon:
    """CPython's own, `python3.15 -m profiling.sampling`; it profiles its own version only."""
    name = 'CPython 3.15'

    def __init__(self, debian):
        self.debian = debian

    def start(self, pid, rate, seconds, folder):
        """It looks for its target's files where /proc says, so it must see the file system as the
        target does, and /proc in it: no mount namespace of its own would do."""
        inside = '/tmp/tachyon.folded'
        out = self.debian + inside
        with contextlib.suppress(OSError):
            os.unlink(out)
        script = ('mount -t proc proc "$0/proc" || exit; trap \'umount "$0/proc"\' EXIT; '
                  'chroot "$0" /usr/bin/python3.15 -m profiling.sampling attach -r "$1" -d "$2" '
                  '--collapsed -o "$3" "$4"')
        return Recording(['sh', '-c', script, self.debian, str(rate), str(seconds), inside,
                          str(pid)], out, self.parse)

    @staticmethod
    def parse(path, text):
        stacks = folded(path, r'(?P<file>.*):(?P<name>[^:]*):(?P<line>\d+)')
        captured = re.search(r'Captured ([\d,]+) samples', text)
        samples = sum(stacks.values())
        attempts = int(captured.group(1).replace(',', '')) if captured else samples
        return Result(stacks, samples, max(0, attempts - samples), {}, {}, text)


def newest_debian():
    """The root of a Debian with python3.15 that the live tests unpacked, or ''."""
    inside = 'usr/bin/python3.15'
    found = sorted(glob.glob(os.path.join(CACHE, 'debian-*', inside)))
    return found[0][:-len(inside) - 1] if found else ''


def install_peers():
    """The peers that this machine can have. They live in a virtual environment in the cache."""
    venv = os.path.join(CACHE, 'bench-venv')
    pip = os.path.join(venv, 'bin/pip')
    if not os.path.exists(pip):
        shutil.rmtree(venv, ignore_errors=True)
        subprocess.run([sys.executable, '-m', 'venv', venv], check=True)
    for packages in (['py-spy==0.4.3'], ['austin-dist==4.0.0', 'austin-python']):
        if subprocess.run([pip, 'install', '-q', *packages], check=False).returncode:
            print(f'bench: {packages[0]} could not be installed', file=sys.stderr)
    debian = newest_debian()
    peers = [PySpy(venv)] if os.path.exists(os.path.join(venv, 'bin/py-spy')) else []
    if os.path.exists(os.path.join(venv, 'bin/mojo2austin')):
        peers.append(Austin(venv, debian))
    if debian:
        peers.append(Tachyon(debian))
    return peers
