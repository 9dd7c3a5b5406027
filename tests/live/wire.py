# SPDX-License-Identifier: Apache-2.0
"""Readers of what pitviper sends to other engines, that owe nothing to the code that writes it."""
import base64
import collections
import io
import json
import struct

import pprof

Request = collections.namedtuple('Request', 'groups id')  # groups: of Group
# labels: of the resource or series; samples: of Sample; a stack is root first
Group = collections.namedtuple('Group', 'labels samples period_ns time_ns duration_ns id')
Sample = collections.namedtuple('Sample', 'stack count labels')
Frame = collections.namedtuple('Frame', 'name file line first_line kind')


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def fields(data):
    """{field number: [int or bytes]} of one message."""
    found = collections.defaultdict(list)
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        elif key & 7 == 1:
            value, at = struct.unpack_from('<Q', data, at)[0], at + 8
        elif key & 7 == 2:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
            if len(value) != size:
                raise ValueError('a field ends beyond its message')
        else:
            raise ValueError(f'wire type {key & 7} has no place here')
        found[key >> 3].append(value)
    return found


def packed(values):
    for value in values:
        at = 0
        while at < len(value):
            number, at = varint(value, at)
            yield number


def one(values, default=0):
    if len(values) > 1:
        raise ValueError('a field that may be there once is there twice')
    return values[0] if values else default


def any_value(data):
    found = fields(data)
    if 1 in found:
        return one(found[1]).decode('utf-8')
    return one(found[3])


class Dictionary:
    """The tables of an OTLP message; each must begin with its empty element, and be used up."""

    def __init__(self, data):
        tables = fields(data)
        self.strings = [value.decode('utf-8') for value in tables[5]]
        for number in (1, 2, 3, 5, 6, 7):
            if tables[number][0] != b'':
                raise ValueError(f'table {number} does not begin with the empty element')
        if tables[4] != [b'\x0a\x10' + bytes(16) + b'\x12\x08' + bytes(8)]:
            raise ValueError('the table of links is not the empty link')
        for number in (2, 3, 5, 6, 7):
            if number != 2 and len(set(tables[number])) != len(tables[number]):
                raise ValueError(f'table {number} has an element twice')
        self.attributes = [self._attribute(fields(value)) for value in tables[6]]
        self.functions = [fields(value) for value in tables[3]]
        self.locations = [self._location(fields(value)) for value in tables[2]]
        self.stacks = [tuple(self.locations[index] for index in packed(fields(value)[1]))[::-1]
                       for value in tables[7]]
        self.used_stacks = {0}

    def _attribute(self, found):
        return (self.strings[one(found[1])], any_value(found[2][0])) if found else None

    def _location(self, found):
        if not found:
            return None
        line = fields(one(found[3]))
        function = self.functions[one(line[1])]
        kind = dict(self.attributes[index] for index in packed(found[4]))
        return Frame(self.strings[one(function[1])], self.strings[one(function[3])],
                     one(line[2]), one(function[4]), kind.get('profile.frame.type'))

    def sample(self, data):
        found = fields(data)
        labels = [self.attributes[index] for index in packed(found[2])]
        if len(dict(labels)) != len(labels):
            raise ValueError('a sample has a key twice')
        values = list(packed(found[4]))
        if len(values) != 1:
            raise ValueError('not one value')
        self.used_stacks.add(one(found[1]))
        return Sample(self.stacks[one(found[1])], values[0], dict(labels))

    def pair(self, data):
        found = fields(data)
        return self.strings[one(found[1])], self.strings[one(found[2])]


def otlp(body):
    """An ExportProfilesServiceRequest of v1development."""
    top = fields(body)
    dictionary = Dictionary(one(top[2]))
    groups = []
    for data in top[1]:
        resource = fields(data)
        labels = dict((one(pair[1]).decode(), any_value(pair[2][0]))
                      for pair in map(fields, fields(one(resource[1]))[1]))
        scope = fields(one(resource[2]))
        if fields(one(scope[1]))[1] != [b'pitviper']:
            raise ValueError('the scope is not pitviper')
        profile = fields(one(scope[2]))
        if dictionary.pair(one(profile[1])) != ('samples', 'count'):
            raise ValueError('not samples')
        if dictionary.pair(one(profile[5])) != ('cpu', 'nanoseconds'):
            raise ValueError('no period of CPU time')
        groups.append(Group(labels, [dictionary.sample(value) for value in profile[2]],
                            one(profile[6]), one(profile[3]), one(profile[4]),
                            one(profile[7]).hex()))
    if dictionary.used_stacks != set(range(len(dictionary.stacks))):
        raise ValueError('there are stacks that no sample has')
    return Request(groups, groups[0].id[:24] if groups else None)


def _pprof_group(labels, data, ident):
    profile = pprof.Profile(io.BytesIO(data))
    samples = [Sample(tuple(Frame(*frame, None, None) for frame in sample.stack), sample.count,
                      sample.labels) for sample in profile.samples]
    return Group(labels, samples, profile.period_ns, None, None, ident)


def pyroscope(body):
    """A PushRequest."""
    groups = []
    for data in fields(body)[1]:
        series = fields(data)
        labels = dict((one(pair[1]).decode(), one(pair[2]).decode())
                      for pair in map(fields, series[1]))
        sample = fields(one(series[2]))
        groups.append(_pprof_group(labels, one(sample[1]), one(sample[2]).decode()))
    return Request(groups, groups[0].id[:19] if groups else None)


def parca(body):
    """A WriteRawRequest in JSON."""
    groups = []
    for series in json.loads(body)['series']:
        labels = {pair['name']: pair['value'] for pair in series['labels']['labels']}
        data = base64.b64decode(series['samples'][0]['rawProfile'], validate=True)
        groups.append(_pprof_group(labels, data, None))
    return Request(groups, None)


def plain_pprof(body):
    return Request([_pprof_group({}, body, None)], None)


READERS = {'otlp': otlp, 'pyroscope': pyroscope, 'parca': parca, 'pprof': plain_pprof}


def count(request):
    return sum(sample.count for group in request.groups for sample in group.samples)
