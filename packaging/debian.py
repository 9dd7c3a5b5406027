# SPDX-License-Identifier: Apache-2.0
"""Packages of any Debian suite and architecture, fetched from the mirror of this machine and unpacked.
What is installed here stays as it is, and nothing of a package is run."""
import contextlib
import fcntl
import glob
import os
import re
import stat
import subprocess
import sys

DEFAULT_MIRROR = 'http://deb.debian.org/debian'
DEFAULT_KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'


class Failure(Exception):
    """Said to the person, without a traceback."""


def cache_dir():
    return os.environ.get('PITVIPER_CACHE') or os.path.expanduser('~/.cache/pitviper')


@contextlib.contextmanager
def locked_cache():
    """Nobody else writes to it meanwhile; its path."""
    os.makedirs(cache_dir(), exist_ok=True)
    with open(os.path.join(cache_dir(), '.lock'), 'w', encoding='utf-8') as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield cache_dir()


def stanzas():
    """(URI, suites, components, keyring) of each source of packages that apt is told of."""
    for path in glob.glob('/etc/apt/sources.list.d/*.sources'):
        with open(path, encoding='utf-8') as stream:
            text = re.sub(r'^#.*\n', '', stream.read(), flags=re.M)
        for block in re.split(r'\n\s*\n', text):
            fields = dict(re.findall(r'^([\w-]+):[ \t]*(.*(?:\n[ \t]+.*)*)', block, flags=re.M))
            fields = {key.lower(): value.split() for key, value in fields.items()}
            if fields.get('enabled', ['yes'])[0].lower() in ('no', 'false', '0') or \
               'deb' not in fields.get('types', []):
                continue
            signed = fields.get('signed-by', [''])[0]
            for uri in fields.get('uris', []):
                yield uri, fields.get('suites', []), fields.get('components', []), signed
    lists = ['/etc/apt/sources.list'] + glob.glob('/etc/apt/sources.list.d/*.list')
    for path in filter(os.path.exists, lists):
        with open(path, encoding='utf-8') as stream:
            for line in stream:
                match = re.match(r'deb\s+(\[.*?\]\s+)?(\S+)\s+(\S+)\s+([^#]*)', line)
                if match:
                    signed = re.search(r'signed-by=(\S+?)[\s\]]', match.group(1) or '')
                    yield (match.group(2), [match.group(3)], match.group(4).split(),
                           signed.group(1) if signed else '')


def resolve(uri):
    """A mirror list stands for its first mirror."""
    if uri.startswith(('mirror+file:', 'mirror:/')):
        path = re.sub(r'^mirror(\+file)?:/*', '/', uri)
        if os.path.exists(path):
            with open(path, encoding='utf-8') as stream:
                return next((line.split()[0] for line in stream
                             if line.strip() and not line.startswith('#')), uri)
    return uri


def codename():
    """Of the suite that this machine runs."""
    with open('/etc/os-release', encoding='utf-8') as stream:
        match = re.search(r'^VERSION_CODENAME=(\S+)', stream.read(), flags=re.M)
    return match.group(1) if match else 'sid'


def mirror():
    """The Debian archive that this machine installs from, and the keyring that signs it."""
    names = {codename(), 'stable', 'testing', 'unstable', 'sid'}
    for uri, suites, components, signed in stanzas():
        if names & {suite.rstrip('/') for suite in suites} and 'main' in components and \
           'security' not in uri:
            return resolve(uri).rstrip('/'), signed if os.path.isfile(signed) else ''
    return DEFAULT_MIRROR, ''


