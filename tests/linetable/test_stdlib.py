# SPDX-License-Identifier: Apache-2.0
"""Every instruction of every interpreter's standard library has the line that it says itself."""
import json
import os
import re
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CHECKER = os.path.join(ROOT, '.output', 'tests', 'linetable', 'check_lines')

# Files compiled anew for a run without columns; all of them take too long.
NO_COLUMNS_FILES = 60


def interpreters():
    """Id -> argv of an interpreter of each release: the same source makes the same tables."""
    found = subprocess.run([os.path.join(ROOT, 'tests', 'live', 'interpreters')],
                           stdout=subprocess.PIPE, check=True)
    releases = {one['hexversion']: one for one in reversed(json.loads(found.stdout))
                if not one['debug']}
    return {one['id']: one['argv'] for one in releases.values()}


PYTHONS = interpreters()


def check(python, options=(), args=()):
    # The program comes in by stdin: an interpreter in a chroot does not see the file.
    with open(os.path.join(HERE, 'dump_lines.py'), 'rb') as program, \
            subprocess.Popen([*python, '-S', '-E', *options, '-', *args], stdin=program,
                             stdout=subprocess.PIPE) as source:
        run = subprocess.run([CHECKER], stdin=source.stdout, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, check=False, universal_newlines=True)
        source.stdout.close()
    assert source.returncode == 0, 'the interpreter could not dump its code objects'
    print(run.stdout)
    assert run.returncode == 0, run.stdout + run.stderr
    words = run.stdout.split()
    return {name: int(value) for name, value in zip(words[::2], words[1::2])}


def test_there_are_interpreters():
    assert PYTHONS


@pytest.mark.parametrize('version', sorted(PYTHONS))
def test_standard_library(version):
    counts = check(PYTHONS[version])
    assert counts['mismatches'] == 0
    # That much was really looked at.
    assert counts['codes'] > 5000
    assert counts['lines'] > 200000
    assert counts['largest'] > 65536
    if not re.match(r'2\.|3\.[67]\.', version):  # before 3.8 lines only went forwards
        assert counts['backwards'] > 100
    if version.startswith('3.1'):
        assert counts['none'] > 50


@pytest.mark.parametrize('version', sorted(v for v in PYTHONS
                                           if re.match(r'3\.1[1-9]\.', v)))
def test_without_columns(version):
    counts = check(PYTHONS[version], ['-X', 'no_debug_ranges'], [str(NO_COLUMNS_FILES)])
    assert counts['mismatches'] == 0
    assert counts['codes'] > 500
