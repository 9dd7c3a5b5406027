# SPDX-License-Identifier: Apache-2.0
"""The flame graph, as an XML parser and as a browser see it, opened from disk."""
import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

SVG = "{http://www.w3.org/2000/svg}"


def boxes_of(data):
    root = ElementTree.fromstring(data)
    return root, [g for g in root.iter(SVG + "g") if g.get("class", "").startswith("f ")]


@pytest.mark.parametrize("view", [(), ("threads", "processes", "functions"), ("no_lines", "full")],
                         ids="-".join)
def test_well_formed_and_whole(golden, view):
    data, samples = golden("small", "flamegraph", *view)
    root, boxes = boxes_of(data)
    assert boxes[0].find(SVG + "title").text == f"all ({samples:,} samples, 100.00%)"
    # Each row's boxes lie side by side, so what a row loses to the next is self time.
    rows = {}
    for box in boxes:
        y = int(box.find(SVG + "rect").get("y"))
        x, n = int(box.get("data-x")), int(box.get("data-n"))
        assert x >= rows.get(y, 0) and x + n <= samples
        rows[y] = x + n
    assert len(root.findall(".//" + SVG + "script")) == 1
    assert not re.search(rb'(?:href|src)\s*=|url\(|@import', data)


def test_says_what_was_lost(golden):
    root, _ = boxes_of(golden("small", "flamegraph")[0])
    losses = "".join(root.find(f".//{SVG}text[@id='losses']").itertext())
    for what in ("1,026 samples", "lost 1 (0.10%)", "torn 2 (0.19%)", "truncated 12", "unreadable 4"):
        assert what in losses
    text = root.find(SVG + "desc").text
    total = int(re.search(r"ledger: ([\d,]+) ticks", text)[1].replace(",", ""))
    rows = re.findall(r"^ledger: .*? ([\d,]+) \(\d", text, re.M)
    assert sum(int(row.replace(",", "")) for row in rows) == total


def test_colours_are_stable(golden):
    def colours(view):
        _, boxes = boxes_of(golden("small", "flamegraph", *view)[0])
        return {box.find(SVG + "title").text.rsplit(" (", 1)[0]: box.get("class").split()[-1]
                for box in boxes}

    one, other = colours(()), colours(("threads",))
    assert all(other[name] == colour for name, colour in one.items())
    assert one["dot (numpy/core/numeric.py:77)"][0] == "p"
    assert one["iterencode (json/encoder.py:260)"][0] == "s"
    assert one["parse (app/util.py:5)"][0] == "a" == one["parse (other/util.py:5)"][0]
    # Lines of one function look alike.
    assert one["parse (app/util.py:5)"] == one["parse (app/util.py:6)"]


@pytest.fixture(scope="module")
def seen(golden, browser, tmp_path_factory):
    path = tmp_path_factory.mktemp("svg") / "p.svg"
    path.write_bytes(golden("small", "flamegraph")[0])
    searches = ["parse", "(", "Server|parse", "nothing there", "^g{70000}", "^PARSE", "recurse"]
    result = browser("flame", path, json.dumps(searches))
    result["path"] = str(path)
    return result


def width_of(boxes, name):
    return sum(box["width"] for box in boxes if box["title"].startswith(name))


def test_opens_alone(seen):
    assert seen["requests"] and all(url.startswith("file://") for url in seen["requests"])
    assert {url.split("#")[0] for url in seen["requests"]} == {"file://" + seen["path"]}
    assert "flame graph by pitviper" in seen["title"]
    assert seen["scripts"] == 1
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", seen["text"])


def test_hover(seen):
    assert "300 samples" in seen["hover"] and "29.24%" in seen["hover"]
    assert seen["hover"].startswith("parse (app/util.py:5)") and "3.03 s" in seen["hover"]
    assert "click a frame" in seen["idle"]


def test_zoom_and_reset(seen):
    full = width_of(seen["all"], "all ")
    assert full == pytest.approx(1280 - 32, abs=2)
    assert width_of(seen["all"], "Server.handle") == pytest.approx(full * 710 / 1026, abs=3)
    assert width_of(seen["zoomed"], "Server.handle") == pytest.approx(full, abs=2)
    assert width_of(seen["zoomed"], "all ") == pytest.approx(full, abs=2)
    assert width_of(seen["zoomed"], "parse (app/util.py:5)") == pytest.approx(full * 300 / 710, abs=3)
    assert width_of(seen["zoomed"], "Thread.run") == 0
    assert len(seen["reloaded"]) == len(seen["zoomed"]) and "y=2" in seen["address"]
    assert len(seen["reset"]) == len(seen["all"])
    labels = {box["text"] for box in seen["zoomed"]}
    assert "parse (app/util.py:5)" in labels


def test_search(seen):
    found = seen["searches"]
    assert found["parse"] == f"matched {100 * 500 / 1026:.2f}%"
    # parse lies below Server.handle: counted once.
    assert found["Server|parse"] == f"matched {100 * 710 / 1026:.2f}%"
    # Recursion: the inner call is part of the outer one.
    assert found["recurse"] == f"matched {100 * 40 / 1026:.2f}%"
    assert found["nothing there"] == "matched 0.00%" and found["^PARSE"] == "matched 0.00%"
    assert found["("] == "not a regular expression"
    # Cut for hover, whole for search.
    assert found["^g{70000}"] == f"matched {100 * 20 / 1026:.2f}%"
    assert len(seen["matches"]) == 2 and seen["cleared"] == 0


def test_ledger_width_and_dark(seen):
    assert (seen["ledgerBefore"], seen["ledgerAfter"]) == (False, True)
    assert width_of(seen["narrow"], "all ") == pytest.approx(700 - 32, abs=20)
    assert seen["light"] != seen["dark"]


def test_too_big_is_merged_not_lost(golden, browser, tmp_path):
    path = tmp_path / "big.svg"
    data, samples = golden("big", "flamegraph")
    path.write_bytes(data)
    assert len(data) < 10_000_000
    seen = browser("big", path, json.dumps(["^f0_1 ", "^f29_"]))
    assert 1000 < seen["boxes"] <= 20_000
    assert f"{seen['merged']:,} frames merged for size" in seen["losses"]
    _, boxes = boxes_of(data)
    assert sum(int(box.get("data-n")) for box in boxes if box.get("data-merged")) <= samples
    # What is drawn is counted exactly; what is merged, as a range.
    drawn = next(int(box.get("data-n")) for box in boxes
                 if box.find(SVG + "title").text.startswith("f0_1 "))
    low, high = re.fullmatch(r"matched ([\d.]+)% to ([\d.]+)%", seen["searches"]["^f0_1 "]).groups()
    assert float(low) == pytest.approx(100 * drawn / samples, abs=0.006) and float(high) <= 100
    assert " to " in seen["searches"]["^f29_"]


def test_empty(golden):
    _, boxes = boxes_of(golden("empty", "flamegraph")[0])
    assert [box.find(SVG + "title").text for box in boxes] == ["all (0 samples, 0.00%)"]
