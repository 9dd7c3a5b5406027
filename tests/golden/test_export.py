# SPDX-License-Identifier: Apache-2.0
"""What goes to other engines, read back: every sample is there once, with its stack and labels."""
import collections
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "live"))
import wire  # noqa: E402

PERIOD_NS = 1_000_000_000 // 99
ENGINES = sorted(wire.READERS)


@pytest.fixture(scope="module")
def sent(golden):
    def read(engine, profile="small", *options):
        data, samples = golden(profile, f"export-{engine}", *options)
        return wire.READERS[engine](data), samples, data

    return read


def by_stack(request):
    counts = collections.Counter()
    for group in request.groups:
        for sample in group.samples:
            counts[tuple(frame[:3] for frame in sample.stack)] += sample.count
    return counts


@pytest.mark.parametrize("engine", ENGINES)
def test_sums(sent, engine):
    request, samples, _ = sent(engine)
    assert samples and wire.count(request) == samples
    assert {group.period_ns for group in request.groups} == {PERIOD_NS}


def test_same_stacks(sent):
    """The engines are told the same."""
    ours = by_stack(sent("pprof")[0])
    assert max(map(len, ours)) == 4
    for engine in ENGINES:
        assert by_stack(sent(engine)[0]) == ours
    parse = [stack for stack in ours if stack[-1][:2] == ("parse", "/srv/app/util.py")]
    assert sorted((stack[-1][2], ours[stack]) for stack in parse) == [(5, 300), (6, 120)]


@pytest.mark.parametrize("engine", ENGINES)
def test_empty(sent, engine):
    request, samples, _ = sent(engine, "empty")
    assert samples == 0 and wire.count(request) == 0


def test_otlp_resources(sent):
    request, _, _ = sent("otlp")
    groups = {group.labels["service.name"]: group for group in request.groups}
    shop, other = groups["shop"], groups["unknown_service"]
    assert shop.labels == {"host.name": "viper", "service.name": "shop",
                           "container.id": "6f2d0a8e5c1b", "k8s.pod.name": "shop-7\ufffd</x>"}
    assert other.labels == {"host.name": "viper", "service.name": "unknown_service"}
    assert sum(sample.count for sample in other.samples) == 59
    assert shop.time_ns == 1700000000123456789 and shop.duration_ns == 12_500_000_000
    assert (shop.id, other.id) == ("000102030405060708090a0b0c0d0e0f",
                                   "000102030405060708090a0b0c0d0e0e")


def test_otlp_samples(sent):
    request, _, _ = sent("otlp")
    shop = next(group for group in request.groups if group.labels["service.name"] == "shop")
    worker = [sample for sample in shop.samples if sample.labels["thread.name"] == "worker 3"]
    assert sum(sample.count for sample in worker) == 155
    assert {tuple(sorted(sample.labels.items())) for sample in worker} == {(
        ("process.executable.name", "python3"), ("process.pid", 100),
        ("process.runtime.version", "3.11"), ("thread.id", 101), ("thread.name", "worker 3"))}
    dot = next(sample for sample in worker if sample.stack[-1].name == "dot")
    assert dot.stack[0] == wire.Frame("Thread.run", "/usr/lib/python3.11/threading.py", 982, 979,
                                      "cpython")
    assert {sample.stack[-1].kind for sample in worker
            if sample.stack[-1].name.startswith("[")} == {None}


@pytest.mark.parametrize("engine", ["parca", "pyroscope"])
def test_series(sent, engine):
    request, _, _ = sent(engine)
    groups = {group.labels["service_name"]: group for group in request.groups}
    assert groups["shop"].labels == {
        "__name__": "process_cpu", "host": "viper", "service_name": "shop",
        "container_id": "6f2d0a8e5c1b", "pod": "shop-7\ufffd</x>"}
    assert sum(sample.count for sample in groups["unknown_service"].samples) == 59
    assert {sample.labels["process"] for sample in groups["shop"].samples} == {"python3"}


def test_pyroscope_ids(sent):
    request, _, _ = sent("pyroscope")
    assert sorted(group.id for group in request.groups) == [
        "00010203-0405-4607-8809-0a0b0c0d0e0e", "00010203-0405-4607-8809-0a0b0c0d0e0f"]


@pytest.mark.parametrize("engine", ENGINES)
def test_command_lines(sent, engine):
    """Only if asked for: they may carry secrets."""
    quiet, told = sent(engine), sent(engine, "small", "cmdlines")
    assert wire.count(quiet[0]) == wire.count(told[0])

    def values(request):
        return {str(value) for group in request.groups for sample in group.samples
                for value in sample.labels.values()}

    command = 'python3 app.py --name="x\ny"'
    assert command in values(told[0])
    assert not any(command in value or "app.py" in value for value in values(quiet[0]))
