# SPDX-License-Identifier: Apache-2.0
"""A reader of pprof files that owes nothing to the code that writes them."""
import collections
import gzip

Frame = collections.namedtuple('Frame', 'name file line')
Sample = collections.namedtuple('Sample', 'stack count labels')  # stack: root first


def _varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7f) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _fields(data):
    """(field number, int or bytes) of one message."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key & 7 == 0:
            value, at = _varint(data, at)
        elif key & 7 == 2:
            size, at = _varint(data, at)
            value, at = data[at:at + size], at + size
            if len(value) != size:
                raise ValueError('a field ends beyond its message')
        else:
            raise ValueError(f'wire type {key & 7} has no place in profile.proto')
        yield key >> 3, value


def _grouped(data):
    fields = collections.defaultdict(list)
    for number, value in _fields(data):
        fields[number].append(value)
    return fields


def _ints(values):
    """Repeated integers, packed or not."""
    for value in values:
        if isinstance(value, int):
            yield value
            continue
        at = 0
        while at < len(value):
            number, at = _varint(value, at)
            yield number


def _signed(value):
    return value - (1 << 64) if value >> 63 else value


class Profile:
    """samples: of Sample; comments: of str; period_ns."""

    def __init__(self, path):
        with gzip.open(path) as stream:
            top = _grouped(stream.read())
        self.strings = [value.decode('utf-8') for value in top[6]]
        functions, locations = {}, {}
        self._stacks, self._labels = {}, {}  # by their bytes: most come again and again
        for data in top[5]:
            one = _grouped(data)
            functions[one[1][0]] = (self._string(one[2]), self._string(one[4]))
        for data in top[4]:
            one = _grouped(data)
            lines = [_grouped(line) for line in one[4]]
            locations[one[1][0]] = tuple(  # inlined lines are leaf first
                Frame(*functions[line[1][0]], _signed((line[2] or [0])[0])) for line in lines)
        self.samples = [self._sample(_grouped(data), locations) for data in top[2]]
        self.comments = [self.strings[index] for index in _ints(top[13])]
        self.period_ns = (top[12] or [0])[0]

    def _string(self, values):
        return self.strings[values[0]] if values else ''

    def _sample(self, one, locations):
        key = tuple(one[1])
        if key not in self._stacks:
            leaf_first = [frame for ident in _ints(key) for frame in locations[ident]]
            self._stacks[key] = tuple(reversed(leaf_first))
        return Sample(self._stacks[key], next(_ints(one[2])), dict(map(self._label, one[3])))

    def _label(self, data):
        if data not in self._labels:
            label = _grouped(data)
            self._labels[data] = self._string(label[1]), (self._string(label[2]) if label[2]
                                                          else (label[3] or [0])[0])
        return self._labels[data]
