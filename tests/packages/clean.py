# SPDX-License-Identifier: Apache-2.0
"""A clean Debian: what is essential there, Python, and nothing else. Each use has its own copy, of which
nothing is left."""
import contextlib
import glob
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, 'packaging'))

from debian import Apt, Failure, locked_cache, make_root, unpack  # noqa: E402

SUITE = 'bookworm'
PACKAGES = ['base-files', 'base-passwd', 'bash', 'coreutils', 'dash', 'diffutils', 'dpkg', 'findutils',
            'grep', 'gzip', 'hostname', 'libc-bin', 'mawk', 'passwd', 'perl-base', 'sed', 'tar',
            'python3', 'python3-venv']


def second_stage(where, archives):
    """Configure what is unpacked: dpkg in there does it, as debootstrap has it do."""
    inside = os.path.join(where, 'var/cache/archives')
    os.makedirs(inside)
    os.makedirs(where + '/var/lib/dpkg/info', exist_ok=True)
    open(where + '/var/lib/dpkg/status', 'w', encoding='utf-8').close()
    for archive in archives:
        shutil.copy(archive, inside)
    names = ['/var/cache/archives/' + os.path.basename(archive) for archive in archives]
    env = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'DEBIAN_FRONTEND': 'noninteractive',
           'LC_ALL': 'C', 'DPKG_FORCE': 'unsafe-io'}
    done = subprocess.run(['chroot', where, 'dpkg', '--force-depends', '--install', *names],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env,
                          stdin=subprocess.DEVNULL)
    shutil.rmtree(inside)
    if done.returncode:
        raise Failure(f'a clean {SUITE} cannot be set up, dpkg said:\n{done.stdout[-3000:]}')


def install(name, packages):
    """The folder that holds it, with these packages; made the first time."""
    with locked_cache() as cache:
        final = os.path.join(cache, name)
        stamp = os.path.join(final, 'etc/pitviper-packages')
        if os.path.exists(stamp) and open(stamp, encoding='utf-8').read() == ' '.join(packages):
            return final
        shutil.rmtree(final, ignore_errors=True)
        work = tempfile.mkdtemp(prefix='.clean-', dir=cache)
        try:
            os.chmod(work, 0o755)
            make_root(work)
            with tempfile.TemporaryDirectory(prefix='.apt-', dir=cache) as folder:
                apt = Apt(SUITE, folder)
                apt.update()
                apt.fetch(packages)
                archives = apt.found()
                for archive in archives:
                    unpack(archive, work)
                second_stage(work, archives)
            with open(work + '/etc/pitviper-packages', 'w', encoding='utf-8') as stream:
                stream.write(' '.join(packages))
            os.rename(work, final)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return final


class Clean:
    """A running copy: commands are run in its file system, mounts and process ids are the host's."""

    def __init__(self, root):
        self.root = root

    def path(self, inside):
        return self.root + inside

    def put(self, path, inside):
        shutil.copy(path, self.path(inside))
        return inside

    def find(self, pattern):
        """The paths in there that match."""
        return [path[len(self.root):] for path in glob.glob(self.path(pattern))]

    def run(self, *command, status=0):
        """What it printed; it must end with that status."""
        env = {'PATH': '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
               'DEBIAN_FRONTEND': 'noninteractive', 'LC_ALL': 'C.UTF-8', 'HOME': '/root'}
        # In a namespace of mounts that ends with it.
        script = ('mount --bind /proc "$0/proc" && mount --rbind /sys "$0/sys" && '
                  'exec chroot "$0" "$@"')
        done = subprocess.run(['unshare', '--mount', 'sh', '-c', script, self.root, *command],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env,
                              stdin=subprocess.DEVNULL)
        assert done.returncode == status, f'{command}: status {done.returncode}\n{done.stdout}'
        return done.stdout


@contextlib.contextmanager
def clean(name='clean-' + SUITE, packages=None):
    """A copy of the clean Debian that nobody has written to; with other packages under another name."""
    base = install(name, packages or PACKAGES)
    with tempfile.TemporaryDirectory(prefix='pitviper-clean-') as folder:
        # An overlay cannot lie on an overlay, as the root of a container is one.
        subprocess.run(['mount', '-t', 'tmpfs', 'pitviper-clean', folder], check=True)
        try:
            for name in ('upper', 'work', 'root'):
                os.mkdir(os.path.join(folder, name))
            where = os.path.join(folder, 'root')
            options = f'lowerdir={base},upperdir={folder}/upper,workdir={folder}/work'
            subprocess.run(['mount', '-t', 'overlay', 'pitviper-clean', '-o', options, where],
                           check=True)
            try:
                yield Clean(where)
            finally:
                subprocess.run(['umount', where], check=True)
        finally:
            subprocess.run(['umount', folder], check=True)
