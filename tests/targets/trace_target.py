# SPDX-License-Identifier: Apache-2.0
"""Run a target program with a trace function and print the stacks it really has, as JSON.

    python trace_target.py TARGET EVENTS [ARG...]

Every event of the interpreter's tracing (call, line, return) from when the target says that it is
ready gives one stack, root first, of [name, line, file]. Ends after EVENTS events.
"""
import json
import os
import sys
import threading

TARGET, EVENTS = sys.argv[1], int(sys.argv[2])
STACKS = {}
COUNT = [0]
WANTED = ('threading.py', os.path.basename(TARGET))


WRITE = os.write


def name_of(code):
    return getattr(code, 'co_qualname', code.co_name)


def trace(frame, event, argument):
    stack, at = [], frame
    while at is not None and at.f_code.co_filename != __file__:
        stack.append((name_of(at.f_code), at.f_lineno, at.f_code.co_filename))
        at = at.f_back
    if stack and os.path.basename(stack[0][2]) in WANTED:
        STACKS[tuple(reversed(stack))] = event
    COUNT[0] += 1
    if COUNT[0] >= EVENTS:
        sys.settrace(None)
        data = json.dumps(list(STACKS)).encode()
        while data:
            data = data[WRITE(1, data):]
        os._exit(0)
    return trace


def ready(descriptor, data):
    threading.settrace(trace)
    sys.settrace(trace)
    sys._getframe(1).f_trace = trace
    return len(data)


def main():
    with open(TARGET) as stream:
        code = compile(stream.read(), TARGET, 'exec')
    sys.argv = [TARGET] + sys.argv[3:]
    os.write = ready
    exec(code, {'__name__': '__main__', '__file__': TARGET})


main()
