# SPDX-License-Identifier: Apache-2.0
"""Ten threads that wait and three that work, each with a name of its own."""
# -> @thread wait spin
import os
import signal
import threading

IDLE = ['waits-%d' % i for i in range(10)]
BUSY = ['works-one', u'works-zw\u00f6lf', u'works-\u4e09']
NEVER = threading.Event()


def wait():
    NEVER.wait()


def spin():
    total = 0
    while True:
        total += work(20)  # -> work


def work(n):
    total = 0
    for i in range(n):
        total += i
    return total


def start(name, function):
    if str is bytes:
        name = name.encode('utf-8')
    thread = threading.Thread(target=function, name=name)
    thread.daemon = True
    thread.start()


def main():
    for name in IDLE:
        start(name, wait)
    for name in BUSY:
        start(name, spin)
    os.write(1, b'ready\n')
    NEVER.wait()


if __name__ == '__main__':
    signal.alarm(300)
    main()
