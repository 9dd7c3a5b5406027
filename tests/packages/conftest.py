# SPDX-License-Identifier: Apache-2.0
import glob
import os
import shutil
import subprocess
import tempfile

import pytest

from clean import ROOT, clean


@pytest.fixture(scope='session')
def dist():
    """What `make dist` makes: {kind: path}"""
    made = {kind: glob.glob(os.path.join(ROOT, '.output-dist', pattern)) for kind, pattern in
            {'tarball': '*.tar.gz', 'deb': '*.deb', 'wheel': '*.whl'}.items()}
    assert all(len(paths) == 1 for paths in made.values()), f'make dist made {made}'
    return {kind: paths[0] for kind, paths in made.items()}


@pytest.fixture(scope='session')
def tree():
    """The tree that the packages are made of."""
    return os.path.join(ROOT, '.output-dist/root')


@pytest.fixture
def machine():
    """A clean Debian."""
    with clean() as made:
        yield made


@pytest.fixture(scope='session')
def elsewhere():
    """`make dist` of a copy of the sources, in another place: its folder."""
    with tempfile.TemporaryDirectory(prefix='pitviper-elsewhere-') as folder:
        listed = subprocess.run(['git', 'ls-files', '-z', '-c', '-o', '--exclude-standard'], cwd=ROOT,
                                stdout=subprocess.PIPE, check=True).stdout.decode()
        for name in filter(None, listed.split('\0')):
            os.makedirs(os.path.dirname(os.path.join(folder, name)), exist_ok=True)
            shutil.copy2(os.path.join(ROOT, name), os.path.join(folder, name))
        done = subprocess.run(['make', f'-j{os.cpu_count()}', 'dist'], cwd=folder, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert not done.returncode, done.stdout[-4000:]
        yield os.path.join(folder, '.output-dist')
