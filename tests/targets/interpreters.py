# SPDX-License-Identifier: Apache-2.0
"""Two threads that run an interpreter each beside the main one, which works too."""
# needs: 3.8
import os
import signal
import threading
import time

# Up to 3.11 an interpreter does not give the lock up because another one asks for it: who has
# worked sleeps, so that each of the others has its turn.
CODE = '''
import time
def in_sub():
    total = 0
    for i in range(50000):
        total += i
    return total
while True:
    in_sub()
    time.sleep(0.001)
'''


def interpreters():
    try:
        import _interpreters  # 3.13 on
        return _interpreters
    except ImportError:
        import _xxsubinterpreters
        return _xxsubinterpreters


def run_sub():
    module = interpreters()
    ident = module.create()
    getattr(module, 'exec', getattr(module, 'run_string', None))(ident, CODE)


def in_main():
    total = 0
    for i in range(50000):
        total += i
    return total


def main():
    for _ in range(2):
        thread = threading.Thread(target=run_sub)
        thread.daemon = True
        thread.start()
    os.write(1, b'ready\n')
    while True:
        in_main()
        time.sleep(0.001)


signal.alarm(300)
main()
