# SPDX-License-Identifier: Apache-2.0
"""Python inside other programs: linked, loaded late, and two runtimes in one process."""
import os
import signal
import subprocess

import pytest

from conftest import INTERPRETERS
from harness import TARGETS, clean_environment, work
from test_binaries import Host

CODE = '''
import time
def {0}():
    end = time.time() + {1}
    while time.time() < end:
        sum(range(50))
{0}()
'''
FOREVER = 300


def shared_hosts():
    """Interpreters of our own root that come with a library."""
    found = []
    for python in INTERPRETERS:
        if not python.root and python.version >= (3, 8):
            host = Host(python)
            if host.library:
                found.append(host)
    return found


SHARED = shared_hosts()


@pytest.fixture(scope='module')
def build(tmp_path_factory):
    """Compile host.c, linked with a libpython or with none."""
    folder = tmp_path_factory.mktemp('host')

    def make(library=None):
        path = str(folder / os.path.basename(library or 'host'))
        if not os.path.exists(path):
            link = ['-Wl,--no-as-needed', library, '-Wl,-rpath,' + os.path.dirname(library)] \
                if library else []
            subprocess.run(['cc', '-O2', '-o', path, os.path.join(TARGETS, 'host.c'), *link,
                            '-ldl', '-lpthread'], check=True)
        return path
    return make


def runtime(host, name, seconds=FOREVER, linked=False):
    return [host.prefix, '-' if linked else host.library, CODE.format(name, seconds)]


def version(host):
    return '.'.join(map(str, host.python.version))


def listed(workshop, pid):
    """The versions that `pitviper ps` has for it, all of them supported."""
    done = subprocess.run([workshop.pitviper, 'ps', '-p', str(pid)], stdout=subprocess.PIPE,
                          text=True)
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    assert rows and all(row[0] == str(pid) and 'supported' in row for row in rows), done.stdout
    return sorted(row[1] for row in rows)


def functions(recording, pid):
    """{(function, thread label without its name)} of a recording of the hosts."""
    return {(stack[-1].name if stack[-1].file == '<string>' else stack[-2].name,
             sample.labels['thread'].partition(' ')[2])
            for sample in recording.profile.samples if sample.labels['pid'] == pid
            for stack in [sample.stack]}


@pytest.fixture(scope='module')
def embedded(build, workshop):
    """The recording; {host: (the version listed, pid of the linked, pid of the late)}"""
    targets = {}
    for host in SHARED:
        linked = workshop.adopt([build(host.library), *runtime(host, 'linked', linked=True)])
        linked.signal(signal.SIGSTOP)
        late = workshop.adopt([build(), '-w', *runtime(host, 'late')], word='waiting')
        targets[host] = linked, late
    versions = {host: listed(workshop, linked.pid) for host, (linked, _) in targets.items()}
    recorder = workshop.begin('-a', rate=999).sampling()
    for linked, late in targets.values():
        linked.signal(signal.SIGCONT)
        late.process.stdin.write(b'go\n')
        late.process.stdin.flush()
        late.expect('ready')
    work(1, *(late.pid for _, late in targets.values()))  # looked at again in the meantime
    recording = recorder.interrupt().wait().check()
    workshop.clear()
    return recording, {host: (versions[host], linked.pid, late.pid)
                       for host, (linked, late) in targets.items()}


@pytest.mark.parametrize('host', SHARED, ids=[version(host) for host in SHARED])
def test_linked_and_late(host, embedded):
    """Linked at build time, and loaded when it is recorded already."""
    recording, hosts = embedded
    versions, linked, late = hosts[host]
    assert versions == [version(host)]
    assert recording.count_of('linked', linked) > 20, recording.messages
    assert recording.count_of('late', late) > 20, recording.messages


TWO = SHARED[-1:] + SHARED[:-1][-1:]
needs_two = pytest.mark.skipif(len(TWO) < 2, reason='takes two shared builds of Python')


@needs_two
@pytest.mark.parametrize('own', [[], ['-m']], ids=['local', 'namespaces'])
def test_two_runtimes(own, build, workshop):
    one, two = TWO
    target = workshop.adopt([build(), *own, *runtime(one, 'first'), *runtime(two, 'second')])
    assert listed(workshop, target.pid) == sorted(map(version, TWO))
    recording = workshop.record('-p', target.pid, rate=999, seconds=1)
    assert functions(recording, target.pid) == {
        (name, '[Python %d.%d]' % host.python.version[:2])
        for name, host in zip(('first', 'second'), TWO)}
    both = recording.count_of('first'), recording.count_of('second')
    assert min(both) > 0.2 * sum(both), both
    assert recording.ledger['no Python state'] + recording.ledger['no Python frames'] < \
        0.02 * sum(both), recording.messages


@needs_two
def test_two_runtimes_on_one_thread(build, workshop):
    """Both have a state for the thread, and both states are attached: the one with frames runs."""
    one, two = TWO
    target = workshop.adopt([build(), '-a', *runtime(one, 'first', 0.01),
                             *runtime(two, 'second', 0.01)])
    recording = workshop.record('-p', target.pid, rate=999, seconds=1)
    both = recording.count_of('first'), recording.count_of('second')
    assert min(both) > 0.2 * sum(both), recording.messages
    assert recording.count_of('[no Python frames]') < 0.05 * sum(both), recording.messages
    for stack, _ in recording.stacks():
        assert [frame.name for frame in stack[:2]] in (['<module>'], ['<module>', 'first'],
                                                       ['<module>', 'second'],
                                                       ['[no Python frames]']), stack


@needs_two
def test_second_runtime_comes_late(build, workshop):
    one, two = TWO
    target = workshop.adopt([build(), '-w', *runtime(one, 'first'), *runtime(two, 'second')],
                            word='waiting')
    recorder = workshop.begin('-p', target.pid, rate=999).sampling()
    target.process.stdin.write(b'go\n')
    target.process.stdin.flush()
    target.expect('ready')
    workshop.until_cpu(target, 1.5)
    recording = recorder.interrupt().wait().check()
    assert recording.count_of('first') > 20 and recording.count_of('second') > 20, \
        recording.messages
