# SPDX-License-Identifier: Apache-2.0
"""Code objects that live for a moment, at addresses that are used again and again.

Generation i has a file `churn_i.py` with two functions: `outer_i`, which calls `inner_i`. The lines
follow from i (see lines_of(), which the tests import). On the end of its input it prints how
many generations there were and how many of their code objects had the address of an earlier one.
"""
SPREAD = 50


def lines_of(i):
    """(line of outer's call, lines that inner runs on)"""
    start = 1 + i % SPREAD
    return start + 1, {start + 3, start + 4, start + 5, start + 6, start + 7}


def source_of(i):
    return '\n' * (i % SPREAD) + '''def outer_%d(n):
    return inner_%d(n)

def inner_%d(n):
    total = 0
    for i in range(n):
        total += i
    return total
''' % (i, i, i)


def generation(i):
    scope = {}
    exec(compile(source_of(i), 'churn_%d.py' % i, 'exec'), scope)
    code = scope['inner_%d' % i].__code__
    scope['outer_%d' % i](20000)
    return id(code)


def main():
    signal.alarm(300)
    os.write(1, b'ready\n')
    seen, made, again = set(), 0, 0
    while not select.select([0], [], [], 0)[0]:
        address = generation(made)
        made += 1
        again += address in seen
        seen.add(address)
    os.write(1, ('%d %d\n' % (made, again)).encode())


if __name__ == '__main__':
    import os
    import select
    import signal
    main()
