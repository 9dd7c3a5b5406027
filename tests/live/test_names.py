# SPDX-License-Identifier: Apache-2.0
"""Names and files of any characters and length arrive whole, and break no line of the output."""
from harness import parse_folded
from test_lines import targets_module


def test_names_and_files(python, workshop):
    names = targets_module('names')
    target = workshop.start(python, 'names.py')
    recording = workshop.record('-p', target.pid, rate=1000, seconds=2)
    leaves = {(stack[-1].name, stack[-1].file) for stack, _ in recording.stacks()
              if len(stack) > 2}
    # What stands for the empty name is up to pitviper, as long as it is none of the others.
    nameless = {pair for pair in leaves if pair[0] not in names.NAMES}
    assert {file for _, file in nameless} == {file for name, file in names.pairs() if not name}
    assert leaves - nameless == {pair for pair in names.pairs() if pair[0]}


def test_folded_lines_stay_lines(python, workshop):
    names = targets_module('names')
    target = workshop.start(python, 'names.py')
    path = workshop.record('-p', target.pid, rate=997, seconds=1, extension='.folded').path
    stacks = parse_folded(path)
    assert stacks
    for stack in stacks:
        assert len(stack) <= 3, stack  # <module>, main, one of them
        assert not any(ord(char) < 32 or ord(char) == 127 for frame in stack for char in frame)
    assert len({stack[2] for stack in stacks if len(stack) == 3}) >= len(names.NAMES)
