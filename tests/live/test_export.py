# SPDX-License-Identifier: Apache-2.0
"""Samples exported = samples stored, none twice, whatever the destination does."""
import gzip
import json
import os
import shutil
import sqlite3
import subprocess
import sys

import pytest

import wire
from collector import FAULTS, Collector
from harness import ROOT

pytestmark = pytest.mark.beside

QUEUE_HEADER = 40  # bytes in front of a request that waits
PATHS = {'otlp': '/v1development/profiles', 'pyroscope': '/push.v1.PusherService/Push',
         'parca': '/api/profiles/writeraw', 'pprof': '/'}


@pytest.fixture(scope='module')
def feed_binary():
    subprocess.run(['make', '-s', '-C', ROOT, 'feed'], check=True)
    return os.path.join(ROOT, os.environ.get('O', '.output'), 'tests', 'exports', 'feed')


class Feed:
    """Stores made-up buckets and exports them, see tests/exports/feed.c."""

    def __init__(self, binary, folder, engine, url, queue=1 << 20, rates='19', options=()):
        self.store = os.path.join(folder, 'store.pv')
        self.process = subprocess.Popen(
            [binary, self.store, os.path.join(folder, 'queue'), engine, url, str(queue), rates,
             *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def add(self, cnt=1):
        self.process.stdin.write(b'\n' * cnt)
        self.process.stdin.flush()

    def stored(self):
        with sqlite3.connect(f'file:{self.store}?mode=ro', uri=True) as store:
            return store.execute('SELECT coalesce(sum(cnt), 0) FROM sample').fetchone()[0]

    def finish(self):
        out, self.stderr = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, self.stderr
        return json.loads(out)

    def kill(self):
        self.process.kill()
        self.process.communicate(timeout=60)


@pytest.fixture
def feed(feed_binary, tmp_path):
    started = []

    def start(*args, **named):
        started.append(Feed(feed_binary, str(tmp_path), *args, **named))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.kill()


def feed_slowly(feeder, collector, cnt):
    """A request for each bucket: the next comes when the last was taken."""
    for _ in range(cnt):
        before = collector.samples
        feeder.add()
        collector.wait(lambda before=before: collector.samples > before and collector.answered())


@pytest.mark.parametrize('engine', PATHS)
def test_half_fails(feed, engine):
    """Every second request meets one of the faults; the rates change."""
    faults = FAULTS if engine == 'otlp' else ['503', 'swallow']
    with Collector(engine, faults) as collector:
        feeder = feed(engine, collector.url, rates='19,19,23')
        feed_slowly(feeder, collector, 2 * len(faults))
        stats = feeder.finish()
        assert set(faults) < set(collector.attempts)
        stored = feeder.stored()
        assert stored > 0 and collector.samples == stored
        assert not collector.wrong
        # taken, and the answer lost: sent again, and known by its id
        assert collector.repeated == collector.attempts['swallow']
        assert stats['sent'] == stats['queued'] == stored
        assert stats['items'] == stats['dropped'] == stats['refused'] == stats['problem'] == 0
        assert stats['failed'] == sum(collector.attempts[fault] for fault in faults
                                      if fault not in ('broken body', 'huge body'))
        assert collector.paths == {PATHS[engine]}
        assert b'secret.py' not in b''.join(collector.taken.values())


def test_times_out(feed):
    with Collector('otlp', ['slow']) as collector:
        feeder = feed('otlp', collector.url)
        feed_slowly(feeder, collector, 2)
        stats = feeder.finish()
        assert collector.samples == feeder.stored() == stats['sent']
        assert collector.repeated == collector.attempts['slow'] >= 1


def test_killed(feed):
    """kill -9 again and again while half of the requests fail."""
    with Collector('otlp', FAULTS) as collector:
        for _ in range(6):
            feeder = feed('otlp', collector.url)
            feed_slowly(feeder, collector, 2)
            feeder.add(3)
            feeder.kill()
        feeder = feed('otlp', collector.url)
        feeder.add()
        feeder.finish()
        stored = feeder.stored()
        feeder = feed('otlp', collector.url)
        collector.wait(lambda: collector.samples >= stored and collector.answered())
        feeder.finish()
        assert collector.samples == stored == feeder.stored()


def test_dead(feed):
    """Nobody listens: storing goes on, the oldest requests go, and what comes later is sent."""
    with Collector('otlp') as collector:
        url = collector.url
    feeder = feed('otlp', url, queue=4000)
    feeder.add(100)
    stats = feeder.finish()
    stored = feeder.stored()
    assert stats['queued'] == stored and stats['sent'] == 0 and stats['problem']
    first = stats['dropped']
    with Collector('otlp') as collector:
        feeder = feed('otlp', collector.url, queue=4000)
        feed_slowly(feeder, collector, 1)
        stats = feeder.finish()
        assert collector.samples == stats['sent'] == feeder.stored() - first - stats['dropped']


def test_queue_bound(feed):
    """Each bucket a request of its own, by its rate: more than the queue holds."""
    with Collector('otlp', ['503']) as collector:
        collector.plan = ['503']
        feeder = feed('otlp', collector.url, queue=4000, rates='19,23')
        feeder.add(30)
        collector.wait(lambda: collector.attempts['503'] > 2)
        stats = feeder.finish()
        assert stats['queued'] == feeder.stored()
        assert 0 < stats['dropped'] < stats['queued'] and stats['items'] > 0
        left = stats['queued'] - stats['dropped']
        collector.plan = ['ok']
        stats = feed('otlp', collector.url, queue=4000).finish()
        assert collector.samples == stats['sent'] == left


def test_refused(feed):
    """What the destination never will take is given up, counted, and not in the way."""
    with Collector('otlp', ['400']) as collector:
        feeder = feed('otlp', collector.url)
        for at in range(2):
            feeder.add()
            collector.wait(lambda at=at: sum(collector.attempts.values()) > at)
        stats = feeder.finish()
        assert stats['refused'] > 0 and stats['refused'] + stats['sent'] == feeder.stored()
        assert collector.samples == stats['sent']
        assert b'answered 400: no, never; these' in feeder.stderr


def test_redirect(feed):
    """Not followed: a token is for one destination."""
    with Collector('otlp', ['302']) as collector:
        feeder = feed('otlp', collector.url)
        feed_slowly(feeder, collector, 1)
        assert feeder.finish()['sent'] == feeder.stored()
        assert collector.paths == {PATHS['otlp']}
        assert b'redirects are not followed' in feeder.stderr


def test_token_changes(feed, tmp_path):
    token = tmp_path / 'token'
    token.touch(0o600)
    token.write_text('old\n')
    with Collector('otlp', token='new') as collector:
        feeder = feed('otlp', collector.url + '/other/path', options=[f'token={token}'])
        feeder.add()
        collector.wait(lambda: collector.attempts['401'])
        token.write_text('new\n')
        collector.wait(lambda: collector.samples)
        assert feeder.finish()['sent'] == feeder.stored()
        assert collector.paths == {'/other/path'}
        assert b'check the token' in feeder.stderr and b'works again' in feeder.stderr


def test_token_for_everybody(feed, tmp_path):
    token = tmp_path / 'token'
    token.touch(0o600)
    token.write_text('s3cret\n')
    token.chmod(0o644)
    with Collector('otlp') as collector:
        feeder = feed('otlp', collector.url, options=[f'token={token}'])
        feeder.add()
        stats = feeder.finish()
        assert stats['sent'] == 0 and stats['problem'] and stats['items'] == 1
        assert not collector.attempts
        assert b'chmod o=' in feeder.stderr and b's3cret' not in feeder.stderr


@pytest.fixture
def busy(tmp_path):
    (tmp_path / 'mix.py').write_text('while True: sum(range(1000))')
    with subprocess.Popen([sys.executable, str(tmp_path / 'mix.py')]) as process:
        yield process
        process.kill()


def test_agent(pitviper, busy, tmp_path):
    """The agent's own samples, under its strictest lock-in, while half of the requests fail."""
    with Collector('otlp', ['503', 'swallow']) as collector:
        store = tmp_path / 'store.pv'
        with subprocess.Popen(
                [pitviper, 'agent', '--config', '/dev/null', '--store', store, '--listen', 'none',
                 '--flush', '1s', '--export', f'otlp {collector.url}', '--export-every', '1s',
                 '--service', 'pod cmdline:(mi.)[.]py comm', '--lock-in', 'strict', '--max-cpu',
                 '20%', '--kill-switch', tmp_path / 'off'],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE) as agent:
            try:
                collector.wait(lambda: collector.samples > 20 and collector.answered())
            finally:
                agent.terminate()
                _, said = agent.communicate(timeout=60)
        assert agent.returncode == 0, said
        with sqlite3.connect(f'file:{store}?mode=ro', uri=True) as file:
            stored = file.execute('SELECT sum(cnt) FROM sample').fetchone()[0]
        waiting = [wire.otlp(gzip.decompress(path.read_bytes()[QUEUE_HEADER:]))
                   for path in (tmp_path / 'store.pv-export').glob('0*')]
        left = sum(wire.count(one) for one in waiting if one.id not in collector.taken)
        assert collector.samples + left == stored
        groups = [group for body in collector.taken.values()
                  for group in wire.otlp(gzip.decompress(body)).groups]
        mine = [group for group in groups if group.labels['service.name'] == 'mix']
        assert mine and {sample.labels['process.pid'] for group in mine
                         for sample in group.samples} == {busy.pid}
        assert mine[0].labels['host.name'] == os.uname().nodename


@pytest.fixture(scope='module')
def certificate(tmp_path_factory):
    """Key and certificate of its own authority, for localhost, in one file."""
    folder = tmp_path_factory.mktemp('tls')
    both = folder / 'both.pem'
    made = []
    for name in ('a', 'other'):
        key, crt = folder / f'{name}.key', folder / f'{name}.crt'
        subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                        'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key, '-out', crt,
                        '-days', '2', '-subj', '/CN=localhost', '-addext',
                        'subjectAltName=DNS:localhost'], check=True, stderr=subprocess.DEVNULL)
        made.append((key, crt))
    both.write_text(made[0][0].read_text() + made[0][1].read_text())
    return str(both), str(made[1][1])


def test_tls(feed, certificate):
    both, other = certificate
    with Collector('otlp', tls=both) as collector:
        feeder = feed('otlp', collector.url, options=[f'ca={other}', f'cert={both}'])
        feeder.add()
        stats = feeder.finish()
        assert stats['sent'] == 0 and stats['problem'] and not collector.attempts
        assert b'certificate' in feeder.stderr
        feeder = feed('otlp', collector.url, options=[f'ca={both}', f'cert={both}'])
        assert feeder.finish()['sent'] == collector.samples == feeder.stored()


def test_no_libcurl(feed_binary, tmp_path):
    """The message says what to install."""
    hide = 'for lib in /usr/lib/*/libcurl*.so.4; do mount --bind /dev/null "$lib"; done; exec "$@"'
    assert shutil.which('unshare')
    done = subprocess.run(
        ['unshare', '-m', 'sh', '-c', hide, 'sh', feed_binary, str(tmp_path / 'store.pv'),
         str(tmp_path / 'queue'), 'otlp', 'http://localhost:1', '1000', '19'],
        stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert done.returncode == 1
    assert b'exporting takes libcurl' in done.stderr and b'apt install libcurl4' in done.stderr
