# SPDX-License-Identifier: Apache-2.0
"""speedscope: its schema, our own index check, and its own importer in a browser."""
import json
import subprocess

import pytest

from conftest import need

PERIOD_NS = 1_000_000_000 // 99

VALIDATE = """
const fs = require("fs");
const Ajv = require("ajv");
const schema = JSON.parse(fs.readFileSync(
    "node_modules/speedscope/dist/release/file-format-schema.json"));
const validate = new Ajv({ strict: false }).compile(schema);
const ok = validate(JSON.parse(fs.readFileSync(0)));
if (!ok)
    console.error(JSON.stringify(validate.errors));
process.exit(ok ? 0 : 1);
"""


@pytest.mark.parametrize("profile", ["small", "empty", "big"])
def test_schema_and_indices(golden, node_dir, profile):
    data, samples = golden(profile, "speedscope")
    subprocess.run([need("node"), "-e", VALIDATE], input=data, cwd=node_dir, check=True)
    scope = json.loads(data.decode("utf-8"))
    frames = scope["shared"]["frames"]
    weight = 0
    for part in scope["profiles"]:
        assert len(part["samples"]) == len(part["weights"])
        assert all(0 <= i < len(frames) for stack in part["samples"] for i in stack)
        assert part["startValue"] + sum(part["weights"]) == part["endValue"]
        weight += sum(part["weights"])
    assert weight == samples * PERIOD_NS


def test_threads_line_up(golden):
    scope = json.loads(golden("small", "speedscope")[0])
    starts = {part["name"]: part["startValue"] for part in scope["profiles"]}
    assert starts == {'Process 100 Thread 100 "MainThread"': 0,
                      'Process 100 Thread 101 "worker 3"': 500_000_000,
                      'Process 200 Thread 200 "MainThread"': 250_000_000}
    for part in scope["profiles"]:
        assert all(a != b for a, b in zip(part["samples"], part["samples"][1:]))


def test_names_are_true(golden):
    scope = json.loads(golden("small", "speedscope", "full")[0])
    names = {frame["name"] for frame in scope["shared"]["frames"]}
    assert {"new\nline 7", "\x1b[31mred\x1b[0m", "\u202edesrever", "a;b", "g" * 70000} <= names
    assert {"name": "parse", "file": "/srv/app/util.py", "line": 6} in scope["shared"]["frames"]


def test_ledger(golden):
    ledger = json.loads(golden("small", "speedscope")[0])["pitviper"]
    assert sum(row["count"] for row in ledger["outcomes"]) == ledger["ticks"]


def test_speedscope_itself(golden, browser, tmp_path):
    path = tmp_path / "p.speedscope.json"
    path.write_bytes(golden("small", "speedscope")[0])
    seen = browser("speedscope", path)
    assert "python3 app.py" in seen["title"]
    assert 'Process 100 Thread 100 "MainThread" (1/3)' in seen["text"]
    rows = [row.strip() for row in seen["text"].split("\n")]
    # 300 + 120 and 80 samples of 10.1 ms, of 812 on the main thread; speedscope parts them by line.
    assert {"3.03s (37%)", "1.21s (15%)", "808.08ms (9.9%)"} <= set(rows)
