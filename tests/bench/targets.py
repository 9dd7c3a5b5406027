# SPDX-License-Identifier: Apache-2.0
"""Programs to be profiled: started under a chosen interpreter, ready when the block begins."""
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

import oracle  # noqa: E402


class Interpreter:
    """One that tests/live/interpreters found."""

    def __init__(self, info):
        self.argv, self.root, self.id = info['argv'], info['root'], info['id']
        self.version = tuple(int(part) for part in info['version'].split('.')[:2])

    @staticmethod
    def find():
        """The newest of each version from 3.8 on, by version."""
        found = subprocess.run([os.path.join(TESTS, 'live/interpreters')], check=True,
                               stdout=subprocess.PIPE).stdout
        plain = [Interpreter(info) for info in json.loads(found)
                 if not info['free_threaded'] and not info['debug']]
        return {one.version: one for one in plain if one.version >= (3, 8)}


class Target:
    """A script at work; it is gone when the block ends."""

    def __init__(self, script, *args, python=None, cpu=None, piped=False):
        self.folder = None
        argv = python.argv if python else [sys.executable]
        self.path = script
        if python and python.root:  # its file system is another: take the script along
            self.folder = tempfile.mkdtemp(dir=os.path.join(python.root, 'tmp'))
            shutil.copy(script, self.folder)
            self.path = os.path.join(self.folder, os.path.basename(script))
        inside = self.path[len(python.root):] if python else self.path
        pin = ['taskset', '-c', str(cpu)] if cpu is not None else []
        self.process = subprocess.Popen(
            [*pin, *argv, inside, *map(str, args)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if piped else subprocess.DEVNULL)
        self.pid = self.process.pid

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        if self.folder:
            shutil.rmtree(self.folder)


class Puzzle(Target):
    """A target of the live tests, whose possible stacks its source states."""

    def __init__(self, name, python, cpu=None):
        self.source = os.path.join(TESTS, 'targets', name + '.py')
        self.python = python
        super().__init__(self.source, python=python, cpu=cpu, piped=True)

    def __enter__(self):
        if self.process.stdout.readline() != b'ready\n':
            raise RuntimeError(f'{self.source} did not start under {self.python.id}')
        return self

    def impossible(self, stacks, qualified):
        """How many samples show a stack that cannot be. qualified: do the names say the class?"""
        judge = oracle.Oracle(self.source, self.python.version if qualified else (3, 8))
        wrong = 0
        for stack, count in stacks.items():
            if not qualified:
                stack = [frame._replace(name=frame.name.rsplit('.', 1)[-1]) for frame in stack
                         if frame.name not in ('<GC>', '<native>')]
            wrong += count if judge.why_not(stack) else 0
        return wrong


class Spinner(Target):
    """spin.py and its counter of rounds."""

    def __init__(self, depth, python=None, cpu=None):
        root = python.root if python else ''
        self.counter = tempfile.NamedTemporaryFile(dir=root + '/tmp')
        self.counter.write(bytes(8))
        self.counter.flush()
        self.map = mmap.mmap(self.counter.fileno(), 8)
        super().__init__(os.path.join(HERE, 'spin.py'), depth, self.counter.name[len(root):],
                         python=python, cpu=cpu)

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
        super().__init__(os.path.join(HERE, 'idle.py'))
