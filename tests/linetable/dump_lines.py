# SPDX-License-Identifier: Apache-2.0
"""Write every code object of this interpreter's standard library, and what it says of its lines.

    python dump_lines.py [LIMIT] > STREAM

Runs under any CPython from 2.7 on. LIMIT: compile that many files anew instead of loading all from
their caches. A record, native byte order: u32 version (major << 8 | minor), i32 co_firstlineno,
u32 bytes of bytecode, u32 bytes of table, u32 ranges; the ranges, i32 start, end (bytes of
bytecode), line (0: none); the table.
"""
import dis
import marshal
import os
import struct
import sys
import warnings

try:
    from importlib.util import MAGIC_NUMBER, cache_from_source
except ImportError:  # 2.7
    import imp
    MAGIC_NUMBER = imp.get_magic()

    def cache_from_source(path):
        return path + 'c'

VERSION = sys.version_info[:2]
PYC_HEADER = 8 if VERSION < (3, 0) else 12 if VERSION < (3, 7) else 16
CODE = type((lambda: 0).__code__)


def ranges_of(code):
    if VERSION >= (3, 10):
        return [(start, end, line or 0) for start, end, line in code.co_lines() if start < end]
    starts = list(dis.findlinestarts(code))
    ends = [start for start, _ in starts[1:]] + [len(code.co_code)]
    return [(start, end, line) for (start, line), end in zip(starts, ends)]


def write(out, code, seen):
    if id(code) in seen:
        return
    seen[id(code)] = code
    table = code.co_linetable if VERSION >= (3, 10) else code.co_lnotab
    ranges = ranges_of(code)
    flat = [max(number, 0) for entry in ranges for number in entry]
    out.write(struct.pack('=IiIII', VERSION[0] << 8 | VERSION[1], code.co_firstlineno,
                          len(code.co_code), len(table), len(ranges)))
    out.write(struct.pack('=%di' % len(flat), *flat))
    out.write(table)
    for const in code.co_consts:
        if isinstance(const, CODE):
            write(out, const, seen)


def cached(path):
    """The code object of a source file from its cache, or None."""
    try:
        with open(cache_from_source(path), 'rb') as stream:
            data = stream.read()
    except (IOError, OSError):
        return None
    return marshal.loads(data[PYC_HEADER:]) if data[:4] == MAGIC_NUMBER else None


def compiled(path):
    try:
        with open(path, 'rb') as stream:
            return compile(stream.read(), path, 'exec', dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError if VERSION >= (3, 5) else RuntimeError):
        return None  # the test suite's own bad examples


def sources():
    top = os.path.dirname(os.__file__)
    for folder, folders, files in os.walk(top):
        folders[:] = sorted(f for f in folders if f not in ('site-packages', 'dist-packages'))
        for name in sorted(files):
            if name.endswith('.py'):
                yield os.path.join(folder, name)


def generated():
    """What a standard library is too well-behaved to hold."""
    # Tables beyond 4 KiB and 64 KiB; deltas that need more than one entry or group.
    yield 'a = b = 1\n' * 2000
    yield 'f(a, b)\n' * 40000
    yield 'a\n' + '\n' * 70000 + 'b\n' + '\n' * 300 + 'c\n'
    # Lines that go backwards: arguments are evaluated below the call they belong to.
    yield 'f(%s)\n' % ''.join('\n' * n + 'g(\n\n%d),' % n for n in range(150))
    yield 'x = (\n' + '(a +\n' * 60 + 'b' + ')' * 60 + ')\n'
    # Code without a line: clean-up, comprehensions, generators.
    yield '\n'.join('''
def f%d(a):
    try:
        with a as b, b as c:
            for i in a:
                if i: continue
                yield [x for x in (y for y in b
                                   if y) if x]
    except (TypeError, ValueError) as e:
        yield lambda: e
    finally:
        while a: a = g(
            b,
            c)
''' % n for n in range(50))


def main():
    warnings.simplefilter('ignore')
    limit = int(sys.argv[1]) if len(sys.argv) > 1 else None
    out = getattr(sys.stdout, 'buffer', sys.stdout)
    seen = {}
    for index, path in enumerate(sources()):
        if index == limit:
            break
        code = None if limit else cached(path)
        code = code or compiled(path)
        if code:
            write(out, code, seen)
    for source in generated():
        write(out, compile(source, 'generated.py', 'exec'), seen)


if __name__ == '__main__':
    main()
