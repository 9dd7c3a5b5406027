# SPDX-License-Identifier: Apache-2.0
"""What record -o FILE.pv leaves, whatever becomes of it, and what report makes of that."""
import glob
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time

import pytest

import pprof
from harness import SHOWN, Target, clean_environment, parse_folded, parse_ledger

pytestmark = pytest.mark.beside

WAIT_S = 120
OUTSIDER, MEMBER_GROUP = 65534, 54321
RATE = 499

# Ever new stacks: each sample is some hundred bytes of its own.
MAZE = '''
import os, random, sys
text = "".join(f"def f{i}(way):\\n" + "".join(f" if way and way[0] == {k}: return f{k}(way[1:])\\n"
                                            for k in range(20)) + " return sum(range(20000))\\n"
               for i in range(20))
exec(compile(text, "maze.py", "exec"))
print("ready", flush=True)
while True:
    f0([random.randrange(20) for _ in range(40)])
'''


@pytest.fixture
def folder():
    path = tempfile.mkdtemp(prefix='pitviper-store-')
    yield path
    shutil.rmtree(path)


@pytest.fixture
def mix():
    target = Target([sys.executable, os.path.join(os.path.dirname(__file__), '..', 'targets',
                                                  'mix.py')])
    yield target
    target.kill()


@pytest.fixture
def start(pitviper):
    """Start `pitviper record`; its messages go to a file beside the output."""
    started = []

    def start_it(path, *arguments):
        with open(path + '.messages', 'wb') as errors:
            process = subprocess.Popen([pitviper, 'record', '-o', path, '-r', str(RATE),
                                        *map(str, arguments)], stdin=subprocess.DEVNULL,
                                       stderr=errors, env=clean_environment())
        started.append(process)
        return process
    yield start_it
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def report(pitviper):
    def report_it(*arguments, **options):
        return subprocess.run([pitviper, 'report', *map(str, arguments)], text=True, timeout=WAIT_S,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                              **options)
    return report_it


def messages(path):
    with open(path + '.messages', encoding='utf-8') as stream:
        return stream.read()


def until(condition, process):
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)


def has_buckets(path, count):
    """Is it there, with so many buckets? By a reader that is not ours."""
    if not os.path.exists(path):
        return False
    try:
        with sqlite3.connect(f'file:{path}?mode=ro', uri=True) as file:
            return file.execute('SELECT count(*) FROM bucket').fetchone()[0] >= count
    except sqlite3.OperationalError:
        return False  # no table yet
    finally:
        file.close()


def check_closes(path):
    """Each bucket's outcomes add up to its ticks, and its samples are those its ledger shows."""
    file = sqlite3.connect(f'file:{path}?mode=ro', uri=True)
    assert file.execute('PRAGMA integrity_check').fetchone()[0] == 'ok'
    ticks = file.execute(
        'SELECT b.id, b.tick_cnt, sum(l.cnt) FROM bucket b JOIN ledger l ON l.bucket = b.id'
        ' JOIN counter c ON c.id = l.counter AND NOT c.event GROUP BY b.id').fetchall()
    assert all(cnt == total for _, cnt, total in ticks), ticks
    runs = file.execute('SELECT run, sum(span_ns), max(start_ns + span_ns), count(*) FROM bucket'
                        ' GROUP BY run').fetchall()
    samples = dict(file.execute('SELECT b.run, sum(s.cnt) FROM sample s JOIN bucket b'
                                ' ON b.id = s.bucket GROUP BY b.run').fetchall())
    file.close()
    for run, span_ns, _, _ in runs:
        # Of one thread there can't be more than one sample a tick.
        assert samples.get(run, 0) <= span_ns / 1e9 * RATE * 1.02 + 2, (run, samples)
    return runs


