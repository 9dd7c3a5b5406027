# SPDX-License-Identifier: Apache-2.0
"""Each rule of tests/lint/run must see its breach, at its place, and nothing else."""
import os
import re
import shutil
import subprocess
import sys

import pytest

LINT = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(LINT))
USER = '// SPDX-License-Identifier: Apache-2.0\n'
KERNEL = '/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */\n'
LONG = USER + 'int f(void)\n{\n' + '\tg();\n' * 61 + '}\n'

# rule: (file that breaks it, its text, the line that must be named)
BREACHES = {
    'rooms_are_known': ('user/attic/a.c', USER, 1),
    'include_direction': ('user/out/a.c', USER + '#include "py/layout.h"\n', 2),
    'fenced_libraries': ('user/py/a.c', USER + '\n#include <bpf/libbpf.h>\n', 3),
    'readme_rooms': ('README.md', '| 3 | `util/` | x |\n`idle`\n', 1),
    'readme_ledger': ('README.md', '| 0 | `util/` | x |\n', 4),
    'readme_exits': ('user/cmd/exit.h', USER + '#define CODES(X) \\\n\tX(BAD, 7, "bad")\n', 3),
    'licence': ('bpf/pystate.bpf.c', USER, 1),
    'function_length': ('user/util/a.c', LONG, 3),
    'file_length': ('tests/a.py', USER.replace('//', '#') + '\n' * 800, 800),
    'struct_size': ('user/util/a.h', USER + 'struct a {\n' + '\tint b, c;\n' * 13 + '};\n', 2),
    'nobody_exits': ('user/util/a.c', USER + 'void f(void)\n{\n\texit(1);\n}\n', 4),
    'bounded_strings': ('user/util/a.c', USER + 'void f(char *a)\n{\n\tstrcpy(a, "b");\n}\n', 4),
    'words': ('a.md', 'see\n/' + 'home/me/notes\n', 2),
    'whitespace': ('a.md', 'a\nb \n', 2),
    'c_format': ('user/util/a.c', USER + 'int  a;\n', 2),
    'shell': ('a.sh', '#!/bin/sh\n' + USER.replace('//', '#') + 'if true\n', 4),
    'python_parses': ('a.py', USER.replace('//', '#') + 'def (:\n', 2),
    'kernel_fields': ('vmlinux/a.h', KERNEL + 'struct task_struct {\n\tint no_such_field;\n};\n', 2),
}
GOOD = {
    'README.md': '| 0 | `util/` | x |\n| 8 | `main.c` | x |\n`idle`\n',
    'bpf/counters.h': KERNEL + '// clang-format off\n#define X_LIST(X) \\\n'
                               '\tX(IDLE, "idle", "nothing ran")\n',
    'bpf/pystate.bpf.c': KERNEL + '#include "bpf/counters.h"\n',
    'user/util/a.c': USER + 'void f(void)\n{\n\texit_handler("exit(1)"); // exit(1)\n}\n',
    'user/util/a.h': USER + 'struct a {\n\tint b;\n\tint c : 3, d[4];\n};\n',
    'user/main.c': USER + '#include <stdlib.h>\n\nint main(void)\n{\n\texit(0);\n}\n',
    'vmlinux/a.h': KERNEL + 'struct task_struct {\n\tint pid;\n\tchar comm[16];\n};\n',
    'tests/run': '#!/bin/sh\n' + USER.replace('//', '#') + 'true\n',
}


@pytest.fixture(name='lint')
def fixture_lint(tmp_path):
    """Lay out a small clean tree, with some files replaced, and lint it."""
    def run(files, *rules):
        shutil.copytree(LINT, tmp_path / 'tests/lint', ignore=shutil.ignore_patterns('test_*'))
        shutil.copy(os.path.join(ROOT, '.clang-format'), tmp_path)
        for name, text in {**GOOD, **files}.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return subprocess.run([sys.executable, '-B', str(tmp_path / 'tests/lint/run'), *rules],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              universal_newlines=True)
    return run


def test_clean_tree_passes(lint):
    result = lint({})
    assert result.returncode == 0 and 'not ok' not in result.stdout, result.stdout


def test_every_rule_is_broken_here():
    with open(os.path.join(LINT, 'run'), encoding='utf-8') as stream:
        rules = re.findall(r'^@rule\ndef (\w+)', stream.read(), re.M)
    assert sorted(rules) == sorted(BREACHES)


@pytest.mark.parametrize('rule', BREACHES)
def test_breach_is_seen(lint, rule):
    path, text, line = BREACHES[rule]
    result = lint({path: text}, rule)
    if re.search(rf'^ok \d+ - {rule} # SKIP', result.stdout, re.M):
        pytest.skip(re.search(rf'- {rule} # SKIP (.*)', result.stdout).group(1))
    assert result.returncode == 1, result.stdout
    failed = re.findall(r'^not ok \d+ - (\w+)', result.stdout, re.M)
    assert rule in failed, result.stdout
    where = 'bpf/counters.h' if rule == 'readme_ledger' else path
    assert re.search(rf'^# {re.escape(where)}:{line}: ', result.stdout, re.M), result.stdout
