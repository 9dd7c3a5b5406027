# SPDX-License-Identifier: Apache-2.0
"""Run a target program with a trace function and print the stacks it really has, as JSON.

    python trace_target.py TARGET EVENTS [ARG...]

Every event of the interpreter's tracing (call, line, return) from when the target says that it is
ready gives one stack, root first, of [name, line, file]. Ends after EVENTS events.

A frame's line is that of its instruction, not that of the last line event, which f_lineno gives
while it is traced. An instruction without a line is on line 0; no event tells of one.
"""
import dis
import json
import os
import sys
import threading

TARGET, EVENTS = sys.argv[1], int(sys.argv[2])
STACKS = {}
COUNT = [0]
LAST = threading.Lock()  # one thread writes
FOLDER = os.path.dirname(TARGET)

WRITE = os.write


LINES = {}


def name_of(code):
    return getattr(code, 'co_qualname', code.co_name)


def lines_of(code):
    """By instruction."""
    if code not in LINES:
        lines = []
        if hasattr(code, 'co_lines'):
            for start, end, line in code.co_lines():
                lines += [line or 0] * (end - start)
        else:
            for start, line in dis.findlinestarts(code):
                lines += [lines[-1] if lines else line] * (start - len(lines)) + [line]
            lines += lines[-1:] * (len(code.co_code) - len(lines))
        LINES[code] = lines
    return LINES[code]


def line_of(frame):
    code = frame.f_code
    return lines_of(code)[frame.f_lasti] if frame.f_lasti >= 0 else code.co_firstlineno


def trace(frame, event, argument):
    stack, at = [], frame
    while at is not None and at.f_code.co_filename != __file__:
        stack.append((name_of(at.f_code), line_of(at), at.f_code.co_filename))
        at = at.f_back
    # What the target itself runs, its imports left out, and what threading does for it.
    leaf = stack[0][2] if stack else ''
    if os.path.basename(leaf) == 'threading.py' or os.path.dirname(leaf) == FOLDER:
        STACKS[tuple(reversed(stack))] = event
        if 0 in lines_of(frame.f_code):
            stack[0] = (stack[0][0], 0, leaf)
            STACKS[tuple(reversed(stack))] = event
    COUNT[0] += 1
    if COUNT[0] >= EVENTS and LAST.acquire(False):
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
    sys.path.insert(0, FOLDER)
    os.write = ready
    exec(code, {'__name__': '__main__', '__file__': TARGET})


main()
