# SPDX-License-Identifier: Apache-2.0
"""Which stacks can a target program have? Read from its source, and from nothing else.

A target states its calls in comments: on a line that calls Python functions,

    total += inner(x)  # -> inner

names all functions that a frame standing on that line may have called. A stack is legal if its
root is the module, each frame stands on a line that states the call to the next one, and its leaf
stands on a line with code of its function. A call in progress may be caught at any moment, so each
beginning of a legal stack is legal too, but nothing may be missing or extra in between.

Further words of the comments:
    # -> f +g           g is a generator or coroutine that is created here but does not run: it can
                        only be the leaf, on its first line
    # before 3.8 -> f   only there; a call that spans lines is on its last one, not on its first
    # 2.7 -> f          only there
    # -> f:g            f calls g there, other functions with code on that line don't
    # -> f @3           the depth of a recursion modulo 5; the frame above stands on @2 or no @
    # -> @thread f      on any line: the root of a thread that runs f
    # depth: f 91       f calls itself to this depth, and anything else only there
"""
import ast
import os
import re

CALLS = re.compile(r'#\s*(before 3\.8|2\.7|)\s*->([^#]+)')
DEPTH = re.compile(r'# depth: (\S+) (\d+)')
THREAD_FUNCTIONS = ('Thread._bootstrap', 'Thread._bootstrap_inner', 'Thread.run')
THREAD_FUNCTIONS_2 = ('Thread.__bootstrap', 'Thread.__bootstrap_inner', 'Thread.run')


def name_of_comprehension(node):
    return {ast.GeneratorExp: '<genexpr>', ast.ListComp: '<listcomp>'}.get(type(node))


class Function:
    def __init__(self, qualname, first, last, lines):
        self.qualname = qualname  # 'Class.method', 'f.<locals>.g', '<module>'
        self.stated = qualname.rsplit('.', 1)[-1] if qualname[-1] == '>' else qualname
        self.first = first
        self.last = last
        self.lines = lines  # those that may execute


