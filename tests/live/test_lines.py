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
def recorded(python, workshop):
    """{target: the recording of it}, all at the same time"""
    targets = {name: workshop.start(python, name + '.py') for name in ('lines', 'long_table')}
    try:
        return dict(zip(targets, workshop.record_all(
            [(('-p', target.pid), {'rate': 1000, 'seconds': 2}) for target in targets.values()])))
    finally:
        workshop.clear()


def test_lines_of_hot_loops(recorded):
    generated = targets_module('lines')
    recording = recorded['lines']
    seen = {name: {} for name in generated.hot_lines()}
    for stack, count in recording.stacks():
        leaf = stack[-1]
        assert leaf.name in seen and os.path.basename(leaf.file) == generated.FILE, stack
        seen[leaf.name][leaf.line] = seen[leaf.name].get(leaf.line, 0) + count
    for name, lines in generated.hot_lines().items():
        assert set(seen[name]) - {lines[0]} == set(lines[1:]), f'{name}: {seen[name]}'
        share = min(seen[name][line] for line in lines[1:]) / sum(seen[name].values())
        assert share > 0.25 / len(lines), f'equal statements of {name}, but {seen[name]}'


def test_long_tables(recorded):
    """Line tables longer than what comes through the ring: the loop at the end is on its lines."""
    long_table = targets_module('long_table')
    recording = recorded['long_table']
    for name, length in long_table.LENGTHS.items():
        lines = {stack[-1].line for stack, _ in recording.stacks() if stack[-1].name == name}
        hot = long_table.hot_lines(name)
        assert hot <= lines and all(1 <= line <= length + 3 for line in lines), (name, lines)
        count = sum(count for stack, count in recording.stacks()
                    if stack[-1].name == name and stack[-1].line in hot)
        assert count > 0.3 * recording.count_of(name), (name, lines)
