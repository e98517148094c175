"""Tables made of the code: settings with defaults and ranges, and the commands.

``<!-- settings CLASS -->`` on a page becomes a table. Its words are the docstring's, its kinds and
defaults the signature's. A range is what the class accepts: it is called with a negative number,
with 0 and with a word that is none, and what it refuses is no part of the range. So the page cannot
say another thing than the code does. ``<!-- commands -->`` becomes the list of commands.
"""

import inspect
import logging
import re
from importlib import import_module
from typing import Optional

import griffe

MARK = re.compile(r'<!-- settings (\S+) -->')
COMMANDS = '<!-- commands -->'
GIVEN = {'alpha': 1.0, 'tau': 1.0, 'dir': 'memory', 'dataset': [0]}  # what has no default
WORDS = re.compile(r'one of [(\[]?(.+?)[)\]]?$')
ROLE = re.compile(r':\w+:`~?(?:[\w.]+\.)?(\w+)`')
KINDS = (
    (r'(?:typing|collections\.abc)\.', ''),
    (r'Optional\[(.+)\]$', r'\1 | None'),
    (r'(?:Mapping|dict|Dict)\[[^\[\]]+\](?: \| MapStyle)?', 'dict'),
    (r'Sequence\[dict\]', 'list of dicts'),
    (r'Sequence\[float\]', 'list of numbers'),
    (r'\bfloat\b', 'number'),
    (r'\bint\b', 'whole number'),
    (r'\bbool\b', 'True or False'),
    (r'\bstr\b', 'text'),
    (r' \| ', ' or '),
)
log = logging.getLogger('mkdocs.hooks.tables')


def parameters(kind: type) -> dict[str, inspect.Parameter]:
    """Those of ``__init__``, and of the bases' where it hands ``**settings`` on to them."""
    found: dict[str, inspect.Parameter] = {}
    for base in kind.__mro__:
        if '__init__' in base.__dict__ and base.__module__.startswith('classroomkd_mm'):
            own = list(inspect.signature(base.__init__).parameters.values())[1:]
            rest = [each for each in own if each.kind is each.VAR_KEYWORD]
            found.update({p.name: p for p in own if p not in rest and p.name not in found})
            if not rest:
                break
    return found


def meanings(kind: type) -> dict[str, str]:
    """What docstrings say of settings: a class's own, and its bases' where it refers to them."""
    found: dict[str, str] = {}
    for base in kind.__mro__:
        sections = griffe.Docstring(inspect.getdoc(base) or '').parse(
            'google', warnings=False
        )
        kinds = (griffe.DocstringSectionKind.parameters, griffe.DocstringSectionKind.attributes)
        for section in sections if base.__module__.startswith('classroomkd_mm') else ():
            for each in section.value if section.kind in kinds else ():
                found.setdefault(each.name, each.description)
                if found[each.name].startswith('See '):
                    found[each.name] = each.description
    return found


def told(hint: object) -> str:
    """An annotation in words."""
    text = hint if isinstance(hint, str) else inspect.formatannotation(hint)
    for pattern, words in KINDS:
        text = re.sub(pattern, words, text)
    return text


def range_of(kind: type, name: str, hint: str, needed: dict) -> str:
    """What a class accepts for a setting."""
    if 'number' in hint:
        return _numbers(kind, name, needed)
    error = refused(kind, needed, name, '?') if hint.startswith('text') else None
    choices = error and WORDS.search(error)
    return ', '.join(f'`{word}`' for word in re.findall(r'[\w/]+', choices[1])) if choices else ''


def _numbers(kind: type, name: str, needed: dict) -> str:
    if refused(kind, needed, name, 0) is None:
        return 'any' if refused(kind, needed, name, -1) is None else '≥ 0'
    return '≥ 1' if refused(kind, needed, name, 0.5) else '> 0'


def refused(kind: type, needed: dict, name: str, value: object) -> Optional[str]:
    """The error for a value; None where it is taken."""
    given = {**needed, name: value}
    try:
        if kind.__name__ == 'Memory':
            kind.of(given)
        elif kind.__name__ == 'Cheap':
            kind.of(given, 'mentor')
        else:
            kind(**given)
    except (TypeError, ValueError) as error:
        return str(error)
    return None


def table(path: str) -> str:
    """The settings of a class, by its whole name."""
    module, _, name = path.rpartition('.')
    kind = getattr(import_module(module), name)
    found, words = parameters(kind), meanings(kind)
    if not found:
        return '*It has no settings.*'
    needed = {p.name: GIVEN.get(p.name) for p in found.values() if p.default is p.empty}
    lines = ['| setting | | default | range | |', '| --- | --- | --- | --- | --- |']
    for each in found.values():
        if each.name not in words:
            log.warning('%s says nothing of its setting %s', path, each.name)
        hint = told(each.annotation)
        default = 'must be given' if each.default is each.empty else f'`{each.default!r}`'
        word = ROLE.sub(r'`\1`', ' '.join(words.get(each.name, '').split()))
        cells = (f'`{each.name}`', hint, default, range_of(kind, each.name, hint, needed), word)
        lines.append(f'| {" | ".join(cell.replace("|", chr(92) + "|") for cell in cells)} |')
    return '\n'.join(lines)


def commands() -> str:
    """Each with what its module says of it."""
    from classroomkd_mm.__main__ import COMMANDS as known

    lines = ['| command | |', '| --- | --- |']
    for name, module in known.items():
        doc = import_module(f'classroomkd_mm.{module}').__doc__ or ''
        lines.append(f'| `{name}` | {doc.strip().splitlines()[0].replace("|", "/")} |')
    return '\n'.join(lines)


def on_page_markdown(markdown: str, **_: object) -> str:
    """Write the tables."""
    if COMMANDS in markdown:
        markdown = markdown.replace(COMMANDS, commands())
    return MARK.sub(lambda found: table(found[1]), markdown)


def on_page_content(html: str, **_: object) -> str:
    """Take Sphinx's roles, which docstrings have, out of what mkdocstrings made of them."""
    html = re.sub(r':(?:class|meth|func|mod|attr):(?=<code>)', '', html)
    return re.sub(r'<code>~(?:[\w.]+\.)?(\w+)</code>', r'<code>\1</code>', html)