class Oracle:
    """The legal stacks of one target; `version` decides between plain and qualified names."""

    def __init__(self, path, version, lines=None):
        """`lines`: of each code object by (name, first line), where the interpreter tells them."""
        self.file = os.path.basename(path)
        self.version = version
        self.qualified = version >= (3, 11)
        with open(path, encoding='utf-8') as stream:
            source = stream.read()
        self.text = source.split('\n')
        self.functions = []
        self._found = {}
        self._frames, self._pairs = {}, {}  # what is wrong with those that were judged already
        self._lines = lines
        tree = ast.parse(source)
        self._collect(tree, '<module>', '', 1, len(self.text))
        self.calls = {}  # line: names of functions
        self.creates = {}  # line: names of generators
        self.tags = {}  # line: depth modulo 5
        self.depths = {}  # function: frames at the bottom of its recursion
        self.thread_roots = set()
        for number, line in enumerate(self.text, 1):
            for when, words in CALLS.findall(line):
                if version < {'': (9,), 'before 3.8': (3, 8), '2.7': (3,)}[when]:
                    self._states(number, words.split())
            match = DEPTH.search(line)
            if match:
                self.depths[match.group(1)] = int(match.group(2))

    def _states(self, line, words):
        if words[0] == '@thread':
            self.thread_roots |= set(words[1:])
            return
        for word in words:
            if word[0] == '@':
                self.tags[line] = int(word[1:])
            elif word[0] == '+':
                self.creates.setdefault(line, set()).add(word[1:])
            else:
                self.calls.setdefault(line, set()).add(word)

    def _collect(self, node, qualname, prefix, first, last):
        own = list(ast.iter_child_nodes(node))
        if name_of_comprehension(node):  # its outermost iterable is evaluated by its function
            own[own.index(node.generators[0])] = node.generators[0].target
            own += node.generators[0].ifs + node.generators[1:]
        lines = {first}
        while own:
            child = own.pop()
            if hasattr(child, 'lineno'):
                lines.add(child.lineno)
            name = self._code_name(child)
            if name:
                start = min([child.lineno] + [one.lineno for one in
                                              getattr(child, 'decorator_list', [])])
                full = prefix + name
                inner = full + ('.' if isinstance(child, ast.ClassDef) else '.<locals>.')
                self._collect(child, full, inner, start, child.end_lineno)
                own += [child.generators[0].iter] if name_of_comprehension(child) else []
            else:
                own += ast.iter_child_nodes(child)
        if self._lines:
            first, lines = self._lines_told(qualname.rsplit('.', 1)[-1], first, last)
        self.functions.append(Function(qualname, first, last, lines))

    def _lines_told(self, name, first, last):
        """What the interpreter says. Before 3.8 a comprehension begins behind its bracket."""
        found = min(line for other, line in self._lines if other == name and first <= line <= last)
        return found, self._lines[name, found] | {found}

    def _code_name(self, node):
        """Of what has a code object of its own."""
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            return node.name
        if isinstance(node, ast.Lambda):
            return '<lambda>'
        if isinstance(node, ast.ListComp) and not (3,) <= self.version < (3, 12):
            return None  # 2.7, PEP 709: part of its function
        return name_of_comprehension(node)

    def shown(self, qualname):
        return qualname if self.qualified else qualname.rsplit('.', 1)[-1]

    def _functions_at(self, frame):
        key = frame.name, frame.line
        if key not in self._found:
            self._found[key] = [one for one in self.functions
                                if self.shown(one.qualname) == frame.name and
                                frame.line in one.lines]
        return self._found[key]

    def ours(self, frame):
        return os.path.basename(frame.file) == self.file

    def why_not(self, stack):
        """None for a legal stack, else what is wrong with it. Root first."""
        parts = split_at_marks(stack)
        if len(parts) > 1:  # what stands between the marks must be right
            return next(filter(None, [self._why_not_part(part) for part in parts]), None)
        stack = list(stack)
        if not stack:
            return 'no frames'
        if not self.ours(stack[0]):
            wrong, stack = self._strip_thread(stack)
            if wrong or not stack:
                return wrong
        elif stack[0].name != '<module>':
            return f'{stack[0].name} is no root'
        return self._why_not_part(stack) or self._wrong_depth(stack)

    def _why_not_part(self, stack):
        for frame in stack:
            if frame not in self._frames:
                self._frames[frame] = self._wrong_frame(frame)
            if self._frames[frame]:
                return self._frames[frame]
        for at in range(len(stack) - 1):
            call = stack[at], stack[at + 1], at + 2 == len(stack)
            if call not in self._pairs:
                self._pairs[call] = self._wrong_call(*call)
            if self._pairs[call]:
                return self._pairs[call]
        return None

    def _wrong_frame(self, frame):
        if not self.ours(frame):
            return f'{frame.file} is not of this target'
        if not self._functions_at(frame):
            return f'{frame.name} has no code on line {frame.line}'
        return None

    def _wrong_call(self, caller, callee, is_leaf):
        if not self._may_call(caller, callee, is_leaf):
            return f'{caller.name} line {caller.line} does not call {callee.name}'
        tags = self.tags.get(caller.line), self.tags.get(callee.line)
        if None not in tags and (tags[0] - 1) % 5 != tags[1]:
            return f'depth {tags[0]} is followed by depth {tags[1]} (modulo 5)'
        return None

    def _may_call(self, caller, callee, is_leaf):
        calls = self.calls.get(caller.line, ())
        name = caller.name.rsplit('.', 1)[-1]
        creates = self.creates.get(caller.line, ())
        return any(one.stated in calls or f'{name}:{one.stated}' in calls or
                   (is_leaf and one.stated in creates and one.first == callee.line)
                   for one in self._functions_at(callee))

    def _wrong_depth(self, stack):
        names = [frame.name for frame in stack]
        for name, depth in self.depths.items():
            count = names.count(name)
            if count > depth or (count and names[-1] != name and count != depth):
                return f'{count} frames of {name} instead of {depth}'
        return None

    def _strip_thread(self, stack):
        """A thread of the threading module: its own frames, then one of the stated roots."""
        functions = THREAD_FUNCTIONS if self.version >= (3,) else THREAD_FUNCTIONS_2
        for expected in functions:
            if not stack:
                return None, []
            frame = stack[0]
            if self.ours(frame):
                return f'a thread starts with {frame.name} instead of {expected}', stack
            if os.path.basename(frame.file) != 'threading.py' or \
               self.shown(expected) != frame.name:
                if expected == functions[0]:
                    return f'{frame.name} in {frame.file} is no root', stack
                return None, []  # a leaf inside of threading.py: start and end of the thread
            stack = stack[1:]
        if stack and self.ours(stack[0]) and \
           stack[0].name not in {self.shown(name) for name in self.thread_roots}:
            return f'{stack[0].name} is no root of a thread', stack
        return (None, stack) if not stack or self.ours(stack[0]) else (None, [])


def is_mark(frame):
    """[unreadable] and the like: said in place of frames that are not known."""
    return not frame.file and frame.name.startswith('[')


def split_at_marks(stack):
    parts = [[]]
    for frame in stack:
        if is_mark(frame):
            parts.append([])
        else:
            parts[-1].append(frame)
    return parts


def illegal(stacks, why_not):
    """[(count, reason, stack)] of those (stack, count) that cannot be, most frequent first."""
    found = [(count, why_not(stack), stack) for stack, count in stacks]
    return sorted([one for one in found if one[1]], key=lambda one: -one[0])


def describe(found, limit=5):
    lines = []
    for count, reason, stack in found[:limit]:
        shown = [f'{frame.name}:{frame.line}' for frame in stack]
        if len(shown) > 24:
            shown = shown[:12] + [f'... {len(shown) - 24} more ...'] + shown[-12:]
        lines.append(f'{count} x {reason}\n    ' + ' > '.join(shown))
    return '\n'.join(lines)
