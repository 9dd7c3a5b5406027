# SPDX-License-Identifier: Apache-2.0
"""A hot loop whose statements lie far apart, and one at the end of a very large line table.

hot_lines() tells the lines of each function's loop; the tests import it.
"""
GAPS = (1, 2, 126, 127, 128, 129, 254, 255, 256, 257, 1000, 5000, 70000)
PADDING = 3000  # statements: a line table of more than 4 KiB in every version
FILE = 'generated_lines.py'


def sparse():
    """Source of a function with gaps between its lines, and its lines."""
    text = ['def sparse():', ' x = 1', ' while True:']
    hot = [3]
    for gap in GAPS:
        text += [''] * (gap - 1) + ['  x = sum(range(400))']
        hot.append(len(text))
    return text, hot


def large(offset):
    """The same for a function whose loop follows PADDING statements."""
    text = ['def large():'] + [' x = %d' % (i % 7) for i in range(PADDING)] + [' while True:']
    hot = [len(text)]
    for gap in (1, 300, 1, 1):
        text += [''] * (gap - 1) + ['  x = sum(range(400))']
        hot.append(len(text))
    return text, [line + offset for line in hot]


def source():
    first, _ = sparse()
    second, _ = large(0)
    return '\n'.join(first + second) + '\n'


def hot_lines():
    first, lines = sparse()
    return {'sparse': lines, 'large': large(len(first))[1]}


def main():
    scope = {}
    exec(compile(source(), FILE, 'exec'), scope)
    thread = threading.Thread(target=scope['large'])
    thread.daemon = True
    thread.start()
    signal.alarm(300)
    os.write(1, b'ready\n')
    scope['sparse']()


if __name__ == '__main__':
    import os
    import signal
    import threading
    main()