class Apt:
    """apt with lists, archives and options of its own below a folder, for one suite."""

    def __init__(self, suite, folder, arch=None):
        self.uri, keyring = mirror()
        keyring = keyring or (DEFAULT_KEYRING if os.path.exists(DEFAULT_KEYRING) else '')
        for name in ('etc', 'lists/partial', 'archives/partial'):
            os.makedirs(os.path.join(folder, name))
        open(os.path.join(folder, 'status'), 'w', encoding='utf-8').close()
        # A suite of a frozen mirror is past the date of its Release file.
        options = 'check-valid-until=no' + (f' signed-by={keyring}' if keyring else '')
        options += f' arch={arch}' if arch else ''
        with open(os.path.join(folder, 'etc/sources'), 'w', encoding='utf-8') as stream:
            stream.write(f'deb [{options}] {self.uri} {suite} main\n')
        self.archives = os.path.join(folder, 'archives')
        self._options = [f'{key}={value}' for key, value in {
            'Dir::Etc::SourceList': folder + '/etc/sources', 'Dir::Etc::SourceParts': '/dev/null',
            'Dir::Etc::Preferences': '/dev/null', 'Dir::Etc::PreferencesParts': '/dev/null',
            'Dir::State::Lists': folder + '/lists', 'Dir::State::status': folder + '/status',
            'Dir::State::extended_states': folder + '/extended',
            'Dir::Cache::Archives': self.archives, 'Dir::Cache::pkgcache': '',
            'Dir::Cache::srcpkgcache': '', 'Acquire::Languages': 'none', 'Debug::NoLocking': '1',
            'APT::Sandbox::User': 'root'}.items()]
        if arch:
            self._options += [f'APT::Architecture={arch}', f'APT::Architectures::={arch}']

    def __call__(self, tool, *words):
        command = [tool, '-q', *(f'-o{option}' for option in self._options), *words]
        print('+ ' + tool + ' ' + ' '.join(words), file=sys.stderr)
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              stdin=subprocess.DEVNULL, cwd=self.archives)
        if done.returncode:
            raise Failure(f'{tool} could not get a suite from {self.uri}, it said:\n'
                          + '\n'.join(done.stdout.splitlines()[-15:]))
        return done.stdout

    def update(self):
        """To be called first. The names of the suite's packages."""
        self('apt-get', 'update')
        return set(self('apt-cache', 'pkgnames').split())

    def fetch(self, packages):
        """Get the archives of these and of what they need."""
        self('apt-get', 'install', '-y', '--download-only', '--no-install-recommends', *packages)

    def fetch_alone(self, packages):
        """Get the archives of these only."""
        self('apt-get', 'download', *packages)

    def found(self):
        """The archives that have been fetched."""
        return sorted(glob.glob(self.archives + '/*.deb'))


def unpack(archive, where, keep_archives=False):
    """The files of one package, without running anything of it."""
    # Its program has the usual one's name, which it takes over when it is installed.
    more = [r'--transform=s,/bin/python3\.[0-9]*$,&-nopie,'] if '-nopie_' in archive else []
    deb = subprocess.Popen(['dpkg-deb', '--fsys-tarfile', archive], stdout=subprocess.PIPE)
    tar = subprocess.run(['tar', '-x', '-C', where, '--keep-directory-symlink',
                          '--exclude=./usr/share/doc', '--exclude=./usr/share/man',
                          *([] if keep_archives else ['--exclude=*.a']), *more],
                         stdin=deb.stdout)
    deb.stdout.close()
    if deb.wait() or tar.returncode:
        raise Failure(f'{archive} could not be unpacked')


def make_root(where):
    """What a file system must have before any package is unpacked there; its devices only root can
    make, and who is not root can run nothing there."""
    for name in ('bin', 'sbin', 'lib', 'lib64'):
        os.makedirs(os.path.join(where, 'usr', name), exist_ok=True)
        if not os.path.lexists(os.path.join(where, name)):
            os.symlink('usr/' + name, os.path.join(where, name))
    for name in ('dev', 'proc', 'sys', 'root'):
        os.makedirs(os.path.join(where, name), exist_ok=True)
    os.makedirs(os.path.join(where, 'tmp'), exist_ok=True)
    os.chmod(os.path.join(where, 'tmp'), 0o1777)
    for name, minor in (('null', 3), ('zero', 5), ('random', 8), ('urandom', 9)):
        path = os.path.join(where, 'dev', name)
        if not os.path.exists(path) and not os.geteuid():
            os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, minor))
            os.chmod(path, 0o666)
