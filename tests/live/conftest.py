# SPDX-License-Identifier: Apache-2.0
import os
import pytest

from harness import ROOT, find_interpreters, Workshop

INTERPRETERS = find_interpreters()


# One for each way in which versions link their frames.
CHAINS = [(3, 9), (3, 12), (3, 14)]


def newest(version):
    found = [one for one in INTERPRETERS if one.version[:2] == version]
    assert found, f'no Python {version} to test with'
    return found[-1]


def pytest_configure(config):
    config.addinivalue_line('markers', 'beside: neither measures time nor counts samples, so that '
                            'it may run while other suites do (tests/run)')


def pytest_generate_tests(metafunc):
    if 'python' in metafunc.fixturenames:
        # OLDEST: of a module whose tests have little to do with versions.
        oldest = getattr(metafunc.module, 'OLDEST', (2, 7))
        found = [one for one in INTERPRETERS if one.version >= oldest]
        metafunc.parametrize('python', found, scope='module', ids=[one.id for one in found])


def pytest_collection_modifyitems(items):
    """Leave out what an interpreter is too old for."""
    params = [getattr(item, 'callspec', None) and item.callspec.params for item in items]
    items[:] = [item for item, one in zip(items, params)
                if not one or 'python' not in one or 'target' not in one or
                one['python'].runs(one['target'] + '.py')]


@pytest.fixture(scope='session')
def pitviper():
    """The program under test."""
    path = os.environ.get('PITVIPER') or os.path.join(ROOT, '.output', 'pitviper')
    assert os.access(path, os.X_OK), f'{path} is not built: make'
    assert os.geteuid() == 0, 'the live tests record other processes: run them as root'
    return path


@pytest.fixture(scope='module')
def workshop(pitviper, tmp_path_factory):
    """Starts targets, records them, and leaves nothing running."""
    with Workshop(pitviper, str(tmp_path_factory.mktemp('live'))) as made:
        yield made


@pytest.fixture(scope='module')
def pythons(request):
    """All those that the module's tests are run with, for what is recorded of all at once."""
    params = [item.callspec.params for item in request.session.items
              if item.module is request.module and hasattr(item, 'callspec')]
    return list({one['python']: None for one in params if 'python' in one})


@pytest.fixture(autouse=True)
def nothing_left(request):
    """A target that is still busy would take the CPU from the next test's."""
    yield
    if 'workshop' in request.fixturenames:
        request.getfixturevalue('workshop').stop_recorders()
        request.getfixturevalue('workshop').clear()
