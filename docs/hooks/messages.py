"""The page on troubleshooting: every error and warning in the sources, with what to do.

The messages are read off the sources, so that none is missing. Advice is written by hand, in
``messages.yml``: an entry is about the messages of some modules whose text fits a pattern, and the
first that fits is a message's own. A message without an entry, or an entry without a message, is a
warning, which a strict build ends with. Run as a script it prints both.
"""

import ast
import logging
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Optional

import yaml

ROOT = Path(__file__).parents[2]
ADVICE = Path(__file__).with_name('messages.yml')
PAGE, MARK = 'troubleshooting.md', '<!-- messages -->'
LOGGED = ('warning', 'warn')
GAP = re.compile(r'\{\w+\}|[^A-Za-z]')  # what is no word of a message's own
log = logging.getLogger('mkdocs.hooks.messages')


@dataclass(frozen=True)
class Message:
    """What the package may say.

    Attributes:
        module: The file, within the repository.
        line: Where it is raised or logged.
        kind: 'error' or 'warning'.
        text: Its template: what is filled in stands in braces.
    """

    module: str
    line: int
    kind: str
    text: str


class Reader:
    """Reads the messages of one file.

    Args:
        path: The file.
        makers: Functions in it that make texts which are raised elsewhere.
    """

    def __init__(self, path: Path, makers: list[str]) -> None:
        self.module = str(path.relative_to(ROOT))
        self.tree = ast.parse(path.read_text())
        self.makers = makers
        self.constants = {
            target.id: node.value.value
            for node in self.tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name) and isinstance(node.value.value, str)
        }

    def messages(self) -> Iterator[Message]:
        """All of them; of one without a text of its own the text is empty."""
        for node in ast.walk(self.tree):
            for kind, said in self._said(node):
                for text in self.templates(said):
                    yield Message(self.module, node.lineno, kind, text)

    def _said(self, node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
        """Kind and expression of what a statement, or a function that makes texts, says."""
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
            yield 'error', node.exc.args[-1]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in LOGGED and node.args:
                yield 'warning', node.args[0]
            elif ast.unparse(node.func) == 'parser.error':
                yield 'error', node.args[0]
        elif isinstance(node, ast.FunctionDef) and node.name in self.makers:
            yield from (('error', each) for each in self._texts(node))

    def _texts(self, function: ast.FunctionDef) -> Iterator[ast.expr]:
        """The sentences in a function, its docstring and what is raised aside."""
        kinds = (ast.Raise, ast.JoinedStr)
        whole = [each for each in ast.walk(function) if isinstance(each, kinds)]
        aside = {id(each) for node in whole for each in ast.walk(node) if each is not node}
        for node in ast.walk(function):
            sentence = isinstance(node, (ast.JoinedStr, ast.Constant)) and id(node) not in aside
            if sentence and node is not getattr(function.body[0], 'value', None):
                if any(len(text.split()) > 3 for text in self.templates(node)):
                    yield node

    def templates(self, said: ast.expr) -> list[str]:
        """The templates that an expression may become."""
        if isinstance(said, ast.IfExp):
            return [*self.templates(said.body), *self.templates(said.orelse)]
        text = re.sub(r'\s+', ' ', self._template(said)).strip()
        return [text if GAP.sub('', text) else '']

    def _template(self, said: ast.AST) -> str:
        if isinstance(said, ast.Constant):
            return str(said.value)
        if isinstance(said, ast.JoinedStr):
            return ''.join(map(self._template, said.values))
        if isinstance(said, ast.FormattedValue):
            return self._filled(said.value)
        if isinstance(said, ast.BinOp) and isinstance(said.op, ast.Add):
            return self._template(said.left) + self._template(said.right)
        return self._filled(said)

    def _filled(self, value: ast.expr) -> str:
        """What stands for a value: a name in braces, or the value itself where it is a text."""
        if isinstance(value, ast.Name) and value.id in self.constants:
            return self.constants[value.id]
        if isinstance(value, ast.IfExp):
            sides = [self._template(each) for each in (value.body, value.orelse)]
            return ' or '.join(side for side in sides if GAP.sub('', side)) or '{value}'
        if isinstance(value, ast.Constant):
            return str(value.value)
        return f'{{{_name(value)}}}'


def _name(value: ast.AST) -> str:
    """What a reader may call the value of an expression."""
    if isinstance(value, ast.Name):
        return value.id.strip('_').lower()
    if isinstance(value, ast.Attribute):
        return _name(value.value) if value.attr == '__name__' else value.attr.strip('_')
    if isinstance(value, ast.Subscript):
        return value.slice.value if _text(value.slice) else _name(value.value)
    if isinstance(value, ast.Call):
        return _name_of_call(value)
    return 'value'


def _name_of_call(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute):
        if call.func.attr == 'join':
            return 'names'
        if call.func.attr in ('replace', 'get', 'item'):
            key = next(iter(call.args), None) if call.func.attr == 'get' else None
            return key.value if _text(key) else _name(call.func.value)
        return call.func.attr.strip('_')
    inner = next(iter(call.args), None)
    return _name(call.func if inner is None or isinstance(inner, ast.GeneratorExp) else inner)


def _text(node: Optional[ast.AST]) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def advice() -> dict:
    """What is written by hand."""
    return yaml.safe_load(ADVICE.read_text())


def messages(written: Optional[dict] = None) -> list[Message]:
    """All messages of the package and its tools."""
    makers = (written or advice()).get('makers', {})
    files = sorted([*ROOT.glob('classroomkd_mm/**/*.py'), *ROOT.glob('tools/*.py')])
    files = [file for file in files if '.mim' not in file.parts]
    return [
        message
        for file in files
        for message in Reader(file, makers.get(str(file.relative_to(ROOT)), [])).messages()
    ]


def entry_of(message: Message, entries: list[dict]) -> Optional[dict]:
    """The first that is about a message."""
    for entry in entries:
        where = entry['in'] if isinstance(entry['in'], list) else [entry['in']]
        if any(fnmatch(message.module, each) for each in where):
            if re.search(entry['says'], message.text):
                return entry
    return None


def faults(found: list[Message], written: dict) -> list[str]:
    """Messages without an entry, entries without a message."""
    entries = [entry for topic in written['topics'] for entry in topic['entries']]
    owners = [(message, entry_of(message, entries)) for message in found]
    used = {id(entry) for _, entry in owners}
    return [
        *(f'{m.module}:{m.line} has no entry: {m.text!r}' for m, entry in owners if entry is None),
        *(f'no message is of the entry {e["in"]}, {e["says"]}' for e in entries
          if id(e) not in used),
    ]


def page(found: list[Message], written: dict) -> str:
    """The page's lists: a section for each topic, in it each entry with its messages."""
    entries = [entry for topic in written['topics'] for entry in topic['entries']]
    of = {id(entry): [] for entry in entries}
    for message in found:
        entry = entry_of(message, entries)
        if entry is not None and message.text:
            of[id(entry)].append(message)
    lines = []
    for topic in written['topics']:
        if all(entry.get('hidden') for entry in topic['entries']):
            continue
        lines += [f'## {topic["title"]}', '', *([topic['about'], ''] if 'about' in topic else [])]
        for entry in topic['entries']:
            lines += _entry(entry, of[id(entry)])
    return '\n'.join(lines)


def _entry(entry: dict, found: list[Message]) -> list[str]:
    if entry.get('hidden'):
        return []
    said = dict.fromkeys((message.kind, message.text) for message in found)
    lines = [f'### {entry["title"]}', '']
    for kind, text in said:
        lines += [f'- {"*warning:* " if kind == "warning" else ""}{_code(text)}']
    lines += ['', f'**What it means.** {entry["means"].strip()}', '']
    return [*lines, f'**What to do.** {entry["do"].strip()}', ''] if 'do' in entry else lines


def _code(text: str) -> str:
    fence = '``' if '`' in text else '`'
    return f'{fence}{" " if "`" in text else ""}{text}{" " if "`" in text else ""}{fence}'


def on_page_markdown(markdown, page: object, **_):  # noqa: D103
    if page.file.src_uri != PAGE:
        return markdown
    written = advice()
    found = messages(written)
    for fault in faults(found, written):
        log.warning('%s', fault)
    return markdown.replace(MARK, _page(found, written))


_page = page


if __name__ == '__main__':
    wrong = faults(messages(), advice())
    print('\n'.join(wrong) or f'{len(messages())} messages, each with an entry')
    sys.exit(bool(wrong))
