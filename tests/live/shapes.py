# SPDX-License-Identifier: Apache-2.0
"""What the stacks of some targets look like; for the live tests and the guests of tests/kernels, which
have no pytest."""
from oracle import describe, illegal

KEPT = 1024  # frames of one sample
ROOT = 128  # of them at the root
# Of children.py: what each of its processes is busy with.
WORKS = {'parent': 'parent_work', 'forked': 'forked_work', 'started': 'started_work',
         'grandchild': 'grandchild_work'}


def truncated_shape(full):
    """What is kept of a stack of that many frames."""
    left_out = len(full) - KEPT
    mark = f'[truncated: {left_out} frame{"s" * (left_out > 1)}]'
    return full[:ROOT] + [mark] + full[len(full) - (KEPT - ROOT):]


def assert_legal(python, target, stacks):
    oracle = python.oracle(target)
    # What runs before the target's first line (imports, site) and after its end is not its own.
    own = [(stack, count) for stack, count in stacks
           if any(oracle.ours(frame) for frame in stack)]
    own = [(stack, count) for stack, count in own
           if all(oracle.ours(frame) or frame.file == 'threading.py' for frame in stack)]
    found = illegal(own, oracle.why_not)
    assert own and not found, describe(found)
