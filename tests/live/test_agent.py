# SPDX-License-Identifier: Apache-2.0
"""The agent: one that runs through its whole life under its own lock-in, one that is short of CPU."""
import collections
import http.client
import io
import os
import queue
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from harness import TARGETS, Target
from pprof import Profile

PATIENCE_S = 30
FIVE = ('bpf', 'perfmon', 'sys_ptrace', 'dac_read_search', 'syslog')
BUSY = """
import os, sys
os.sched_setaffinity(0, [int(sys.argv[1])])
os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
while True:
    pass
"""
SAMPLED = ('complete', 'truncated', 'unreadable', 'ring_full')


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__('localhost', timeout=PATIENCE_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(self.path)


class Agent:
    """A running agent with a configuration file, a stand-in for systemd, and a client."""

    def __init__(self, pitviper, folder, **keys):
        self.folder = str(folder)
        self.store = self.path('store/pitviper.pv')
        self.socket = self.path('run/agent.sock')
        self.switch = self.path('off')
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(self.path('notify'))
        self.messages = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self.keys = {'store': self.store, 'listen': f'unix:{self.socket}', 'max-cpu': '50%',
                     'kill-switch': self.switch, 'flush': '1s', 'lock-in': 'strict', **keys}
        self.configure()
        with open(self.path('log'), 'wb') as log:
            self.process = subprocess.Popen(
                # As its unit has it: root with these five and no others.
                ['setpriv', '--bounding-set', '-all,' + ','.join(f'+{cap}' for cap in FIVE),
                 pitviper, 'agent', '--config', self.path('agent.conf')], stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, 'NOTIFY_SOCKET': self.path('notify'), 'WATCHDOG_USEC': '900000'})

    def path(self, name):
        return os.path.join(self.folder, name)

    def configure(self, **keys):
        self.keys.update(keys)
        with open(self.path('agent.conf'), 'w', encoding='utf-8') as stream:
            stream.writelines(f'{key} = {value}\n' for key, value in self.keys.items())

    def log(self):
        with open(self.path('log'), encoding='utf-8') as stream:
            return stream.read()

    def _listen(self):
        """A manager that does not read is told nothing."""
        while True:
            message = self.manager.recv(4096).decode()
            if not message:
                return
            self.messages.put(message)

    def told(self, word):
        """Wait until the manager is told that."""
        while True:
            message = self.messages.get(timeout=PATIENCE_S)
            if word in message.split('\n'):
                return message

    def get(self, page, status=200):
        connection = UnixConnection(self.socket)
        connection.request('GET', page)
        response = connection.getresponse()
        body = response.read()
        connection.close()
        assert response.status == status, (page, body, self.log())
        return body

    def metrics(self):
        """{'name{labels}': value}"""
        text = self.get('/metrics').decode()
        return {name: float(value) for name, value in
                re.findall(r'^(pitviper_\w+(?:\{[^}]*\})?) (\S+)$', text, re.MULTILINE)}

    def until(self, condition):
        """Look at the metrics until they are so."""
        end = time.monotonic() + PATIENCE_S
        while True:
            metrics = self.metrics()
            if condition(metrics):
                return metrics
            assert time.monotonic() < end, (metrics, self.log())
            time.sleep(0.1)

    def stop(self):
        """The exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.manager.shutdown(socket.SHUT_RD)

    def rows(self, query):
        connection = sqlite3.connect(f'file:{self.store}?mode=ro', uri=True)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()


@pytest.fixture
def agents(pitviper, tmp_path):
    made = []

    def start(**keys):
        made.append(Agent(pitviper, tmp_path, **keys))
        made[-1].told('READY=1')
        return made[-1]
    yield start
    for agent in made:
        agent.close()


@pytest.fixture
def flutter():
    target = Target([sys.executable, '-B', os.path.join(TARGETS, 'flutter.py')])
    yield target
    target.kill()


@pytest.fixture
def awake():
    """No CPU idles: one of a virtual machine that does may be woken once a second only, whatever
    timers it has. What keeps them awake takes nothing from others."""
    busy = [subprocess.Popen([sys.executable, '-S', '-c', BUSY, str(cpu)])
            for cpu in os.sched_getaffinity(0)]
    yield
    for process in busy:
        process.kill()
        process.wait()


def by_label(metrics, name):
    found = {re.search(r'"(.*)"', key).group(1): value for key, value in metrics.items()
             if key.startswith(f'pitviper_{name}{{')}
    assert found, name
    return found


def varints(data):
    value = shift = 0
    for byte in data:
        value |= (byte & 0x7f) << shift
        shift += 7
        if byte < 0x80:
            yield value
            value = shift = 0


def stored(agent):
    """{pid: CPU time of its samples in the store, each weighted by its bucket's rate}, and how many
    samples there are."""
    pids = dict(agent.rows('SELECT thread.id, pid FROM thread JOIN process ON process = process.id'))
    seconds = collections.Counter()
    total = 0
    for data, rate in agent.rows('SELECT data, rate_hz FROM sample JOIN bucket ON '
                                 'bucket.id = bucket'):
        numbers = varints(data)
        thread = 0
        for step in numbers:
            thread += step
            for _ in range(next(numbers)):
                next(numbers)  # the stack
                count = next(numbers)
                seconds[pids[thread]] += count / rate
                total += count
    return seconds, total


def check_ledger(agent, metrics=None):
    """Each bucket's outcomes add up to its ticks; and to what was told, if nothing came since."""
    for ticks, outcomes in agent.rows(
            'SELECT tick_cnt, (SELECT sum(cnt) FROM ledger JOIN counter ON counter = counter.id '
            'WHERE NOT event AND bucket = bucket.id) FROM bucket WHERE tick_cnt'):
        assert ticks == outcomes
    sums = dict(agent.rows('SELECT lower(name), sum(cnt) FROM ledger JOIN counter ON '
                           'counter = counter.id WHERE NOT event GROUP BY name'))
    sampled = sum(count for name, count in sums.items() if name in SAMPLED)
    assert stored(agent)[1] == sampled
    if metrics:
        told = by_label(metrics, 'ticks_total')
        assert {name: count for name, count in told.items() if count} == sums
    return sums


def check_locked_in(agent):
    with open(f'/proc/{agent.process.pid}/status', encoding='utf-8') as stream:
        status = dict(re.findall(r'^(\w+):\s+(\S+)$', stream.read(), re.MULTILINE))
    assert status['Seccomp'] == '2' and status['NoNewPrivs'] == '1'
    kept = sum(1 << cap for cap in (2, 19, 38, 39))  # DAC_READ_SEARCH, SYS_PTRACE, PERFMON, BPF
    for task in os.listdir(f'/proc/{agent.process.pid}/task'):
        with open(f'/proc/{agent.process.pid}/task/{task}/status', encoding='utf-8') as stream:
            text = stream.read()
        for which in ('CapPrm', 'CapEff', 'CapInh', 'CapAmb'):
            assert int(re.search(rf'^{which}:\s+(\w+)', text, re.M).group(1), 16) & ~kept == 0
    assert os.stat(agent.socket).st_mode & 0o7777 == 0o660
    assert os.stat(agent.store).st_mode & 0o7777 == 0o640


def ask(agent):
    """What a scraper and a person ask for."""
    assert agent.get('/healthz').startswith(b'ok\n')
    assert b'/flamegraph' in agent.get('/')
    agent.get('/nowhere', status=404)
    agent.get('/flamegraph?last=2d', status=400)
    agent.get('/flamegraph?format=nope', status=400)
    agent.get('/debug/pprof/profile?seconds=0', status=400)
    end = time.monotonic() + 4 * PATIENCE_S
    while b'third_a' not in agent.get('/flamegraph?last=1h&format=folded'):
        assert time.monotonic() < end, agent.log()
        time.sleep(0.2)
    picture = agent.get('/flamegraph?last=15m')
    assert b'<svg' in picture and b'third_a' in picture and b'flutter.py' in picture
    profile = Profile(io.BytesIO(agent.get('/debug/pprof/profile?seconds=2')))
    names = {frame.name for sample in profile.samples for frame in sample.stack}
    assert names & {'third_a', 'third_b'}, names


def reload(agent):
    """SIGHUP: a good configuration counts, one with a mistake does not."""
    agent.configure(rate=197)
    agent.process.send_signal(signal.SIGHUP)
    assert 'MONOTONIC_USEC=' in agent.told('RELOADING=1')
    agent.told('READY=1')
    agent.until(lambda now: now['pitviper_rate_asked_hz'] == 197 == now['pitviper_rate_hz'])
    agent.configure(rate='many')
    agent.process.send_signal(signal.SIGHUP)
    end = time.monotonic() + PATIENCE_S
    while 'the configuration stays as it was' not in agent.log():
        assert time.monotonic() < end, agent.log()
        time.sleep(0.05)
    assert agent.metrics()['pitviper_rate_asked_hz'] == 197
    assert re.search(r"agent\.conf:\d+: rate: 'many' is not a whole number", agent.log())


def pause(agent):
    """The kill switch: nothing is sampled while it is there."""
    open(agent.switch, 'wb').close()
    agent.until(lambda now: now['pitviper_sampling'] == 0)
    assert b'paused by the kill switch' in agent.get('/healthz')
    agent.get('/debug/pprof/profile?seconds=1', status=503)
    os.unlink(agent.switch)
    agent.until(lambda now: now['pitviper_sampling'] == 1 and now['pitviper_sessions_total'] >= 2)


def test_life(agents, flutter):
    agent = agents(rate=97)
    check_locked_in(agent)
    agent.told('WATCHDOG=1')
    metrics = agent.until(lambda now: now['pitviper_samples_total'] > 50)
    assert by_label(metrics, 'targets')[f'{sys.version_info[0]}.{sys.version_info[1]}'] >= 1
    assert metrics['pitviper_store_samples_total'] == metrics['pitviper_samples_total']
    assert metrics['pitviper_resident_bytes'] < metrics['pitviper_memory_budget_bytes']
    assert all(by_label(metrics, 'cpu_seconds_total')[part] > 0
               for part in ('bpf', 'samples', 'watch', 'flush'))
    ask(agent)
    reload(agent)
    pause(agent)
    metrics = agent.until(lambda now: now['pitviper_rate_hz'] == 197)
    assert agent.stop() == 0, agent.log()
    agent.told('STOPPING=1')
    assert not os.path.exists(agent.socket)
    sums = check_ledger(agent)
    # What came between the last look and the end was stored, too.
    assert sum(sums.values()) > sum(by_label(metrics, 'ticks_total').values())
    errors = [line for line in agent.log().split('\n') if 'error:' in line]
    assert len(errors) == 3 and 'stays as it was' in errors[-1], errors


def test_budget(agents, awake, flutter):
    """More is used than the budget allows from now on: the rate goes down, the totals stay right."""
    # It has a CPU, whatever else runs: what is seen of a share of one is a matter of chance at 1 Hz.
    os.sched_setscheduler(flutter.pid, os.SCHED_RR, os.sched_param(1))
    agent = agents(rate=499)
    begin_s = flutter.cpu_s()
    agent.until(lambda now: now['pitviper_rate_hz'] == 499)
    agent.configure(**{'max-cpu': '0.01%'})
    agent.process.send_signal(signal.SIGHUP)
    agent.until(lambda now: now['pitviper_rate_hz'] < 19)
    used_s = flutter.cpu_s()
    end = time.monotonic() + 4 * PATIENCE_S
    while flutter.cpu_s() < used_s + 4:
        assert time.monotonic() < end
        time.sleep(0.1)
    flutter_s = flutter.cpu_s() - begin_s
    assert agent.stop() == 0, agent.log()
    check_ledger(agent)
    rates = {rate for rate, in agent.rows('SELECT DISTINCT rate_hz FROM bucket')}
    assert len(rates) > 2 and 499 in rates
    # All ticks together stand for all the time of all CPUs: a change of the rate loses none.
    weighed_s, span_s = agent.rows('SELECT sum(tick_cnt * 1.0 / rate_hz), '
                                   'sum(span_ns * 1e-9 * cpu_cnt) FROM bucket')[0]
    lost_s = agent.rows("SELECT total(cnt * 1.0 / rate_hz) FROM ledger JOIN counter ON counter = "
                        "counter.id JOIN bucket ON bucket = bucket.id "
                        "WHERE name = 'NOT_DELIVERED'")[0][0]
    assert weighed_s + lost_s == pytest.approx(span_s, rel=0.03,
                                               abs=os.cpu_count() / min(rates)), rates
    # The slowest rate there was says how much can be missed by chance.
    assert stored(agent)[0][flutter.pid] == pytest.approx(flutter_s, rel=0.1,
                                                          abs=lost_s + 2 / min(rates))


def test_refusals(pitviper, tmp_path):
    """What can't be, told before anything is loaded."""
    def run(*arguments, text=''):
        path = tmp_path / 'agent.conf'
        path.write_text(text)
        done = subprocess.run([pitviper, 'agent', '--config', str(path), *arguments],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=PATIENCE_S, check=False)
        return done.returncode, done.stderr.decode()
    store = f'store = {tmp_path}/store.pv\n'
    assert run('--check', text='rate = 5\n') == (0, 'pitviper: the configuration is good\n')
    status, said = run('--check', text='rate = 5\n\nmax-cpu = lots\nrat = 7\n')
    assert status == 2 and 'agent.conf:3: max-cpu' in said and "agent.conf:4: unknown key" in said
    status, said = run('--check', '--config', str(tmp_path / 'nothing'))
    assert status == 2 and 'nothing: No such file' in said
    status, said = run('--listen', '0.0.0.0:1', text=store)
    assert status == 2 and 'allow-remote = yes' in said
    status, said = run('--listen', 'example.org:1', text=store)
    assert status == 2 and 'is not an address' in said
    status, said = run(text=f'store = {tmp_path}/agent.conf/x.pv\n')
    assert status == 8, said
    with open(os.path.join(os.path.dirname(TARGETS), '..', 'packaging', 'agent.conf'),
              encoding='utf-8') as stream:
        assert stream.read() == subprocess.check_output([pitviper, 'agent', '--example'],
                                                        encoding='utf-8')
    with open(os.path.join(os.path.dirname(TARGETS), '..', 'README.md'),
              encoding='utf-8') as stream:
        readme = stream.read()
    keys = re.findall(r'^#([a-z-]+) =', subprocess.check_output([pitviper, 'agent', '--example'],
                                                                encoding='utf-8'), re.MULTILINE)
    assert len(keys) > 10 and not [key for key in keys if f'`{key}`' not in readme]
