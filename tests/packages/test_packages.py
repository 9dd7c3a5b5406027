# SPDX-License-Identifier: Apache-2.0
"""Each package installed in a clean Debian, and a Python recorded there with it."""
import filecmp
import os
import re
import subprocess
import tarfile

from clean import HERE, ROOT


def records(machine, program):
    """Does that program record a Python there?"""
    target = machine.put(os.path.join(HERE, 'busy.py'), '/tmp/busy.py')
    said = machine.run(program, 'record', '-r', '499', '-o', '/tmp/busy.folded', '--', 'python3', target)
    with open(machine.path('/tmp/busy.folded'), encoding='utf-8') as stream:
        lines = stream.read().splitlines()
    count = sum(int(line.rsplit(' ', 1)[1]) for line in lines if ';busy ' in line)
    assert count > 50, said
    assert 'python3' in machine.run(program, 'help', 'record')


def test_only_libc_is_shared(tree):
    done = subprocess.run(['readelf', '-d', tree + '/usr/bin/pitviper'], stdout=subprocess.PIPE,
                          text=True, check=True)
    needed = re.findall(r'\(NEEDED\).*\[(.*)\]', done.stdout)
    assert needed and all(re.match(r'(libc|libm|ld-linux.*)\.so', name) for name in needed), needed


def test_tarball(dist, machine):
    with tarfile.open(dist['tarball']) as tar:
        tops = {name.split('/')[0] for name in tar.getnames()}
    assert len(tops) == 1, tops
    machine.run('tar', '-xzf', machine.put(dist['tarball'], '/tmp/pitviper.tar.gz'), '-C', '/opt')
    records(machine, f'/opt/{tops.pop()}/bin/pitviper')


def test_debian_package(dist, machine):
    deb = machine.put(dist['deb'], '/tmp/pitviper.deb')
    machine.run('dpkg', '--install', deb)
    records(machine, 'pitviper')
    assert 'pitviper:x:' in machine.run('getent', 'group', 'pitviper')
    for installed in ('/usr/share/man/man1/pitviper-record.1.gz',
                      '/usr/share/bash-completion/completions/pitviper',
                      '/usr/share/zsh/vendor-completions/_pitviper',
                      '/usr/share/fish/vendor_completions.d/pitviper.fish'):
        assert machine.find(installed), installed
    assert not machine.find('/etc/systemd/system/*.wants/pitviper.service')
    assert not machine.run('dpkg', '--verify', 'pitviper')
    machine.run('dpkg', '--install', deb)  # over itself
    machine.run('dpkg', '--purge', 'pitviper')
    for pattern in ('/usr/bin/pitviper', '/usr/share/*/pitviper*', '/usr/share/man/man1/pitviper*',
                    '/etc/pitviper', '/usr/lib/systemd/system/pitviper*'):
        assert not machine.find(pattern), pattern


def test_unit_and_configuration_are_packed(dist):
    """Where the project has them, the package has them."""
    listed = subprocess.run(['dpkg-deb', '-c', dist['deb']], stdout=subprocess.PIPE, text=True,
                            check=True).stdout
    for source, inside in (('pitviper.service', './usr/lib/systemd/system/pitviper.service'),
                           ('agent.conf', './etc/pitviper/agent.conf')):
        assert os.path.exists(os.path.join(ROOT, 'packaging', source)) == (f' {inside}\n' in listed)


def test_lintian_accepts_it(dist):
    done = subprocess.run(['lintian', '--allow-root', '--fail-on', 'error,warning', dist['deb']],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert not done.returncode and not done.stdout, done.stdout


def test_wheel(dist, machine):
    wheel = machine.put(dist['wheel'], '/tmp/' + os.path.basename(dist['wheel']))
    machine.run('python3', '-m', 'venv', '--without-pip', '/opt/venv')

    bundled, = machine.find('/usr/share/python-wheels/pip-*.whl')

    def pip(*arguments):
        return machine.run('/opt/venv/bin/python', bundled + '/pip', '--disable-pip-version-check',
                           *arguments)

    pip('install', '--no-index', wheel)
    assert re.search(r'/bin/pitviper$', pip('show', '-f', 'pitviper-profiler'), re.M)
    records(machine, '/opt/venv/bin/pitviper')
    pip('uninstall', '--yes', 'pitviper-profiler')
    assert not machine.find('/opt/venv/bin/pitviper')


def test_wheel_says_which_glibc_it_needs(dist, tree):
    """The platform tag is a promise: no symbol of a newer one."""
    done = subprocess.run(['readelf', '-V', '-W', tree + '/usr/bin/pitviper'], stdout=subprocess.PIPE,
                          text=True, check=True)
    newest = max((int(major), int(minor))
                 for major, minor in re.findall(r'GLIBC_(\d+)\.(\d+)', done.stdout))
    assert '-py3-none-manylinux_%d_%d_x86_64.whl' % newest in dist['wheel']


def test_the_same_from_anywhere(dist, elsewhere):
    """The same sources make the same bytes, whatever the folder."""
    for path in dist.values():
        assert filecmp.cmp(path, os.path.join(elsewhere, os.path.basename(path)), shallow=False), path
