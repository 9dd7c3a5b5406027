# SPDX-License-Identifier: Apache-2.0
"""Just enough of a C reader for the lint: functions with their length, structs with their fields."""
import re


def blank(text):
    """The text with comments, strings and character constants blanked, line breaks kept."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def hide(match):
        if match.group().startswith('"') and text[:match.start()].rstrip(' \t').endswith('include'):
            return match.group()
        return re.sub(r'[^\n]', ' ', match.group())
    return pattern.sub(hide, text)


def functions(text):
    """(name, line of the opening brace, lines between the braces) of each function."""
    lines = blank(text).split('\n')
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith('{'):
            start = number
        elif line.startswith('}') and start:
            head = ' '.join(lines[max(0, start - 9):start - 1])
            names = re.findall(r'(\w+)\s*\(', re.split(r'[;}]', head)[-1])
            names = [name for name in names if name not in ('SEC', '__attribute__')]
            yield (names[0] if names else '?', start, number - start - 1)
            start = None


def matching(text, start):
    """Index of the brace that closes the one at start."""
    depth = 0
    for index in range(start, len(text)):
        depth += {'{': 1, '}': -1}.get(text[index], 0)
        if not depth:
            return index
    raise ValueError('unbalanced braces')


def declared(member):
    """The names that one member declaration declares."""
    member = re.sub(r'__attribute__\s*\(\(.*?\)\)', ' ', member)
    pointer = re.search(r'\(\s*\*\s*(\w+)', member)
    if pointer:
        return [pointer.group(1)]
    names = []
    for part in member.split(','):
        found = re.search(r'(\w+)\s*(?:\[[^\]]*\]\s*)*(?::\s*\w+\s*)?$', part.strip())
        if found:
            names.append(found.group(1))
    return names


def members(body):
    """[(name, nested members or None, offset)] of a struct body; anonymous members have name ''."""
    out = []
    position = 0
    while True:
        end = body.find(';', position)
        if end < 0:
            return out
        brace = body.find('{', position, end)
        if brace >= 0:
            close = matching(body, brace)
            end = body.find(';', close)
            name = body[close + 1:end].strip().split('[')[0].strip()
            is_enum = re.match(r'\s*enum\b', body[position:brace])
            out.append((name, None if is_enum else members(body[brace + 1:close]), brace))
        else:
            out += [(name, None, position) for name in declared(body[position:end])]
        position = end + 1


def structs(text):
    """(name, line, members) of each struct or union that is defined at file level."""
    clean = '\n'.join('' if line.lstrip().startswith('#') else line
                      for line in blank(text).split('\n'))
    pattern = re.compile(r'^(typedef\s+)?(?:struct|union)\b\s*(\w*)[^;{}()=]*\{', re.M)
    for match in pattern.finditer(clean):
        brace = match.end() - 1
        close = matching(clean, brace)
        name = match.group(2)
        if match.group(1):
            name = (re.match(r'[\s\w()]*?(\w+)\s*;', clean[close + 1:]) or [None, name])[1]
        yield name, clean.count('\n', 0, match.start()) + 1, members(clean[brace + 1:close])


def field_count(fields):
    """How many things a struct holds; what an anonymous member holds counts as its own."""
    return sum(field_count(nested) if nested is not None and not name else 1
               for name, nested, _ in fields)
