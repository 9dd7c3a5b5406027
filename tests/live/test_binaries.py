# SPDX-License-Identifier: Apache-2.0
"""Interpreters whose files were renamed, stripped, deleted or replaced, or lie in odd file systems:
all are listed and recorded. One whose runtime is in the program, one whose runtime is in a library."""
import os
import shutil
import struct
import subprocess

import pytest

from conftest import INTERPRETERS
from harness import clean_environment

SPIN = '''
import os
def spin_here():
    total = 0
    while True:
        total += 1
os.write(1, b"ready\\n")
spin_here()
'''
FACTS = ('import sys, sysconfig; print(sysconfig.get_config_var("LDLIBRARY"), '
         'sysconfig.get_config_var("LIBDIR"), sys.prefix, sys.exec_prefix)')


class Host:
    """What there is to make variants of: the program and, if it has one, its libpython."""

    def __init__(self, python):
        self.python = python
        self.program = os.path.realpath(python.argv[0])
        done = subprocess.run([self.program, '-c', FACTS], stdout=subprocess.PIPE, check=True,
                              env=clean_environment(), text=True)
        library, folder, self.prefix, self.exec_prefix = done.stdout.split()
        path = os.path.join(folder, library)
        linked = subprocess.run(['ldd', self.program], stdout=subprocess.PIPE, text=True).stdout
        self.library = os.path.realpath(path) if library in linked else None

    @property
    def holder(self):
        return self.library or self.program

    def start(self, workshop, program=None, library=None, before=()):
        """Run the spinner with other files than its own."""
        env = dict(clean_environment(), PYTHONHOME=f'{self.prefix}:{self.exec_prefix}')
        if library:
            env['LD_PRELOAD'] = library  # whose soname is the one that the program wants
        command = [*before, program or self.program, '-B', '-c', SPIN]
        return workshop.adopt(command, env)


def pick(shared):
    """The newest of our own root whose runtime is in a library, or is not."""
    found = []
    for python in INTERPRETERS:
        if not python.root and python.version >= (3, 11):
            host = Host(python)
            if bool(host.library) == shared:
                found.append(host)
    return found[-1] if found else None


HOSTS = {'static': pick(False), 'shared': pick(True)}


@pytest.fixture(params=[name for name, host in HOSTS.items() if host])
def host(request):
    return HOSTS[request.param]


def copy(path, folder, name):
    os.makedirs(folder, exist_ok=True)
    made = os.path.join(folder, name)
    shutil.copy(path, made)
    return made


def stripped(path):
    """No symbols but those that are needed to run."""
    subprocess.run(['strip', path], check=True)
    return path


def without_sections(path):
    """No section headers: what sstrip and llvm-strip --strip-sections leave."""
    with open(path, 'r+b') as stream:
        header = bytearray(stream.read(64))
        end = struct.unpack_from('<Q', header, 0x28)[0]
        struct.pack_into('<Q', header, 0x28, 0)  # e_shoff
        struct.pack_into('<HH', header, 0x3c, 0, 0)  # e_shnum, e_shstrndx
        stream.seek(0)
        stream.write(header)
        stream.truncate(end)
    return path


def seen(workshop, pid):
    """The row of `pitviper ps`: (version, build, everything)."""
    done = subprocess.run([workshop.pitviper, 'ps', '-p', str(pid)], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    row = done.stdout.splitlines()[-1].split()
    assert done.returncode == 0 and row[0] == str(pid), done.stdout
    return row[1], row[2], done.stdout


def assert_recorded(workshop, targets, version, build):
    """`targets`: by what was done to them."""
    for name, target in targets.items():
        row = seen(workshop, target.pid)
        assert row[:2] == (version, build) and 'supported' in row[2], f'{name}: {row[2]}'
    recording = workshop.record('-p', ','.join(str(one.pid) for one in targets.values()),
                                rate=999, seconds=1)
    for name, target in targets.items():
        found = {tuple(frame.name for frame in stack) for stack, _ in recording.stacks(target.pid)}
        assert found == {('<module>', 'spin_here')}, f'{name}: {found}\n{recording.messages}'
        assert recording.count(target.pid) > 10, f'{name}: {recording.messages}'


def variants(host, workshop, folder):
    """Targets that run changed copies of the file that holds the runtime."""
    made = {}
    for name, change in (('renamed', None), ('stripped', stripped), ('bare', without_sections)):
        path = copy(host.holder, os.path.join(folder, name), 'frobnicate')
        if change:
            change(path)
        made[name] = host.start(workshop, **{'library' if host.library else 'program': path})
    return made


def test_changed_files(host, workshop, tmp_path):
    version = '.'.join(map(str, host.python.version))
    targets = variants(host, workshop, str(tmp_path))
    assert_recorded(workshop, targets, version, 'shared' if host.library else 'static')


def test_upgraded(host, workshop, tmp_path):
    """Deleted while it runs, and replaced by something else of the same name."""
    targets = {}
    for name in ('deleted', 'replaced'):
        path = copy(host.holder, str(tmp_path / name), os.path.basename(host.holder))
        targets[name] = host.start(workshop, **{'library' if host.library else 'program': path})
        os.unlink(path)
        if name == 'replaced':
            shutil.copy('/bin/true', path)
    version = '.'.join(map(str, host.python.version))
    assert_recorded(workshop, targets, version, 'shared' if host.library else 'static')


@pytest.mark.parametrize('static', [HOSTS['static']] if HOSTS['static'] else [])
def test_deleted_program_with_few_rights(static, workshop, tmp_path):
    """/proc/PID/map_files takes CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN; a program needs neither."""
    path = copy(static.program, str(tmp_path), 'python')
    target = static.start(workshop, program=path)
    os.unlink(path)
    kept = 'sys_ptrace', 'dac_read_search'
    bounds = '-all,' + ','.join('+' + name for name in kept)
    done = subprocess.run(['setpriv', '--bounding-set=' + bounds, workshop.pitviper, 'ps', '-p',
                           str(target.pid)], stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0 and 'supported' in done.stdout


def mounted(folder, path):
    """`path` in an overlay: of its lower layer, and copied up."""
    for name in ('lower', 'upper', 'work', 'merged'):
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    shutil.copy(path, os.path.join(folder, 'lower', 'one'))
    shutil.copy(path, os.path.join(folder, 'lower', 'two'))
    options = ','.join(f'{key}dir={folder}/{key}' for key in ('lower', 'upper', 'work'))
    subprocess.run(['mount', '-t', 'overlay', 'overlay', '-o', options, f'{folder}/merged'],
                   check=True)
    os.chmod(f'{folder}/merged/two', 0o700)  # a change of the inode: copied up
    return f'{folder}/merged'


def test_overlay(host, workshop, tmp_path):
    """The device and inode that are mapped are not those that stat tells."""
    folder = mounted(str(tmp_path), host.holder)
    try:
        targets = {name: host.start(workshop, **{'library' if host.library else 'program':
                                                 os.path.join(folder, name)})
                   for name in ('one', 'two')}
        version = '.'.join(map(str, host.python.version))
        assert_recorded(workshop, targets, version, 'shared' if host.library else 'static')
    finally:
        workshop.clear()
        subprocess.run(['umount', folder], check=True)
