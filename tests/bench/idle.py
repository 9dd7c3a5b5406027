# SPDX-License-Identifier: Apache-2.0
"""A service that waits: awake for an instant every second."""
import time

while True:
    time.sleep(1)
