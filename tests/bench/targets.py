# SPDX-License-Identifier: Apache-2.0
"""Programs to be profiled: started under a chosen interpreter, ready when the block begins."""
import contextlib
import json
import mmap
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(TESTS, 'live'))

import harness  # noqa: E402
from cold import Pager, swap  # noqa: E402, F401


def pythons():
    """The newest interpreter of each version that is supported."""
    return {one.version[:2]: one for one in harness.find_interpreters()}


class Target:
    """A command at work; it is gone when the block ends."""

    def __init__(self, command, cpu=None, piped=False, first=False):
        """cpu: pinned there. first: before whatever else wants that CPU."""
        pin = ['taskset', '-c', str(cpu)] if cpu is not None else []
        pin += ['nice', '-n', '-19'] if first else []
        self.process = subprocess.Popen(
            [*pin, *command], stdin=subprocess.DEVNULL, env=harness.clean_environment(),
            stdout=subprocess.PIPE if piped else subprocess.DEVNULL, start_new_session=True)
        self.pid = self.process.pid
        if first:
            with contextlib.suppress(OSError):  # a session competes as a group of its own
                with open(f'/proc/{self.pid}/autogroup', 'w', encoding='ascii') as stream:
                    stream.write('-19')

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()


class Puzzle(Target):
    """A target of the live tests, whose possible stacks its source states."""

    def __init__(self, name, python, cpu=None):
        self.source = os.path.join(harness.TARGETS, name + '.py')
        self.python = python
        super().__init__(python.command(name + '.py'), cpu, piped=True)

    def __enter__(self):
        if self.process.stdout.readline() != b'ready\n':
            raise RuntimeError(f'{self.source} did not start under {self.python.id}')
        return self

    def impossible(self, stacks, qualified):
        """How many samples show a stack that cannot be. qualified: do the names say the class?"""
        judge = self.python.oracle(os.path.basename(self.source))
        judge.qualified = judge.qualified and qualified
        wrong = 0
        for stack, count in stacks.items():
            if not qualified:
                stack = [frame._replace(name=frame.name.rsplit('.', 1)[-1]) for frame in stack
                         if frame.name not in ('<GC>', '<native>')]
            wrong += count if judge.why_not(stack) else 0
        return wrong


class Spinner(Target):
    """spin.py and its counter of rounds."""

    def __init__(self, depth, python, cpu=1, first=True):
        # In a place that the interpreter sees too if it has a root of its own.
        self.folder = tempfile.TemporaryDirectory(dir=python.root + '/tmp')
        inside = self.folder.name[len(python.root):]
        shutil.copy(os.path.join(HERE, 'spin.py'), self.folder.name)
        with open(os.path.join(self.folder.name, 'counter'), 'w+b') as stream:
            stream.write(bytes(8))
            stream.flush()
            self.map = mmap.mmap(stream.fileno(), 8)
        super().__init__([*python.argv, inside + '/spin.py', str(depth), inside + '/counter'], cpu,
                         first=first)

    def __exit__(self, *exception):
        super().__exit__(*exception)
        self.folder.cleanup()

    def __enter__(self):
        while not self.rounds():
            if self.process.poll() is not None:
                raise RuntimeError('spin.py ended')
            time.sleep(0.01)
        return self

    def rounds(self):
        return struct.unpack('=Q', self.map[0:8])[0]

    def speed(self, seconds):
        """Rounds a second of wall time, so that time spent stopped counts too."""
        start, before = time.monotonic(), self.rounds()
        time.sleep(seconds)
        return (self.rounds() - before) / (time.monotonic() - start)


class Idler(Target):
    """A service that waits."""

    def __init__(self):
        super().__init__([sys.executable, os.path.join(HERE, 'idle.py')])


class Mix(harness.Target):
    """The live tests' known mix of functions, which keeps account of its own CPU time."""

    def __init__(self, python):
        super().__init__(python.command('mix.py'))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def spent(self):
        """It ends and says its nanoseconds by function."""
        return json.loads(self.finish())


class Brood(harness.Target):
    """The live tests' parent of short children, which say how long they worked."""

    def __init__(self, python, count, milliseconds, forked):
        super().__init__(python.command('brood.py', str(count), str(milliseconds),
                                        *(['fork'] if forked else [])))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def spent_ns(self):
        """Runs all of them."""
        return sum(int(line) for line in self.finish(b'\n').split())


class Cold(harness.Target):
    """A deep stack that is paged out again and again while the block runs."""

    def __init__(self, python):
        super().__init__(python.command('cold.py'))
        self.pager = Pager(self.pid)

    def __enter__(self):
        self.pager.start()
        return self

    def __exit__(self, *_):
        self.pager.__exit__()
        self.kill()


class Many(harness.Target):
    """Short processes, one after the other, in two halves."""

    def __init__(self, python, count, seconds):
        super().__init__(python.command('many.py', str(count), str(seconds)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def half(self):
        """Begin the next half of them; returns at its end."""
        self.process.stdin.write(b'\n')
        self.process.stdin.flush()
        return self.process.stdout.readline()
