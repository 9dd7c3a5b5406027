# SPDX-License-Identifier: Apache-2.0
"""Functions and files with hostile names; NAMES and FILES hold them, the tests import both."""
NAMES = [
    'plain',
    u'gr\u00fc\u00dfe',                  # Latin-1
    u'\u043f\u0440\u0438\u0432\u0435\u0442',  # UCS-2
    u'\U0001f40d\U0001f525',             # UCS-4
    'semi;colon;;',
    'new\nline\r\n 77\n',
    'a 1 2 3',
    '</script><svg onload=x>&amp;"\'',
    '\x1b[31mred\x1b]0;title\x07',
    'nul\x00byte\x7f',
    u'rtl\u202e\u2066override',
    '%s%n{}\\',
    '',
    'long' * 60,
    'n' * 1023,
    'm' * 1024,
    u'\u00fc' * 2000,
    u'\u4e09' * 5000,
    'x' * 70000,
    u'\U0001f40d' * 70000,
    u'lone\ud800surrogates\udfff',
    u'bytes\udcff\udc80',  # surrogateescape: what was no UTF-8
    u'w\udcc3\udcbcrfel',  # and what was
    u'bidi\u202a\u202b\u202c\u2067\u200f\u061c',
    u'c1\x85\x9b31m\u2028\u2029',
    ']]>&lt;--',
    '{"a": [1]}',
]
FILES = [
    '/tmp/plain.py',
    u'/tmp/w\u00fcrfel.py',
    u'/tmp/\u86c7.py',
    u'/tmp/\U0001f40d.py',
    '/tmp/semi;colon.py',
    '/tmp/new\nline.py',
    '/tmp/</script>.py',
    '/tmp/\x1b[2J.py',
    '/tmp/' + 'd' * 1018,
    '/tmp/' + 'e' * 1019,
    u'/tmp/' + u'\u4e09' * 3000,
    '/tmp/' + 'f' * 70000,
    '<string>',
    '<frozen importlib._bootstrap>',
    '/tmp/archive.zip/package/module.py',
    'relative.py',
    '../up/./relative.py',
    u'/tmp/lone\udcff.py',
    u'/tmp/\u202e.py',
]


def template(n):
    total = 0
    for i in range(n):
        total += i
    return total


def pairs():
    """(name, file) of each function; every name and every file occurs."""
    return [(name, FILES[i % len(FILES)]) for i, name in enumerate(NAMES)]


def code(name, path):
    made = template.__code__
    if hasattr(made, 'replace'):  # 3.8
        changes = {'co_name': name, 'co_filename': path}
        if hasattr(made, 'co_qualname'):
            changes['co_qualname'] = name
        return made.replace(**changes)
    if str is bytes:  # 2.7: names are bytes
        name, path = [text.encode('utf-8') if isinstance(text, type(u'')) else text
                      for text in (name, path)]
    fields = ['argcount', 'kwonlyargcount', 'nlocals', 'stacksize', 'flags', 'code', 'consts',
              'names', 'varnames']
    values = [getattr(made, 'co_' + field) for field in fields if hasattr(made, 'co_' + field)]
    return types.CodeType(*(values + [path, name, made.co_firstlineno, made.co_lnotab]))


def functions():
    return [types.FunctionType(code(name, path), {'range': range}) for name, path in pairs()]


def main():
    made = functions()
    signal.alarm(300)
    os.write(1, b'ready\n')
    while True:
        for function in made:
            function(20000)


if __name__ == '__main__':
    import os
    import signal
    import types
    main()
