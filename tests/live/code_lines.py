# SPDX-License-Identifier: Apache-2.0
"""Print the lines of each code object of a program, as this interpreter compiles it: a JSON list of
[name, first line, [lines]]. Instructions without a line count as line 0.
"""
import dis
import io
import json
import sys


def lines_of(code):
    if hasattr(code, 'co_lines'):
        return sorted(set(line or 0 for _, _, line in code.co_lines()))
    return sorted(set(line for _, line in dis.findlinestarts(code)))


def walk(code):
    first = 1 if code.co_name == '<module>' else code.co_firstlineno
    rows = [[code.co_name, first, lines_of(code)]]
    for const in code.co_consts:
        if hasattr(const, 'co_code'):
            rows += walk(const)
    return rows


with io.open(sys.argv[1], encoding='utf-8') as stream:
    print(json.dumps(walk(compile(stream.read(), sys.argv[1], 'exec'))))
