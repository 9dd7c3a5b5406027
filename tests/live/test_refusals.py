# SPDX-License-Identifier: Apache-2.0
"""Hosts that say no: record and doctor name the cause and the remedy, and the exit status says whose
it is. tests/kernels/ has those that take another kernel or its settings."""
import errno
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile

import pytest

from refuse import CAPABILITIES, mounted, nobody_with, without_syscall
from test_cli import BUSY, WAIT_S, busy

pytestmark = pytest.mark.beside

BUSY_RECORD = ('record', '-d', '0.3', '-o', 'x.folded')


@pytest.fixture(scope='module')
def place(pitviper):
    """A folder anybody may write to, with a program anybody may run."""
    with tempfile.TemporaryDirectory(prefix='pitviper-refusals-') as path:
        os.chmod(path, 0o777)
        shutil.copy(pitviper, os.path.join(path, 'pitviper'))
        yield path


@pytest.fixture
def run(place):
    def run_it(become, *arguments):
        return subprocess.run([os.path.join(place, 'pitviper'), *map(str, arguments)], cwd=place,
                              preexec_fn=become, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=WAIT_S)
    return run_it


def missing(done, check):
    """(finding, remedy) of a check that failed."""
    found = re.search(rf'^missing  {re.escape(check)} +(.*)\n(?: {{9}}.*\n)* {{9}}-> (.*)', done.stdout, re.M)
    assert found, done.stdout
    return found.groups()


def test_five_capabilities_suffice(run):
    with busy() as target:
        done = run(nobody_with(CAPABILITIES), *BUSY_RECORD, '-p', target.pid)
    assert done.returncode == 0, done.stderr
    done = run(nobody_with(CAPABILITIES), 'doctor')
    assert done.returncode == 0 and 'missing' not in done.stdout, done.stdout


@pytest.mark.parametrize('name', ['CAP_BPF', 'CAP_PERFMON', 'CAP_SYS_PTRACE'])
def test_capability_missing(run, name):
    become = nobody_with(set(CAPABILITIES) - {name})
    with busy() as target:
        done = run(become, *BUSY_RECORD, '-p', target.pid)
    assert done.returncode == 5, done.stderr
    assert name in done.stderr and 'sudo setcap' in done.stderr
    assert f'not there: {name}' in done.stderr, done.stderr
    done = run(become, 'doctor')
    assert done.returncode == 5, done.stdout
    what, remedy = missing(done, 'capabilities')
    assert what == f'not there: {name}' and 'sudo' in remedy


