#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Statistics of a web server's log, the way many a script does it: parse, classify, sum up.

Makes its own log, so that it needs nothing. Works through it again and again for --seconds, with a
thread that makes reports beside the one that reads.
"""
import argparse
import collections
import datetime
import io
import json
import random
import re
import statistics
import threading
import time

LINE = re.compile(r'(?P<host>\S+) \S+ (?P<user>\S+) \[(?P<time>[^\]]+)\] '
                  r'"(?P<method>\S+) (?P<path>\S+) [^"]*" (?P<status>\d+) (?P<size>\d+) '
                  r'"[^"]*" "(?P<agent>[^"]*)"')
AGENTS = [('bot', r'.*(bot|crawler|spider).*'), ('Firefox', r'Mozilla.*Gecko/.*Firefox/\d+'),
          ('Edge', r'Mozilla.*Edg/[\d.]+'), ('Chrome', r'Mozilla.*Chrome/[\d.]+.*'),
          ('curl', r'curl/.*'), ('other', r'.*')]
SAMPLE_AGENTS = [
    'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
    'Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0',
    'curl/8.5.0', 'Mozilla/5.0 (compatible; examplebot/2.1)']


def make_log(count):
    """A log of `count` requests, the same every time."""
    rng = random.Random(7)
    start = datetime.datetime(2025, 1, 1, tzinfo=datetime.timezone.utc)
    out = io.StringIO()
    for number in range(count):
        when = start + datetime.timedelta(seconds=number * 3)
        out.write(f'198.51.100.{rng.randrange(256)} - user{rng.randrange(40)} '
                  f'[{when:%d/%b/%Y:%H:%M:%S %z}] "GET /item/{int(rng.expovariate(0.02))} HTTP/1.1" '
                  f'{rng.choice([200, 200, 200, 304, 404])} {rng.randrange(90000)} "-" '
                  f'"{rng.choice(SAMPLE_AGENTS)}"\n')
    return out.getvalue()


def parse_time(text):
    return datetime.datetime.strptime(text, '%d/%b/%Y:%H:%M:%S %z')


def classify_agent(agent):
    for name, pattern in AGENTS:
        if re.match(pattern, agent):
            return name
    return None


def parse_line(line):
    fields = LINE.match(line).groupdict()
    fields['time'] = parse_time(fields['time'])
    fields['agent'] = classify_agent(fields['agent'])
    fields['size'] = int(fields['size'])
    return fields


class Sessions:
    """Requests of one user that follow each other within five minutes."""

    GAP = datetime.timedelta(minutes=5)

    def __init__(self):
        self.last = {}
        self.lengths = []

    def add(self, request):
        user, when = request['user'], request['time']
        first, latest = self.last.get(user, (when, when))
        if when - latest > self.GAP:
            self.lengths.append((latest - first).total_seconds())
            first = when
        self.last[user] = (first, when)


class Report:
    def __init__(self):
        self.lock = threading.Lock()
        self.sizes = collections.defaultdict(list)
        self.agents = collections.Counter()
        self.statuses = collections.Counter()
        self.text = ''

    def add(self, request):
        with self.lock:
            self.sizes[request['path']].append(request['size'])
            self.agents[request['agent']] += 1
            self.statuses[request['status']] += 1

    def summarize(self):
        with self.lock:
            paths = {path: list(sizes) for path, sizes in self.sizes.items()}
            head = {'agents': dict(self.agents), 'statuses': dict(self.statuses)}
        head['paths'] = {path: {'mean': statistics.fmean(sizes), 'median': statistics.median(sizes)}
                         for path, sizes in sorted(paths.items())}
        self.text = json.dumps(head, indent=1)


def keep_reporting(report, done):
    while not done.wait(0.05):
        report.summarize()


def read_log(log, report):
    sessions = Sessions()
    for line in io.StringIO(log):
        request = parse_line(line)
        sessions.add(request)
        report.add(request)
    return sessions


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n', maxsplit=1)[0])
    parser.add_argument('--seconds', type=float, default=10)
    args = parser.parse_args()
    end = time.monotonic() + args.seconds
    log = make_log(20000)
    rounds = 0
    while time.monotonic() < end:
        report, done = Report(), threading.Event()
        reporter = threading.Thread(target=keep_reporting, args=(report, done), name='reporter')
        reporter.start()
        sessions = read_log(log, report)
        done.set()
        reporter.join()
        report.summarize()
        rounds += 1
    print(f'{rounds} rounds over {log.count(chr(10))} requests, '
          f'{len(sessions.lengths)} sessions, report of {len(report.text)} bytes')


if __name__ == '__main__':
    main()
