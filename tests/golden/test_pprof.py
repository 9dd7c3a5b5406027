# SPDX-License-Identifier: Apache-2.0
"""pprof, read back by go tool pprof."""
import gzip
import re
import subprocess

import pytest

from conftest import need

PERIOD_NS = 1_000_000_000 // 99


@pytest.fixture(scope="module")
def pprof(golden, tmp_path_factory):
    def run(profile, *args, view=()):
        data, samples = golden(profile, "pprof", *view)
        gzip.decompress(data)
        path = tmp_path_factory.mktemp("pprof") / "p.pb.gz"
        path.write_bytes(data)
        done = subprocess.run([need("go"), "tool", "pprof", *args, path], capture_output=True,
                              check=True, encoding="utf-8")
        return done.stdout, samples

    return run


@pytest.mark.parametrize("view", [(), ("functions",), ("threads", "processes", "full")], ids="-".join)
def test_raw_sums(pprof, view):
    text, samples = pprof("small", "-raw", view=view)
    rows = re.findall(r"^ +(\d+) +(\d+): [\d ]+$", text, re.M)
    assert sum(int(count) for count, _ in rows) == samples
    assert sum(int(ns) for _, ns in rows) == samples * PERIOD_NS
    assert "samples/count cpu/nanoseconds[dflt]" in text
    assert f"Period: {PERIOD_NS}\n" in text
    assert "PeriodType: cpu nanoseconds" in text
    assert "Time: 2023-11-14 22:13:20.123456789" in text
    assert "Duration: 12.5" in text


def test_top(pprof):
    text, samples = pprof("small", "-top", "-sample_index=samples", "-nodecount=1000",
                          "-nodefraction=0")
    assert f"{samples}, 100% of {samples} total" in text
    flat = re.findall(r"^ +(\d+) .*?%  parse$", text, re.M)
    assert sum(map(int, flat)) == 500
    assert re.search(r"^ +60 .*%  iterencode$", text, re.M)


def test_traces(pprof):
    text, samples = pprof("small", "-traces", "-sample_index=samples")
    counts = re.findall(r"^ +(\d+)   \S", text, re.M)
    assert sum(map(int, counts)) == samples


def test_labels_and_roots(pprof):
    text, _ = pprof("small", "-tags", "-sample_index=samples")
    for count, label in (("155", "(15.11%): worker 3"), ("967", "(94.25%): 100"),
                         ("155", "(15.11%): 101"), ("59", "( 5.75%): python3 -c </script>")):
        assert re.search(rf"^ +{count}(\.0)? {re.escape(label)}$", text, re.M)  # Go 1.19: 155.0
    text, samples = pprof("small", "-top", "-sample_index=samples", "-tagroot=thread", "-cum",
                          "-nodecount=1000", "-nodefraction=0")
    cumulative = dict((name, int(cnt)) for cnt, name in
                      re.findall(r"^ +\d+ +\S+ +\S+ +(\d+) +\S+  (MainThread|worker 3)$", text, re.M))
    assert sum(cumulative.values()) == samples and len(cumulative) == 2


def test_functions(pprof):
    text, _ = pprof("small", "-raw")  # Go 1.19 shows no column
    assert re.search(r"parse /srv/app/util.py:5(:0)? s=3\b", text)
    assert re.search(r"parse /srv/app/other/util.py:5(:0)? s=3\b", text)
    text, _ = pprof("small", "-raw", view=("functions",))
    assert re.search(r"parse /srv/app/util.py:3(:0)? s=3\b", text)


def test_comments_hold_the_ledger(pprof):
    text, samples = pprof("small", "-comments")
    total = int(re.search(r"ledger: ([\d,]+) ticks", text)[1].replace(",", ""))
    rows = re.findall(r"^ledger: .*? ([\d,]+) \(\d+\.\d\d%\): ", text, re.M)
    assert sum(int(row.replace(",", "")) for row in rows) == total > samples
    assert "command: pitviper record -o profile.svg -- python3 app.py" in text


def test_big_and_empty(pprof):
    text, samples = pprof("big", "-top", "-sample_index=samples", "-nodecount=1")
    assert f"of {samples} total" in text
    text, samples = pprof("empty", "-raw")
    assert samples == 0 and "Samples:" in text
