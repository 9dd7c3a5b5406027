# SPDX-License-Identifier: Apache-2.0
"""One thread after the other, each with a function of its own that its name tells.

Ends when its input does and says how many there were and how many got the ident of an earlier one.
"""
import signal
import sys
import threading
import time

SOURCE = '''
def work_%d(end):
    while time.time() < end:
        sum(range(200))
'''


def worker(number):
    space = {'time': time}
    exec(compile(SOURCE % number, 'work_%d.py' % number, 'exec'), space)
    return space['work_%d' % number]


def main():
    over = threading.Event()
    waiter = threading.Thread(target=lambda: (sys.stdin.read(), over.set()), name='waits')
    waiter.daemon = True
    waiter.start()
    sys.stdout.write('ready\n')
    sys.stdout.flush()
    made, again, idents = 0, 0, set()
    while not over.is_set():
        thread = threading.Thread(target=worker(made), name='name_%d' % made,
                                  args=(time.time() + (0.03 if made % 4 else 0.3),))
        thread.start()
        again += thread.ident in idents
        idents.add(thread.ident)
        thread.join()
        made += 1
    sys.stdout.write('%d %d\n' % (made, again))


signal.alarm(300)
main()
