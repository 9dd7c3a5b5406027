# SPDX-License-Identifier: Apache-2.0
"""Exact lines: those of the hot loop and no others, each of them; calls on their own lines."""
import importlib.util
import os

import pytest

from harness import TARGETS


def targets_module(name):
    spec = importlib.util.spec_from_file_location(name, os.path.join(TARGETS, name + '.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def recorded(pythons, workshop):
    """{python: {target: its stacks}}"""
    found = {}
    # The lock of 2.7 is not fair, and least of all where CPUs are scarce.
    for group in ([one for one in pythons if one.version < (3,)],
                  [one for one in pythons if one.version >= (3,)]):
        made = workshop.crowd(group, 'lines', 'long_table', warm_s=0.02)
        targets = [target for one in made.values() for target in one.values()]
        if targets:
            recording = workshop.record_work(targets, 0.7, rate=2500)
            workshop.clear()
            found.update({python: {name: recording.stacks(target.pid)
                                   for name, target in one.items()}
                          for python, one in made.items()})
    return found


def test_lines_of_hot_loops(python, recorded):
    generated = targets_module('lines')
    seen = {name: {} for name in generated.hot_lines()}
    for stack, count in recorded[python]['lines']:
        leaf = stack[-1]
        assert leaf.name in seen and os.path.basename(leaf.file) == generated.FILE, stack
        seen[leaf.name][leaf.line] = seen[leaf.name].get(leaf.line, 0) + count
    for name, lines in generated.hot_lines().items():
        assert set(seen[name]) - {lines[0]} == set(lines[1:]), f'{name}: {seen[name]}'
        share = min(seen[name][line] for line in lines[1:]) / sum(seen[name].values())
        assert share > 0.25 / len(lines), f'equal statements of {name}, but {seen[name]}'


def test_long_tables(python, recorded):
    """Line tables longer than what comes through the ring: the loop at the end is on its lines."""
    long_table = targets_module('long_table')
    stacks = recorded[python]['long_table']
    for name, length in long_table.LENGTHS.items():
        mine = [(stack[-1].line, count) for stack, count in stacks if stack[-1].name == name]
        lines = {line for line, _ in mine}
        hot = long_table.hot_lines(name)
        assert hot <= lines and all(1 <= line <= length + 3 for line in lines), (name, lines)
        at_the_end = sum(count for line, count in mine if line in hot)
        assert at_the_end > 0.3 * sum(count for _, count in mine), (name, lines)