def test_what_was_recorded_is_reported(folder, mix, start, report):
    path = os.path.join(folder, 'a.pv')
    done = start(path, '-p', mix.pid, '-d', '3.3')
    assert done.wait(WAIT_S) == 0, messages(path)
    assert os.listdir(folder).count('a.pv') == 1 and not glob.glob(path + '-*')
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert len(check_closes(path)) == 1
    ledger, ticks = parse_ledger(messages(path))
    count = sum(ledger[label] for label in SHOWN)
    assert count

    for name in ('p.pb.gz', 'p.folded', 'p.svg', 'p.speedscope.json'):
        made = report(path, '-o', os.path.join(folder, name))
        assert made.returncode == 0 and parse_ledger(made.stderr) == (ledger, ticks), made.stderr
    profile = pprof.Profile(os.path.join(folder, 'p.pb.gz'))
    assert sum(sample.count for sample in profile.samples) == count + ledger['ring full']
    rows = {match[1]: int(match[2].replace(',', '')) for match in
            (re.match(r'ledger: (.+?) ([\d,]+) \(', comment) for comment in profile.comments)
            if match}
    assert {label: rows.get(label, 0) for label in ledger} == ledger
    folded = parse_folded(os.path.join(folder, 'p.folded'))
    assert sum(folded.values()) == count + ledger['ring full']
    shares = {name: sum(n for stack, n in folded.items() if any(name in frame for frame in stack))
              for name in ('work_a', 'work_b', 'work_c')}
    assert shares['work_a'] > shares['work_b'] > 0, shares

    # What the process belongs to.
    with sqlite3.connect(path) as file:
        labels = dict(file.execute('SELECT CAST(n.text AS TEXT), CAST(v.text AS TEXT) FROM label l'
                                   ' JOIN string n ON n.id = l.name'
                                   ' JOIN string v ON v.id = l.value'))
    file.close()
    with open(f'/proc/{mix.pid}/cgroup', encoding='utf-8') as stream:
        assert labels['cgroup'] in stream.read()
    assert labels['python'] == '%d.%d' % sys.version_info[:2]
    assert labels['comm'].startswith('python') and labels['service'] == 'mix.py'
    assert 'no sample is left' not in report(path, '--comm', '^python').stderr
    assert 'no sample is left' in report(path, '--cgroup', '^nowhere').stderr

    # Parts and the table.
    part = report(path, '-f', 'folded', '--focus', '^work_a ')
    assert sum(int(line.rpartition(' ')[2]) for line in part.stdout.splitlines()) == \
        shares['work_a']
    rest = report(path, '-f', 'folded', '--ignore', '^work_a ', '-q')
    assert 'work_a' not in rest.stdout and rest.stderr == ''
    table = report(path, '--top', 3).stdout.splitlines()
    assert len(table) == 5 and 'work_a (mix.py' in table[1], table
    assert report(path, '-p', mix.pid, '--top', 1).stdout.splitlines()[:2] == table[:2]
    assert 'no sample is left' in report(path, '-p', os.getpid()).stderr
    check_ranges(path, folder, report)


def check_ranges(path, folder, report):
    """Times of a file count from its end; the difference of two of them."""
    first = report(path, '--to', '1.5s', '-f', 'folded')
    second = report(path, '--last', '1.5s', '-f', 'folded')
    both = [sum(int(line.rpartition(' ')[2]) for line in one.stdout.splitlines())
            for one in (first, second)]
    whole = sum(int(line.rpartition(' ')[2])
                for line in report(path, '-f', 'folded').stdout.splitlines())
    assert all(both) and sum(both) == whole, (both, whole)
    nothing = report(path, '--from', '2h', '--to', '1h')
    assert nothing.returncode == 10 and re.search(r'there is something from [-\d]+ [:\d]+ to',
                                                  nothing.stderr), nothing
    same = report(path, '--diff', path)
    assert same.returncode == 0 and len(same.stdout.splitlines()) == 1, same.stdout
    svg = os.path.join(folder, 'diff.svg')
    made = report(path, path, '--last', '1.5s', '--diff', '2h..1.5s', '-o', svg)
    assert made.returncode == 0, made.stderr
    with open(svg, encoding='utf-8') as stream:
        text = stream.read()
    assert ', was ' in text and 'has grown' in text and 'compared with 2h..1.5s' in text


def test_refusals(folder, report, start):
    def refused(status, words, *arguments):
        done = report(*arguments)
        assert done.returncode == status and words in done.stderr and not done.stdout, done

    none = os.path.join(folder, 'none.pv')
    refused(11, 'is not there', none)
    refused(11, 'is not a pitviper store', __file__)
    refused(2, 'did you mean', none, '--las', '5m')
    refused(2, 'exclude each other', none, '--last', '5m', '--from', '14:00')
    refused(2, 'not a regular expression', none, '--focus', '(')
    refused(2, 'names no format', none, '-o', 'x.png')
    # The options are looked at before any file.
    refused(2, 'no time', none, '--from', '25:00')
    refused(2, 'no time', none, '--to', '25:00')
    refused(2, 'no length of time', none, '--last', '5x')
    refused(2, 'nor is it a file', none, '--diff', '13:00')
    refused(2, 'no length of time', '--last', 'soon')
    assert not os.path.exists(none)
    # Who damages it: it is kept, and a new one begun.
    damaged = os.path.join(folder, 'damaged.pv')
    with open(damaged, 'w', encoding='utf-8') as stream:
        stream.write('precious')
    process = start(damaged, '-d', '0.2', '--', sys.executable, '-c', 'sum(range(10**7))')
    assert process.wait(WAIT_S) == 0, messages(damaged)
    aside = re.search(r'it is kept as (\S+damaged-[-\d]+),', messages(damaged))[1]
    with open(aside, encoding='utf-8') as stream:
        assert stream.read() == 'precious'
    assert report(damaged).returncode == 0


