# SPDX-License-Identifier: Apache-2.0
"""Does the running kernel have the fields that vmlinux/ names? Asked of its own BTF."""
import json
import os
import shutil
import subprocess

KERNEL_BTF = '/sys/kernel/btf/vmlinux'


class Kernel:
    def __init__(self):
        tool = shutil.which('bpftool') or '/usr/sbin/bpftool'
        dump = subprocess.run([tool, 'btf', 'dump', '-j', 'file', KERNEL_BTF],
                              stdout=subprocess.PIPE, check=True).stdout
        types = json.loads(dump)['types']
        self.by_id = {entry['id']: entry for entry in types}
        self.by_name = {}
        for entry in types:
            if entry['kind'] in ('STRUCT', 'UNION', 'TYPEDEF'):
                self.by_name.setdefault(entry['name'], self.resolve(entry))

    @staticmethod
    def reason_absent():
        if not os.path.exists(KERNEL_BTF):
            return 'this kernel has no BTF'
        return ''

    def resolve(self, entry):
        while entry and entry['kind'] in ('TYPEDEF', 'CONST', 'VOLATILE', 'RESTRICT', 'TYPE_TAG'):
            entry = self.by_id.get(entry['type_id'])
        return entry

    def field(self, struct, name):
        """The type of a field, also one inside anonymous members; None: no such field."""
        for member in struct.get('members', ()):
            kind = self.resolve(self.by_id.get(member['type_id']))
            if member['name'] == name:
                return kind or {}
            if member['name'] in ('', '(anon)') and kind and kind['kind'] in ('STRUCT', 'UNION'):
                found = self.field(kind, name)
                if found is not None:
                    return found
        return None

    def missing(self, struct, fields):
        """[(offset, dotted name)] of what `fields` (see csource.members) names and it has not."""
        out = []
        for name, nested, offset in fields:
            inner = self.field(struct, name) if name else struct
            if inner is None:
                out.append((offset, name))
            elif nested is not None:
                out += [(where, f'{name}.{what}'.strip('.'))
                        for where, what in self.missing(inner, nested)]
        return out
