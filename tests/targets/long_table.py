# SPDX-License-Identifier: Apache-2.0
"""Functions so long that their line tables are, with a hot loop of two lines at the very end."""
LENGTHS = {'medium': 3000, 'large': 40000}  # tables over 4 KiB, over 64 KiB
FILE = 'long_table_%s.py'


def source(name):
    return ('def %s(n):\n' % name + '    x = n\n' * LENGTHS[name] +
            '    while n:\n'
            '        n -= 1\n')


def hot_lines(name):
    return {LENGTHS[name] + 2, LENGTHS[name] + 3}


def functions():
    space = {}
    for name in LENGTHS:
        exec(compile(source(name), FILE % name, 'exec'), space)
    return [space[name] for name in sorted(LENGTHS, key=LENGTHS.get)]


def table_len(function):
    code = function.__code__
    return len(code.co_linetable if hasattr(code, 'co_linetable') else code.co_lnotab)


def main():
    made = functions()
    assert table_len(made[0]) > 4096 and table_len(made[1]) > 65536
    signal.alarm(300)
    os.write(1, b'ready\n')
    while True:
        for function in made:
            function(50000)


if __name__ == '__main__':
    import os
    import signal
    main()