def test_file_that_may_not_be_read(run, place):
    """Without CAP_DAC_READ_SEARCH a Python that others may run but not read is refused."""
    program = os.path.join(place, 'python')
    shutil.copy(os.path.realpath(sys.executable), program)
    os.chmod(program, 0o711)
    become = nobody_with(set(CAPABILITIES) - {'CAP_DAC_READ_SEARCH'})
    with subprocess.Popen([program, '-c', BUSY], env={**os.environ, 'PYTHONHOME': sys.base_prefix},
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as target:
        assert target.stdout.readline() == b'ready\n'
        done = run(become, *BUSY_RECORD, '-p', target.pid)
        target.stdin.close()
    assert done.returncode == 5, done.stderr
    assert re.search(r'not there: CAP_DAC_READ_SEARCH, .*; .*sudo setcap', done.stderr), done.stderr
    done = run(become, 'doctor')
    assert done.returncode == 0, done.stdout
    assert re.search(r'^warning  capabilities +not there: CAP_DAC_READ_SEARCH$', done.stdout, re.M)


def test_without_syslog(run):
    """CAP_SYSLOG is for the names of kernel functions only."""
    become = nobody_with(set(CAPABILITIES) - {'CAP_SYSLOG'})
    with busy() as target:
        done = run(become, *BUSY_RECORD, '-p', target.pid)
    assert done.returncode == 0, done.stderr
    done = run(become, 'doctor')
    assert done.returncode == 0, done.stdout
    assert re.search(r'^warning  capabilities +not there: CAP_SYSLOG$', done.stdout, re.M)


def test_other_users_processes_are_not_told_of(run):
    """-a without CAP_SYS_PTRACE goes on, as own processes can be read, and says what is missed."""
    done = run(nobody_with({'CAP_BPF', 'CAP_PERFMON', 'CAP_DAC_READ_SEARCH'}), *BUSY_RECORD, '-a')
    assert done.returncode == 0, done.stderr
    assert re.search(r'warning: not there: CAP_SYS_PTRACE; .*sudo setcap', done.stderr), done.stderr


@pytest.mark.parametrize('call, error, check', [
    ('bpf', errno.EPERM, 'bpf() system call'), ('bpf', errno.ENOSYS, 'bpf() system call'),
    ('perf_event_open', errno.EPERM, 'perf_event_open()')])
def test_seccomp(run, call, error, check):
    become = without_syscall(call, error)
    done = run(become, *BUSY_RECORD, '-a')
    assert done.returncode == 5, done.stderr
    assert f'a seccomp filter hides {call}()' in done.stderr and 'seccomp profile' in done.stderr
    done = run(become, 'doctor')
    assert done.returncode == 5, done.stdout
    what, remedy = missing(done, check)
    assert f'a seccomp filter hides {call}() ({os.strerror(error)})' == what
    assert 'seccomp profile' in remedy


@pytest.fixture(scope='module')
def types(place):
    """A copy of the kernel's types."""
    path = os.path.join(place, 'kernel.btf')
    shutil.copyfile('/sys/kernel/btf/vmlinux', path)
    return path


@pytest.fixture(scope='module')
def others(place, pitviper):
    """Types that have all that is asked for, but at other places: those that the programs bring."""
    path = os.path.join(place, 'other.btf')
    with open(pitviper, 'rb') as program, open(path, 'wb') as out:
        data = program.read()
        data = data[data.index(struct.pack('<HBBI', 0xeb9f, 1, 0, 24)):]  # struct btf_header
        out.write(data[:24 + sum(struct.unpack_from('<II', data, 16))])
    return path


def without_types(then=lambda: None):
    return mounted('none', '/sys/kernel/btf', 'tmpfs', '', then)


def test_no_types(run):
    done = run(without_types(), *BUSY_RECORD, '-a')
    assert done.returncode == 6, done.stderr
    assert 'offers no BTF' in done.stderr and '--btf FILE' in done.stderr, done.stderr
    done = run(without_types(), 'doctor')
    assert done.returncode == 6, done.stdout
    what, remedy = missing(done, 'kernel type data (BTF)')
    assert 'offers no BTF' in what and '--btf FILE' in remedy and 'btfhub' in remedy


def test_types_from_a_file(run, types):
    """Where the kernel has none; the five capabilities suffice for that, too."""
    become = without_types(nobody_with(CAPABILITIES))
    with busy() as target:
        done = run(become, *BUSY_RECORD, '-p', target.pid, '--btf', types)
    assert done.returncode == 0 and re.search(r'^ *complete +[1-9]', done.stderr, re.M), done.stderr
    done = run(become, 'doctor', '--btf', types)
    assert done.returncode == 0 and re.search(rf'^ok +kernel type data.* {types}$', done.stdout, re.M)


def test_types_that_are_not_needed(run, types):
    done = run(None, 'doctor', '--btf', types)
    assert done.returncode == 0 and f'; {types} is not needed\n' in done.stdout, done.stdout


def test_types_of_no_use(run, others):
    """A file that is not there, has none, or those of another kernel, which is found by trying."""
    for file, why in (('nowhere', 'cannot read the types in nowhere: No such file'),
                      (sys.executable, 'has no types'),
                      (others, f'are not those of the kernel that runs; take those of Linux '
                               f'{os.uname().release}')):
        done = run(without_types(), *BUSY_RECORD, '-a', '--btf', file)
        assert done.returncode == 2 and why in done.stderr, done.stderr
    done = run(without_types(), 'doctor', '--btf', 'nowhere')
    assert done.returncode == 2 and 'cannot read the types in nowhere' in done.stderr, done.stderr
    done = run(without_types(), 'doctor', '--btf', others)
    assert done.returncode == 6, done.stdout
    assert re.search('^missing  the sampler itself +the types in .* are not those of', done.stdout,
                     re.M), done.stdout


@pytest.mark.parametrize('level', [1, 2])
def test_hidepid(run, level):
    """Without CAP_SYS_PTRACE there is nothing to see behind it, with it nothing changes."""
    def become(names):
        return mounted('proc', '/proc', 'proc', f'hidepid={level}', nobody_with(names))
    with busy() as target:
        done = run(become(CAPABILITIES), *BUSY_RECORD, '-p', target.pid)
        assert done.returncode == 0, done.stderr
        without = become(set(CAPABILITIES) - {'CAP_SYS_PTRACE'})
        for words in ([*BUSY_RECORD, '-p', target.pid], ['ps', '-p', target.pid]):
            done = run(without, *words)
            assert done.returncode == 5, done.stderr
            assert re.search(r'/proc is mounted with hidepid=\w+: .*; .*sudo', done.stderr), done.stderr
    done = run(without, 'ps')
    assert done.returncode == 0 and '/proc is mounted with hidepid=' in done.stderr
    done = run(without, 'doctor')
    assert done.returncode == 5, done.stdout
    assert missing(done, '/proc')[0].startswith('/proc is mounted with hidepid=')
