# SPDX-License-Identifier: Apache-2.0
"""Folded stacks, read as flamegraph.pl, speedscope and Firefox read them."""
import re
import unicodedata

import pytest

VIEWS = [(), ("functions",), ("no_lines",), ("threads",), ("processes", "threads"), ("full",)]


def parse(data):
    text = data.decode("utf-8")
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        stack, count = re.fullmatch(r"(.*) (\d+)", line).groups()
        yield stack, int(count)


@pytest.mark.parametrize("view", VIEWS, ids="-".join)
def test_sums_and_lines(golden, view):
    data, samples = golden("small", "folded", *view)
    stacks = list(parse(data))
    assert sum(count for _, count in stacks) == samples
    names = [stack for stack, _ in stacks]
    assert len(set(names)) == len(names)
    assert golden("small", "folded", *view)[0] == data
    for name in names:
        # flamegraph.pl would take this for the older one of two counts.
        assert not re.search(r"\s\d+(\.\d*)?$", name)
        assert not name.startswith("#") and not name.endswith(" ")
        assert all(part for part in name.split(";"))


def test_no_controls(golden):
    data, _ = golden("small", "folded", "threads", "processes")
    for char in data.decode("utf-8"):
        assert char == "\n" or unicodedata.category(char) not in ("Cc", "Cf", "Zl", "Zp"), repr(char)


def test_views(golden):
    stacks = dict(parse(golden("small", "folded")[0]))
    # Two files of one base name stay two.
    assert stacks["<module> (app.py:30);Server.handle (server.py:21);parse (app/util.py:5)"] == 300
    assert stacks["<module> (app.py:30);Server.handle (server.py:21);parse (app/util.py:6)"] == 120
    assert stacks["<module> (app.py:30);Server.handle (server.py:21);parse (other/util.py:5)"] == 80
    merged = dict(parse(golden("small", "folded", "functions")[0]))
    assert merged["<module> (app.py:1);Server.handle (server.py:18);parse (app/util.py:3)"] == 420
    bare = dict(parse(golden("small", "folded", "no_lines", "threads")[0]))
    assert bare["thread (101): worker_3;Thread.run (threading.py);dot (numpy/core/numeric.py)"] == 140
    tree = dict(parse(golden("small", "folded", "processes")[0]))
    assert tree['process 200:"python3 -c </script>";[unreadable]'] == 4
    full = dict(parse(golden("small", "folded", "full")[0]))
    assert any("(/usr/lib/python3.11/json/encoder.py:260)" in stack for stack in full)


def test_empty(golden):
    assert golden("empty", "folded") == (b"", 0)
