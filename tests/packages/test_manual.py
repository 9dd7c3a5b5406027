# SPDX-License-Identifier: Apache-2.0
"""The manual pages and completions against the program's own help, through the shells and man."""
import os
import re
import shutil
import subprocess

import pytest


def said(tree, *arguments):
    return subprocess.run([tree + '/usr/bin/pitviper', *arguments], stdout=subprocess.PIPE, text=True,
                          check=True).stdout


def commands(tree):
    listed = re.search(r'^Commands:\n((?:  .*\n)+)', said(tree, 'help'), re.M).group(1)
    return re.findall(r'^  (\S+)', listed, re.M)


def options(tree, command):
    """The options of a command, those of its notes and examples left out."""
    text = said(tree, 'help', command)
    rows = re.findall(r'^ {2}(-\w)(?:, (--[\w-]+))?|^ {6}(--[\w-]+)', text, re.M)
    return {name for row in rows for name in row if name}


@pytest.fixture(scope='module')
def with_options(tree):
    found = {command: options(tree, command) for command in commands(tree)
             if said(tree, 'help', command).startswith(f'usage: pitviper {command}')}
    assert {'--output', '-p'} <= found['record']
    return found


def test_pages(tree, with_options):
    """man shows each without a complaint, with every option."""
    folder = tree + '/usr/share/man/man1/'
    assert set(os.listdir(folder)) == {'pitviper.1', *(f'pitviper-{name}.1' for name in with_options)}
    for name in sorted(os.listdir(folder)):
        done = subprocess.run(['man', '--warnings', '-E', 'UTF-8', '-l', folder + name],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=True,
                              env={**os.environ, 'LC_ALL': 'C.UTF-8', 'MANWIDTH': '120'})
        assert not done.stderr, done.stderr
        wanted = with_options.get(name[len('pitviper-'):-len('.1')], set(commands(tree)))
        missing = {word for word in wanted if not re.search(rf'(?<![\w-]){word}(?![\w-])', done.stdout)}
        assert not missing, f'{name} lacks {missing}'


def bash_complete(tree, line):
    """What bash offers for the last word of a line."""
    words = line.split(' ')
    script = (f'. {tree}/usr/share/bash-completion/completions/pitviper\n'
              f'COMP_WORDS=({" ".join(words)!s} {chr(39) * 2 if not words[-1] else ""}) '
              f'COMP_CWORD={len(words) - 1}\n'
              '_pitviper\nprintf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(['bash', '-c', script], stdout=subprocess.PIPE, text=True, check=True)
    return set(done.stdout.split())


def fish_complete(tree, line):
    script = (f'source {tree}/usr/share/fish/vendor_completions.d/pitviper.fish; '
              f'complete -C "{line}"')
    done = subprocess.run(['fish', '--no-config', '-c', script], stdout=subprocess.PIPE, text=True,
                          check=True)
    return {row.split('\t')[0] for row in done.stdout.splitlines()}


def zsh_complete(tree, line):
    """zsh completes in a terminal only; in it, what is offered is told instead of shown."""
    script = '''
zmodload zsh/zpty
zpty shell 'PS1= zsh -f -i'
zpty -w shell "fpath=($1/usr/share/zsh/vendor-completions \\$fpath)"
zpty -w shell 'autoload -U compinit; compinit -u -D; zstyle ":completion:*" list-colors no'
zpty -w shell 'LISTMAX=1000; COLUMNS=400; LINES=400; unsetopt zle_bracketed_paste beep'
zpty -w shell 'told() { compadd() {
  local -a names words
  builtin compadd -O words "$@"; print -l -- OFFER:${^words}; builtin compadd "$@"; }
  _main_complete; print; print TOLD; }; zle -C told complete-word told; bindkey "^T" told'
zpty -w shell 'print READ''Y'
zpty -r shell out '*READY*'
zpty -n -w shell "$2"$'\\C-T'
zpty -r shell out '*TOLD*'
print -r -- $out
'''
    done = subprocess.run(['zsh', '-f', '-c', script, 'zsh', tree, line], stdout=subprocess.PIPE,
                          text=True, timeout=60, env={**os.environ, 'TERM': 'dumb'})
    return {word.split(':')[0] for word in re.findall(r'OFFER:(\S+)', done.stdout)}


SHELLS = {'bash': bash_complete, 'fish': fish_complete, 'zsh': zsh_complete}


@pytest.mark.parametrize('shell', SHELLS)
def test_completions(tree, with_options, shell):
    """The shell offers the commands, each command's options and no others, and the formats."""
    assert shutil.which(shell)
    complete = SHELLS[shell]
    assert complete(tree, 'pitviper ') == set(commands(tree))
    assert complete(tree, 'pitviper rec') == {'record'}
    for command, wanted in with_options.items():
        wanted = {name for name in wanted if name.startswith('--')}
        assert complete(tree, f'pitviper {command} --') == wanted, command
    assert {'flamegraph', 'pprof', 'folded', 'speedscope'} <= complete(tree, 'pitviper record -f ')
