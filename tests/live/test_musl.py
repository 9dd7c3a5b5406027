# SPDX-License-Identifier: Apache-2.0
"""musl: its thread-local storage is laid out otherwise than glibc's. No package archive has a Python
for it, so a stand-in is read: whether a thread's state is found says the ledger."""
import os
import subprocess

import pytest

from conftest import INTERPRETERS
from harness import TARGETS, clean_environment

HEAD = ('import ctypes; print(",".join(map(str, ctypes.string_at(ctypes.addressof('
        'ctypes.c_char.in_dll(ctypes.pythonapi, "_PyRuntime")), 1024))))')
AUTOTSSKEY = {(3, 13): 2160, (3, 14): 2336}  # autoTSSkey in _PyRuntime
PYTHONS = [one for one in INTERPRETERS if one.version[:2] in AUTOTSSKEY]


pytestmark = pytest.mark.skipif(not PYTHONS, reason='takes a Python 3.13 or 3.14')


@pytest.fixture(scope='module', params=['stripped', 'symbols'])
def fake(request, tmp_path_factory):
    """(program, library), dynamically linked with musl."""
    python = PYTHONS[-1]
    folder = tmp_path_factory.mktemp('musl')
    head = subprocess.run([*python.argv, '-c', HEAD], stdout=subprocess.PIPE, check=True,
                          env=clean_environment())
    (folder / 'offsets.inc').write_bytes(head.stdout)
    paths = {name: str(folder / name) for name in ('program', 'libpython3.x.so')}
    for name, flags in (('program', []), ('libpython3.x.so', ['-shared', '-fPIC', '-DLIBRARY'])):
        subprocess.run(['musl-gcc', '-O2', '-o', paths[name], *flags,
                        os.path.join(TARGETS, 'fake_python.c'),
                        f'-DFAKE_OFFSETS="{folder}/offsets.inc"',
                        f'-DFAKE_AUTOTSSKEY={AUTOTSSKEY[python.version[:2]]}'], check=True)
    if request.param == 'stripped':
        subprocess.run(['strip', paths['libpython3.x.so']], check=True)
    return paths['program'], paths['libpython3.x.so']


@pytest.mark.parametrize('case, bucket', [('attached', 'no Python frames'),
                                          ('detached', 'no Python frames'),
                                          ('none', 'no Python state')])
def test_state_is_found(case, bucket, fake, workshop):
    target = workshop.adopt([*fake, case])
    with open(f'/proc/{target.pid}/maps', encoding='ascii') as stream:
        assert '-linux-musl/' in stream.read()
    recording = workshop.record('-p', target.pid, rate=499, seconds=0.5)
    assert recording.ledger[bucket] > 10, recording.messages
    other = {'no Python frames', 'no Python state'} - {bucket}
    assert recording.ledger[other.pop()] == recording.count() == 0, recording.messages
