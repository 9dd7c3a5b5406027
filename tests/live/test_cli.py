# SPDX-License-Identifier: Apache-2.0
"""The commands as a person meets them: wrong arguments, wrong targets, signals, exit statuses."""
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import time

import pytest

pytestmark = pytest.mark.beside

HERE = os.path.dirname(os.path.abspath(__file__))
WAIT_S = 60
NOBODY = 65534
BUSY = '''
import sys, threading
def spin_here():
    while True:
        sum(range(1000))
threading.Thread(target=lambda: sys.stdin.read() or __import__("os")._exit(0)).start()
print("ready", flush=True)
spin_here()
'''


@pytest.fixture
def folder():
    """An empty working directory that anybody may write to."""
    path = tempfile.mkdtemp(prefix='pitviper-cli-')
    os.chmod(path, 0o777)
    yield path
    shutil.rmtree(path)


def kill_all(process):
    """Also what it has started, which may hold its pipes open."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()


@pytest.fixture
def run(pitviper, folder):
    """Run pitviper to its end in that directory."""
    def run_it(*arguments, input=None, **options):
        options.setdefault('stdin', subprocess.DEVNULL if input is None else subprocess.PIPE)
        command = [pitviper, *map(str, arguments)]
        process = subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, start_new_session=True, **options)
        try:
            out, err = process.communicate(input, timeout=WAIT_S)
        finally:
            kill_all(process)
        return subprocess.CompletedProcess(command, process.returncode, out, err)
    return run_it


@pytest.fixture
def begin(pitviper, folder):
    """Start `pitviper record -v ...`; returns when it samples."""
    started = []

    def begin_it(*arguments, **options):
        options.setdefault('stdin', subprocess.DEVNULL)
        process = subprocess.Popen([pitviper, 'record', '-v', *map(str, arguments)], cwd=folder,
                                   stderr=subprocess.PIPE, text=True, start_new_session=True,
                                   **options)
        started.append(process)
        process.seen = ''
        while 'sampling has begun' not in process.seen:
            line = process.stderr.readline()
            assert line, f'it ended with {process.wait()}: {process.seen}'
            process.seen += line
        return process
    yield begin_it
    for process in started:
        kill_all(process)


@contextlib.contextmanager
def busy(*command):
    """A Python process that uses CPU; (Popen)."""
    process = subprocess.Popen([*command, sys.executable, '-c', BUSY], stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b'ready\n'
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def end(process):
    """(exit status, everything on stderr, stdout or None)"""
    out, err = process.communicate(timeout=WAIT_S)
    return process.returncode, process.seen + err, out


def until(condition):
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def gone_pid():
    process = subprocess.Popen(['true'])
    process.wait()
    return process.pid


def samples_of(path):
    """{stack: count} of a folded file."""
    with open(path, encoding='utf-8') as stream:
        rows = [line.rstrip('\n').rpartition(' ') for line in stream]
    return {stack: int(count) for stack, _, count in rows}


def has_spin(path):
    return any('spin_here' in stack for stack in samples_of(path))


# Arguments


def test_no_arguments(run):
    done = run()
    assert done.returncode == 2 and done.stdout == ''
    assert done.stderr.startswith('usage: pitviper')


@pytest.mark.parametrize('arguments', [['help'], ['--help'], ['-h'], ['help', 'record'],
                                       ['record', '--help'], ['ps', '-h'], ['doctor', '--help']])
def test_help(run, arguments):
    done = run(*arguments)
    assert done.returncode == 0 and done.stderr == ''
    assert done.stdout.startswith('usage: pitviper')
    assert max(map(len, done.stdout.splitlines())) <= 100


def test_help_of_record_names_every_format_and_status(run):
    text = run('record', '--help').stdout
    for word in ('.svg', '.folded', '.pb.gz', '.speedscope.json', '--pid', '--nolineno'):
        assert word in text
    for status in (0, 2, 3, 4, 5, 6, 7, 8, 9, 127, 130):
        assert re.search(rf'^  {status} +\S', run('--help').stdout, re.M), status


@pytest.mark.parametrize('arguments', [['version'], ['--version'], ['-V']])
def test_version(run, arguments):
    done = run(*arguments)
    assert done.returncode == 0 and done.stderr == ''
    assert re.fullmatch(r'pitviper \d+\.\d+\.\d+\n', done.stdout)


@pytest.mark.parametrize('arguments, words', [
    (['recrod'], "did you mean 'record'"),
    (['-p', '1'], 'the command comes first'),
    (['record'], 'nothing to record'),
    (['record', '-a', '-p', '1'], 'exclude each other'),
    (['record', '-p', '1', '--', 'true'], 'exclude each other'),
    (['record', '-a', '--idle'], 'not supported yet'),
    (['record', '-a', '-n'], 'not supported yet'),
    (['record', '-a', '-g'], 'not supported yet'),
    (['record', '-a', '-r', '10001'], 'from 1 to 10000'),
    (['record', '-a', '-d', '-1'], 'number of seconds'),
    (['record', '-a', '--treads'], 'did you mean --threads'),
    (['record', '-a', '-f', 'flamegrpah'], "did you mean 'flamegraph'"),
    (['record', '-a', '-f', 'chart'], 'record --help'),
    (['record', '-p', 'x'], 'not a process id'),
    (['record', '123'], 'pitviper record -p 123'),
    (['record', 'app.py'], 'pitviper record -- app.py'),
    (['record', '--'], 'no program'),
    (['ps', '--', 'x'], 'no meaning'),
    (['doctor', 'x'], 'unexpected argument'),
])
def test_bad_usage(run, folder, arguments, words):
    done = run(*arguments)
    assert done.returncode == 2 and done.stdout == ''
    assert words in done.stderr
    assert os.listdir(folder) == []


# Targets that can't be recorded


@pytest.mark.parametrize('command', ['record', 'ps'])
def test_no_such_process(run, folder, command):
    pid = gone_pid()
    done = run(command, '-p', pid)
    assert done.returncode == 3 and f'no process with pid {pid}' in done.stderr
    assert os.listdir(folder) == []


@pytest.mark.parametrize('command', ['record', 'ps'])
def test_not_python(run, folder, command):
    with subprocess.Popen(['sleep', '1000']) as process:
        done = run(command, '-p', process.pid)
        process.kill()
    assert done.returncode == 4 and 'is not a Python process' in done.stderr
    assert os.listdir(folder) == []


def test_thread_instead_of_process(run, folder):
    with busy() as target:
        [thread] = set(os.listdir(f'/proc/{target.pid}/task')) - {str(target.pid)}
        done = run('record', '-p', thread)
    assert done.returncode == 3 and f'thread of process {target.pid};' in done.stderr
    assert os.listdir(folder) == []


@contextlib.contextmanager
def alpha_python():
    """An interpreter that calls itself an alpha, as a command, and the version it says; a copy of a
    static 3.13 or later with another word in its debug offsets."""
    found = json.loads(subprocess.run([os.path.join(HERE, 'interpreters')], check=True,
                                      stdout=subprocess.PIPE).stdout)
    for one in found:
        with open(one['root'] + os.path.realpath(one['argv'][-1]), 'rb') as stream:
            program = stream.read()
        at = program.find(b'xdebugpy' + struct.pack('<Q', one['hexversion']))
        if at < 0:
            continue
        program = bytearray(program)
        program[at + 8] = 0xa1  # PY_VERSION_HEX: level alpha, serial 1
        with tempfile.TemporaryDirectory(dir=one['root'] + '/tmp') as copy:
            with open(copy + '/python', 'wb') as stream:
                stream.write(program)
            os.chmod(copy + '/python', 0o755)
            yield one['argv'][:-1] + [copy[len(one['root']):] + '/python'], one['version'] + 'a1'
        return
    raise AssertionError('there is no static Python 3.13 or later')


def test_unsupported_python(run, folder):
    code = 'import sys; sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()'
    with alpha_python() as (argv, version):
        with subprocess.Popen([*argv, '-S', '-c', code], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE) as target:
            assert target.stdout.readline() == b'ready\n'
            listed, done = run('ps', '-p', target.pid), run('record', '-p', target.pid)
            target.stdin.close()
    assert done.returncode == 7
    assert f'Python {version} is an alpha' in done.stderr
    assert f'no: Python {version} is an alpha' in listed.stdout
    assert listed.returncode == 0
    assert os.listdir(folder) == []


def as_nobody(pitviper, folder):
    """pitviper where nobody may run it, and the command that does."""
    copy = os.path.join(folder, 'bin')
    os.mkdir(copy, 0o755)
    shutil.copy(pitviper, copy)
    return ['setpriv', f'--reuid={NOBODY}', f'--regid={NOBODY}', '--clear-groups',
            os.path.join(copy, os.path.basename(pitviper))]


def test_not_permitted(pitviper, folder):
    command = as_nobody(pitviper, folder)
    with busy() as target:
        for arguments in (['record', '-p', str(target.pid)], ['record', '-a'],
                          ['ps', '-p', str(target.pid)]):
            done = subprocess.run(command + arguments, cwd=folder, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, timeout=WAIT_S)
            assert done.returncode == 5, done.stderr
            assert 'CAP_' in done.stderr and 'sudo' in done.stderr
    assert os.listdir(folder) == ['bin']


def test_not_permitted_does_not_run_the_program(pitviper, folder):
    command = as_nobody(pitviper, folder)
    done = subprocess.run([*command, 'record', '--', 'touch', 'ran'], cwd=folder,
                          stderr=subprocess.PIPE, timeout=WAIT_S)
    assert done.returncode == 5
    assert os.listdir(folder) == ['bin']


# ps and doctor


def test_ps_lists_and_escapes(run):
    argument = 'a\033[31mred\nline\u202e'
    process = subprocess.Popen([sys.executable, '-c', 'print("ready", flush=True); input()',
                                argument], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdout.readline() == b'ready\n'
        for arguments in ([], ['-p', process.pid]):
            done = run('ps', *arguments)
            assert done.returncode == 0
            rows = done.stdout.split('\n')
            assert rows[0].split() == ['PID', 'VERSION', 'BUILD', 'LAYOUT', 'STATUS', 'COMMAND']
            mine = [row for row in rows if row.split()[:1] == [str(process.pid)]]
            assert len(mine) == 1 and 'supported' in mine[0], done.stdout
            assert '%d.%d' % sys.version_info[:2] in mine[0]
            assert r'a\x1b[31mred\nline\u202e' in mine[0]
            assert len(rows) == 3 or not arguments
        process.stdin.close()


def test_doctor(run, pitviper, folder):
    done = run('doctor')
    assert done.returncode == 0 and done.stdout.endswith('record works here.\n')
    assert 'missing' not in done.stdout and '\033' not in done.stdout
    command = as_nobody(pitviper, folder)
    done = subprocess.run([*command, 'doctor'], stdout=subprocess.PIPE, text=True, timeout=WAIT_S)
    assert done.returncode == 5
    assert re.search(r'^missing  capabilities .*CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE', done.stdout,
                     re.M)
    assert '-> sudo pitviper' in done.stdout


# The output


@pytest.mark.parametrize('path', ['missing/out.svg', '.', '/proc/out.svg'])
def test_output_refused_before_the_program_runs(run, folder, path):
    done = run('record', '-o', path, '--', 'touch', 'ran')
    assert done.returncode == 8 and f'cannot write {path}: ' in done.stderr
    assert os.listdir(folder) == []


def test_output_unwritable(pitviper, folder):
    command = as_nobody(pitviper, folder)
    os.chmod(folder, 0o755)
    done = subprocess.run([*command, 'record', '-a', '-o', 'x.svg'], cwd=folder,
                          stderr=subprocess.PIPE, text=True, timeout=WAIT_S)
    assert done.returncode == 8 and 'cannot write x.svg: Permission denied' in done.stderr


def test_disk_full(run, folder):
    disk = os.path.join(folder, 'disk')
    os.mkdir(disk)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', disk], check=True)
    try:
        done = run('record', '-o', 'disk/out.svg', '--', sys.executable, '-c', 'sum(range(10**7))')
        assert done.returncode == 8, done.stderr
        assert 'cannot write disk/out.svg: No space left on device' in done.stderr
        assert os.listdir(disk) == []
    finally:
        subprocess.run(['umount', disk], check=True)


def test_device_full(run):
    done = run('record', '-o', '/dev/full', '--', 'true')
    assert done.returncode == 8 and 'No space left' in done.stderr
    assert stat.S_ISCHR(os.stat('/dev/full').st_mode)


def test_output_pipe_without_reader(begin, folder):
    """A reader that goes away is an error with a name, not a silent death by SIGPIPE."""
    os.mkfifo(os.path.join(folder, 'pipe'))
    reader = os.open(os.path.join(folder, 'pipe'), os.O_RDONLY | os.O_NONBLOCK)
    process = begin('-o', 'pipe', '--', 'sh', '-c', 'read line', stdin=subprocess.PIPE)
    os.close(reader)
    process.stdin.write('\n')
    status, messages, _ = end(process)
    assert status == 8 and 'cannot write pipe: Broken pipe' in messages


def test_output_to_stdout(run):
    done = run('record', '-f', 'folded', '-o', '/dev/stdout', '--', sys.executable, '-c',
               'sum(range(10**7))')
    assert done.returncode == 0
    assert re.search(r'<module>.* \d+$', done.stdout, re.M), done.stderr


def test_default_name(run, folder):
    done = run('record', '--', '/usr/bin/env', 'true')
    assert done.returncode == 0, done.stderr
    [name] = os.listdir(folder)
    assert re.fullmatch(r'env-\d+-\d{8}-\d{6}\.svg', name)
    assert f'wrote {name}; ' in done.stderr
    assert stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) == 0o600


def test_default_name_of_a_process(run, folder):
    with busy() as target:
        assert run('record', '-p', target.pid, '-d', '0.1', '-f', 'folded').returncode == 0
    [name] = os.listdir(folder)
    assert re.fullmatch(rf'[\w.]+-{target.pid}-\d{{8}}-\d{{6}}\.folded', name)


@pytest.mark.parametrize('format_name', ['speedscope', 'raw'])
def test_format_beats_extension(run, folder, format_name):
    done = run('record', '-f', format_name, '-o', 'x.svg', '--', 'true')
    assert done.returncode == 0
    with open(os.path.join(folder, 'x.svg'), encoding='utf-8') as stream:
        assert '<svg' not in stream.read()


def test_ledger_is_printed_and_adds_up(run):
    done = run('record', '-a', '-d', '0.5', '-o', 'x.svg')
    rows = re.findall(r'^  (\S.*?)  +([\d,]+)  +([\d.]+)%', done.stderr, re.M)
    counts = {label: int(count.replace(',', '')) for label, count, _ in rows}
    total = counts.pop('ticks')
    assert total > 0 and sum(counts.values()) == total, done.stderr
    assert all(counts.values()), 'rows of zero are left out'
    assert re.search(rf'^  ticks +{total:,}  100\.00%  = sum$', done.stderr, re.M)


def test_quiet(run, folder):
    with busy() as target:
        done = run('record', '-q', '-d', '0.3', '-o', 'x.svg', '-p', target.pid)
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')
    assert os.listdir(folder) == ['x.svg']


# The end of a recording


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_writes(begin, folder, number):
    with busy() as target:
        process = begin('-p', target.pid, '-o', 'x.folded', '-r', '999')
        time.sleep(0.2)  # something to record
        process.send_signal(number)
        status, messages, _ = end(process)
        assert status == 0, messages
        assert target.poll() is None
    assert number.name in messages
    assert has_spin(os.path.join(folder, 'x.folded'))


def test_ignored_sigint_still_ends(begin, folder):
    """As `pitviper ... &` in a script has it."""
    with busy() as target:
        process = begin('-p', target.pid, '-o', 'x.svg',
                        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
        process.send_signal(signal.SIGINT)
        assert end(process)[0] == 0
    assert os.listdir(folder) == ['x.svg']


@pytest.mark.parametrize('first, second', [(signal.SIGINT, signal.SIGTERM),
                                           (signal.SIGHUP, signal.SIGINT),
                                           (signal.SIGQUIT, None)])
def test_second_signal_stops_at_once(begin, folder, first, second):
    with busy() as target:
        process = begin('-p', target.pid, '-o', 'x.svg')
        assert len(os.listdir(folder)) == 1, 'the output is open'
        os.kill(process.pid, signal.SIGSTOP)
        process.send_signal(first)
        if second:
            process.send_signal(second)
        os.kill(process.pid, signal.SIGCONT)
        status, messages, _ = end(process)
    assert status == 130 and 'nothing was written' in messages
    assert os.listdir(folder) == []


def test_second_signal_while_writing(begin, folder):
    """Nobody reads the pipe that it writes to: without a way out it would wait for ever."""
    path = os.path.join(folder, 'pipe')
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with busy() as target:
        process = begin('-p', target.pid, '-o', 'pipe', '-f', 'flamegraph')
        fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, 4096)
        process.send_signal(signal.SIGINT)
        assert select.select([reader], [], [], WAIT_S)[0], 'it writes'
        process.send_signal(signal.SIGINT)
        status, messages, _ = end(process)
    os.close(reader)
    assert status == 130 and 'stopped at once' in messages


def test_target_killed(begin, folder):
    with busy() as target:
        process = begin('-p', target.pid, '-o', 'x.folded', '-r', '999')
        time.sleep(0.2)  # something to record
        target.kill()
        status, messages, _ = end(process)
    assert status == 0 and 'no process is left' in messages
    assert has_spin(os.path.join(folder, 'x.folded'))


def test_target_execs(begin, folder):
    code = ('import os\ndef spin_here():\n    for _ in range(20000): sum(range(1000))\n'
            'print("ready", flush=True)\ninput()\nspin_here()\n'
            'os.execv("/bin/sleep", ["sleep", "0.3"])\n')
    with subprocess.Popen([sys.executable, '-c', code], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE) as target:
        assert target.stdout.readline() == b'ready\n'
        process = begin('-p', target.pid, '-o', 'x.folded')
        target.communicate(b'\n')
        status, messages, _ = end(process)
    assert status == 0 and 'no process is left' in messages
    assert has_spin(os.path.join(folder, 'x.folded'))


def test_duration(run, folder):
    with busy() as target:
        done = run('record', '-p', target.pid, '-d', '0.5', '-o', 'x.folded')
    assert done.returncode == 0 and 'the time is over' in done.stderr
    seconds = float(re.search(r'samples? in ([\d.]+) s at 99 Hz', done.stderr).group(1))
    assert seconds >= 0.5


def test_no_samples_is_said(run):
    with subprocess.Popen([sys.executable, '-c', 'print("ready", flush=True); input()'],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as target:
        target.stdout.readline()
        done = run('record', '-p', target.pid, '-d', '0.3', '-o', 'x.svg')
        target.stdin.close()
    assert done.returncode == 0 and 'warning: no samples' in done.stderr


# A program that pitviper starts


@pytest.mark.parametrize('script, status', [
    ('exit 0', 0), ('exit 7', 7), ('exit 255', 255), ('kill -TERM $$', 128 + signal.SIGTERM),
    ('kill -KILL $$', 128 + signal.SIGKILL), ('kill -SEGV $$', 128 + signal.SIGSEGV),
])
def test_status_is_passed_on(run, folder, script, status):
    done = run('record', '-o', 'x.svg', '--', 'sh', '-c', script)
    assert done.returncode == status, done.stderr
    assert os.listdir(folder) == ['x.svg']


def test_stdin_and_stdout_are_the_programs(run):
    text = 'one\ntwo\n' * 10000
    done = run('record', '-q', '-o', 'x.svg', '--', 'sh', '-c', 'cat; echo to stderr >&2',
               input=text)
    assert done.returncode == 0 and done.stdout == text
    assert 'to stderr\n' in done.stderr


@pytest.mark.parametrize('name, words', [('no-such-program', 'not found in PATH'),
                                         ('./no-such-program', 'No such file'),
                                         ('/etc/passwd', 'Permission denied')])
def test_program_cannot_be_run(run, folder, name, words):
    done = run('record', '-o', 'x.svg', '--', name)
    assert done.returncode == 127
    assert f'cannot run {name}: ' in done.stderr and words in done.stderr
    assert os.listdir(folder) == []


def test_program_finds_things_as_without_us(run, folder):
    """Signal masks, dispositions and open files."""
    command = ['sh', '-c', 'grep -E "^Sig(Blk|Ign|Cgt)" /proc/self/status; ls /proc/self/fd']
    alone = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.PIPE, text=True, cwd=folder, check=True)
    done = run('record', '-q', '-o', 'x.svg', '--', *command)
    assert done.stdout == alone.stdout


def test_ignored_signals_stay_ignored(run):
    done = run('record', '-q', '-o', 'x.svg', '--', 'grep', 'SigIgn', '/proc/self/status',
               preexec_fn=lambda: [signal.signal(number, signal.SIG_IGN)
                                   for number in (signal.SIGINT, signal.SIGHUP)])
    ignored = int(done.stdout.split()[1], 16)
    for number in (signal.SIGINT, signal.SIGHUP):
        assert ignored >> (number - 1) & 1, number


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGUSR1])
def test_signal_is_forwarded(begin, folder, number):
    code = ('import signal, sys, time\n'
            f'signal.signal({int(number)}, lambda *_: sys.exit(5))\n'
            'print("ready", flush=True)\n'
            'while True: time.sleep(0.01)\n')
    process = begin('-o', 'x.svg', '--', sys.executable, '-c', code, stdout=subprocess.PIPE)
    assert process.stdout.readline() == 'ready\n'
    process.send_signal(number)
    status, messages, _ = end(process)
    assert status == 5, messages
    assert os.listdir(folder) == ['x.svg']


def test_program_outlives_the_recording(begin, folder):
    process = begin('-d', '0.2', '-o', 'x.svg', '--', 'sh', '-c', 'read line; exit 9',
                    stdin=subprocess.PIPE)
    until(lambda: os.listdir(folder) == ['x.svg'])
    line = process.stderr.readline()
    while line and 'waiting for the program' not in line:
        line = process.stderr.readline()
    assert line
    assert process.poll() is None
    process.stdin.write('\n')
    process.stdin.flush()
    assert end(process)[0] == 9


def test_sudo_user(run, folder):
    """Run through sudo, the program and the file belong to the user who called it."""
    environment = {**os.environ, 'SUDO_UID': str(NOBODY), 'SUDO_GID': str(NOBODY),
                   'SUDO_USER': 'nobody', 'HOME': '/root', 'USER': 'root'}
    done = run('record', '-q', '-o', 'x.svg', '--', 'sh', '-c',
               'id -u; id -ru; id -g; id -G; echo $USER $HOME $SUDO_UID; cat /proc/self/status',
               env=environment)
    lines = done.stdout.split('\n')
    assert lines[:4] == [str(NOBODY)] * 4, done.stderr
    assert lines[4] == 'nobody ' + os.path.expanduser('~nobody')
    assert re.search(r'^CapEff:\t0+$', done.stdout, re.M)
    info = os.stat(os.path.join(folder, 'x.svg'))
    assert (info.st_uid, info.st_gid, stat.S_IMODE(info.st_mode)) == (NOBODY, NOBODY, 0o600)


# The terminal


class Terminal:
    """pitviper on a terminal of its own."""

    def __init__(self, pitviper, folder, *arguments, **environment):
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.chdir(folder)
            os.execve(pitviper, [pitviper, 'record', *map(str, arguments)],
                      {**os.environ, 'TERM': 'xterm', **environment})
        self.seen = b''

    def read(self):
        """False: it is closed."""
        assert select.select([self.fd], [], [], WAIT_S)[0], self.seen
        try:
            got = os.read(self.fd, 65536)
        except OSError:
            got = b''
        self.seen += got
        return bool(got)

    def until(self, words):
        while words not in self.seen:
            assert self.read(), self.seen
        return self

    def type(self, keys):
        os.write(self.fd, keys)

    def end(self):
        """(exit status, what was seen)"""
        while self.read():
            pass
        os.close(self.fd)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1]), self.seen.decode()


def test_status_line_on_a_terminal(pitviper, folder):
    with busy() as target:
        terminal = Terminal(pitviper, folder, '-p', target.pid, '-o', 'x.folded')
        terminal.until(b'1 process ').until(b'own CPU')
        terminal.type(b'\x03')
        status, seen = terminal.end()
    assert status == 0
    drawn = re.findall(r'\r([^\r\n]*)\033\[K', seen)
    assert re.match(r'\d+\.\d s  [\d,]+ samples?  1 process  0 lost  own CPU \d+\.\d%', drawn[0])
    assert drawn[-1] == '' and '\r\033[K' in seen, 'it is cleared at the end'
    assert 'wrote x.folded' in seen.replace('\r\n', '\n').split('\r\033[K')[-1]


@pytest.mark.parametrize('environment', [{'TERM': 'dumb'}, {'TERM': ''}])
def test_no_status_line_on_a_dumb_terminal(pitviper, folder, environment):
    with busy() as target:
        terminal = Terminal(pitviper, folder, '-p', target.pid, '-d', '0.5', '-o', 'x.folded',
                            **environment)
        status, seen = terminal.end()
    assert status == 0 and 'wrote' in seen
    assert '\033' not in seen and 'own CPU' not in seen


def test_no_status_line_on_a_pipe(run):
    with busy() as target:
        done = run('record', '-p', target.pid, '-d', '0.5', '-o', 'x.folded',
                   env={**os.environ, 'TERM': 'xterm'})
    assert done.returncode == 0
    assert '\r' not in done.stderr and '\033' not in done.stderr and 'own CPU' not in done.stderr


def test_ctrl_c_reaches_the_program_once(pitviper, folder):
    code = ('import os, signal, sys\n'
            'got = []\n'
            'def count(*_):\n'
            '    got.append(1)\n'
            '    os.write(1, b"int %d\\n" % len(got))\n'
            'signal.signal(signal.SIGINT, count)\n'
            'print("up", flush=True)\n'
            'line = sys.stdin.readline()\n'
            'sys.exit(40 + len(got))\n')
    terminal = Terminal(pitviper, folder, '-o', 'x.svg', '--', sys.executable, '-c', code)
    terminal.until(b'up\r\n').type(b'\x03')
    terminal.until(b'int 1').until(b'waiting for the program').type(b'\n')
    status, seen = terminal.end()
    assert status == 41, seen
    assert os.listdir(folder) == ['x.svg']
    assert 'own CPU' not in seen, 'the terminal is the program\'s'