def test_killed_at_any_moment(folder, mix, start, report):
    """The same file again and again: what was stored stays, at most the last part is lost."""
    path = os.path.join(folder, 'a.pv')
    rng = random.Random(4)
    kept = 0

    for moment in (0.0, rng.uniform(0, 2), rng.uniform(0, 2)):
        process = start(path, '-p', mix.pid)
        until(lambda count=kept: has_buckets(path, count + 1), process)
        time.sleep(moment)
        killed_ns = time.time_ns()
        process.send_signal(signal.SIGKILL)
        process.wait()
        done = report(path)
        assert done.returncode == 0, done.stderr
        runs = check_closes(path)
        # At 1, 2 and 4 seconds: what is behind the last one is no longer than what was before it.
        _, span_ns, end_ns, count = runs[-1]
        assert killed_ns - end_ns < span_ns + 1.5e9, runs
        kept = sum(run[3] for run in runs)
        assert count
    assert len(runs) == 3


def test_read_while_written(folder, mix, start, report):
    path = os.path.join(folder, 'a.pv')
    process = start(path, '-p', mix.pid)
    until(lambda: has_buckets(path, 1), process)
    seen = []
    while len(set(seen)) < 3:
        done = report(path, '-f', 'folded')
        assert done.returncode == 0 and process.poll() is None, done.stderr
        seen.append(sum(int(line.rpartition(' ')[2]) for line in done.stdout.splitlines()))
    assert seen == sorted(seen)
    process.send_signal(signal.SIGINT)
    assert process.wait(WAIT_S) == 0
    assert 'cannot write' not in messages(path)
    check_closes(path)


def test_disk_full(folder, start):
    """Storing pauses and goes on, sampling does neither; what is missing is told."""
    disk = os.path.join(folder, 'disk')
    os.mkdir(disk)
    subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk], check=True)
    target = Target([sys.executable, '-c', MAZE])
    path, said = os.path.join(disk, 'a.pv'), os.path.join(folder, 'said')
    try:
        os.symlink(said, path + '.messages')
        process = start(path, '-p', target.pid)
        until(lambda: 'storing pauses' in messages(path), process)
        subprocess.run(['mount', '-o', 'remount,size=16m', disk], check=True)
        until(lambda: 'can be written again' in messages(path), process)
        process.send_signal(signal.SIGINT)
        assert process.wait(WAIT_S) == 8
        lost = int(re.search(r'([\d]+) samples were not stored', messages(path))[1])
        assert lost > 0 and 'not all that was recorded' in messages(path)
        check_closes(path)
        with sqlite3.connect(path) as file:
            told = file.execute("SELECT sum(cnt) FROM ledger JOIN counter ON id = counter"
                                " WHERE name = 'STORE_DROPPED'").fetchone()[0]
        file.close()
        assert told == lost
    finally:
        target.kill()
        start_dead = subprocess.run(['umount', '-l', disk], check=False)
        assert start_dead.returncode == 0


def test_without_root(folder, mix, start, report):
    """For who is in the file's group, from a directory that only root may write to."""
    path = os.path.join(folder, 'a.pv')
    assert start(path, '-p', mix.pid, '-d', '1.5').wait(WAIT_S) == 0, messages(path)
    os.chown(folder, 0, MEMBER_GROUP)
    os.chmod(folder, 0o750)
    os.chown(path, 0, MEMBER_GROUP)
    os.chmod(path, 0o640)
    member = {'user': OUTSIDER, 'group': OUTSIDER, 'extra_groups': [MEMBER_GROUP], 'cwd': '/'}
    outsider = {'user': OUTSIDER, 'group': OUTSIDER, 'extra_groups': [], 'cwd': '/'}
    whole = report(path).stdout

    assert report(path, **member).stdout == whole
    assert report(path, **outsider).returncode == 5
    # Someone writes to it: there is a log, and an index of it that a reader may only read.
    writer = sqlite3.connect(path)
    writer.execute('PRAGMA journal_mode = WAL')
    writer.execute("UPDATE run SET title = 'written meanwhile'")
    writer.commit()
    assert os.path.getsize(path + '-wal') > 0
    done = report(path, '-f', 'speedscope', **member)
    assert done.returncode == 0 and 'written meanwhile' in done.stdout, done.stderr
    assert report(path, **outsider).returncode == 5
    # It was killed: the log stays, and nobody may put it away.
    shutil.copytree(folder, folder + '.killed')
    try:
        for one in glob.glob(folder + '.killed/*') + [folder + '.killed']:
            os.chown(one, 0, MEMBER_GROUP)
        done = report(path.replace(folder, folder + '.killed'), '-f', 'speedscope', **member)
        assert done.returncode == 0 and 'written meanwhile' in done.stdout, done.stderr
    finally:
        shutil.rmtree(folder + '.killed')
    writer.close()
    # Nobody does, but the file is left in the mode in which there could be a log.
    assert not os.path.exists(path + '-wal')
    assert report(path, **member).stdout == whole
