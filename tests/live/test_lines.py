# SPDX-License-Identifier: Apache-2.0
"""Exact lines: those of the hot loop and no others, each of them; calls on their own lines."""
import importlib.util
import os

from harness import TARGETS


def targets_module(name):
    spec = importlib.util.spec_from_file_location(name, os.path.join(TARGETS, name + '.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_lines_of_hot_loops(python, workshop):
    generated = targets_module('lines')
    target = workshop.start(python, 'lines.py')
    recording = workshop.record('-p', target.pid, rate=1000, seconds=2)
    seen = {name: {} for name in generated.hot_lines()}
    for stack, count in recording.stacks():
        leaf = stack[-1]
        assert leaf.name in seen and os.path.basename(leaf.file) == generated.FILE, stack
        seen[leaf.name][leaf.line] = seen[leaf.name].get(leaf.line, 0) + count
    for name, lines in generated.hot_lines().items():
        assert set(seen[name]) - {lines[0]} == set(lines[1:]), f'{name}: {seen[name]}'
        share = min(seen[name][line] for line in lines[1:]) / sum(seen[name].values())
        assert share > 0.25 / len(lines), f'equal statements of {name}, but {seen[name]}'
