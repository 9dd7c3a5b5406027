# SPDX-License-Identifier: Apache-2.0
"""One hostile profile, written in every format, for independent readers to read back.

A reader that is missing is an error with its name, not a skip: the golden tests are nothing
without them."""
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".cache" / "golden"


def need(tool):
    path = shutil.which(tool)
    if not path:
        raise RuntimeError(f"the golden tests need {tool}, which is not on this machine's PATH")
    return path


@pytest.fixture(scope="session")
def golden():
    """write(profile, format, *view) -> (bytes, samples in the profile)"""
    out = os.environ.get("O", ".output")
    binary = ROOT / out / "tests" / "golden" / "golden_profile"

    def write(profile, fmt, *view):
        done = subprocess.run([binary, profile, fmt, *view], capture_output=True, check=True)
        return done.stdout, int(re.search(rb"samples (\d+)", done.stderr)[1])

    return write


@pytest.fixture(scope="session")
def node_dir():
    """A directory whose node_modules holds what package.json names."""
    CACHE.mkdir(parents=True, exist_ok=True)
    want = (HERE / "package.json").read_text()
    have = CACHE / "package.json"
    if not (CACHE / "node_modules").is_dir() or not have.exists() or have.read_text() != want:
        have.write_text(want)
        try:
            subprocess.run([need("npm"), "install", "--no-audit", "--no-fund", "--no-package-lock"],
                           cwd=CACHE, check=True)
        except BaseException:
            have.unlink()
            raise
    return CACHE


@pytest.fixture(scope="session")
def browser(node_dir):
    """browse(command, file, arg) -> what browser.mjs saw"""
    chromium = need("chromium")

    def browse(command, path, arg=""):
        done = subprocess.run([need("node"), HERE / "browser.mjs", node_dir, command, path, arg],
                              stdout=subprocess.PIPE, check=True, timeout=300,
                              env={**os.environ, "CHROMIUM": chromium})
        seen = json.loads(done.stdout)
        assert seen["errors"] == [] and seen["dialogs"] == 0
        return seen

    return browse
