# SPDX-License-Identifier: Apache-2.0
"""Names and files of any characters and length arrive whole, and break no line of the output."""
import collections
import json
import re
import unicodedata
import xml.etree.ElementTree as ElementTree

import pytest

from conftest import INTERPRETERS
from harness import parse_folded
from test_lines import targets_module


def as_shown(text):
    """What is no character stays visible as one; escaped bytes that are UTF-8 are that (PEP 383)."""
    text = text.encode('utf-8', 'surrogatepass').decode('utf-8', 'surrogatepass')
    joined = re.sub('[\udc80-\udcff]+', lambda match: match.group().encode(
        'utf-8', 'surrogateescape').decode('utf-8', 'replace'), text)
    return re.sub('[\ud800-\udfff]', '\ufffd', joined)


def bytes_as_shown(text):
    """2.7, where the target's names are the bytes of their characters, surrogates too."""
    return text.encode('utf-8', 'surrogatepass').decode('utf-8', 'replace')


def shown_pairs(names, python):
    shown = as_shown if python.version >= (3,) else bytes_as_shown
    return {(shown(name), shown(file)) for name, file in names.pairs()}


@pytest.fixture(scope='module')
def recorded(pythons, workshop):
    """{python: its stacks, its folded ones}"""
    targets = {python: made['names'] for python, made in workshop.crowd(pythons, 'names').items()}
    profile, folded = workshop.record_works(targets.values(), 0.8, [
        ((), {'rate': 1000}), ((), {'rate': 997, 'extension': '.folded'})])
    workshop.clear()
    lines = collections.defaultdict(list)
    for stack in parse_folded(folded.path):
        lines[int(re.match(r'process (\d+):', stack[0]).group(1))].append(stack[1:])
    assert set(lines) == {target.pid for target in targets.values()}
    return {python: (profile.stacks(target.pid), lines[target.pid])
            for python, target in targets.items()}


def test_names_and_files(python, recorded):
    names = targets_module('names')
    leaves = {(stack[-1].name, stack[-1].file) for stack, _ in recorded[python][0]
              if len(stack) > 2}
    # What stands for the empty name is up to pitviper, as long as it is none of the others.
    pairs = shown_pairs(names, python)
    nameless = {pair for pair in leaves if pair[0] not in {name for name, _ in pairs}}
    assert {file for _, file in nameless} == {file for name, file in pairs if not name}
    missing = {pair for pair in pairs if pair[0]} ^ (leaves - nameless)
    assert not missing, [(name[:50], len(name), file[:50], len(file)) for name, file in missing]


def test_folded_lines_stay_lines(python, recorded):
    names = targets_module('names')
    stacks = recorded[python][1]
    assert stacks
    for stack in stacks:
        assert len(stack) <= 3, stack  # <module>, main, one of them
        assert not any(ord(char) < 32 or ord(char) == 127 for frame in stack for char in frame)
    assert len({stack[2] for stack in stacks if len(stack) == 3}) >= len(names.NAMES)


def harmful(text):
    """Characters that move a cursor, end a line, or reorder what stands around them."""
    return {char for char in text
            if unicodedata.category(char) in ('Cc', 'Zl', 'Zp') and char != '\n' or
            unicodedata.bidirectional(char) in ('LRE', 'RLE', 'LRO', 'RLO', 'PDF', 'LRI', 'RLI',
                                                'FSI', 'PDI', 'AL') and char == '\u061c' or
            char in '\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f'}


@pytest.mark.parametrize('newest', INTERPRETERS[-1:], ids=str)
def test_every_format(newest, workshop):
    """Each is what it says it is, and harms nobody who prints it."""
    names = targets_module('names')
    target = workshop.start(newest, 'names.py')

    def content(recording):
        with open(recording.path, encoding='utf-8', newline='') as stream:
            return stream.read()

    svg, folded, scope = map(content, workshop.record_all([
        (('-p', target.pid, '--full-filenames'),
         {'rate': 997, 'seconds': 1, 'extension': extension})
        for extension in ('.svg', '.folded', '.speedscope.json')]))
    root = ElementTree.fromstring(svg)
    assert len(root.findall('.//{http://www.w3.org/2000/svg}script')) == 1
    titles = {title.text for title in root.iter('{http://www.w3.org/2000/svg}title')}
    assert sum('plain' in title for title in titles)
    assert not harmful(svg.replace('\t', '')), harmful(svg)  # its script is indented
    assert not harmful(folded), harmful(folded)
    scope = json.loads(scope)
    shown = {(frame['name'], frame.get('file')) for frame in scope['shared']['frames']}
    assert {pair for pair in shown_pairs(names, newest) if pair[0]} <= shown


def test_messages(workshop):
    """What is printed on a terminal while it records."""
    target = workshop.start(INTERPRETERS[-1], 'names.py')
    messages = workshop.record('-p', target.pid, '-v', rate=99, seconds=0.3).messages
    assert not harmful(messages), messages
