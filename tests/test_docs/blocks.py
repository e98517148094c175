"""The code blocks of the documents, and what it means to run one of each kind."""

import contextlib
import io
import re
import shlex
from fnmatch import fnmatch
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from textwrap import dedent, indent

from mmengine.config import Config
from mmengine.registry import DATASETS, HOOKS, MODELS, DefaultScope
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser

from classroomkd_mm.__main__ import COMMANDS
from classroomkd_mm.mentors import MentorSettings
from classroomkd_mm.mentors.memory import Memory
from classroomkd_mm.parts import DistillLoss, Filter, Mentoring, Scorer, build_part
from classroomkd_mm.registry import TASKS
from classroomkd_mm.runs import is_classroom
from classroomkd_mm.shipped import config_file

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / 'README.md', *sorted(ROOT.glob('docs/**/*.md'))]
PARTS = {part.setting: part for part in (Scorer, Filter, Mentoring, DistillLoss)}
FENCE = re.compile(r'^```(\w*)$\n(.*?)^```$', re.MULTILINE | re.DOTALL)
NOT_RUN = re.compile(r'<!-- not run: (.*?) -->\s*\Z')
PATHS = ('configs/', 'tools/', 'tests/', 'docs/', 'classroomkd_mm/')
PLACEHOLDERS = ('configs/*NAME*', 'docs/*DOC*')


def blocks(language):
    """(page, line, text) of each code block in a language that is meant to be run."""
    parser = CodeBlockParser(language=language, evaluator=lambda example: None)
    found = []
    for page in PAGES:
        for example in Sybil(parsers=[parser]).parse(page).examples():
            before = example.document.text[: example.region.start]
            if not NOT_RUN.search(before):
                found.append((page, example.line, dedent(str(example.parsed))))
    return found


def named(block):
    return f'{block[0].relative_to(ROOT)}:{block[1]}'


# Python: a part of the file that test_extending trains, a config, or statements


def run_python(page, text, place):
    if page.name == 'extending.md':
        source = (ROOT / 'tests/test_extending/outsider.py').read_text()
        assert text in source or indent(text, ' ' * 4) in source
    elif text.startswith('_base_'):
        build(read(page, text, place))
    else:
        names = {}
        with DefaultScope.overwrite_default_scope(None):
            exec(compile(text, named((page, 0)), 'exec'), names)
        names.pop('__builtins__')
        for name, value in names.items():
            check(name, value)


def read(page, text, place):
    """A config as the file that the document says it is, in the repository's root."""
    if "'recipe.py'" in text:  # on top of the page's own config, else of the first page's
        own = [t for p, _, t in blocks('python') if p == page and t.startswith('_base_')]
        start = [t for p, _, t in blocks('python') if p.name == 'start.md' and 'mmpose::' in t]
        recipe = next(iter(t for t in [*own, *start] if "'recipe.py'" not in t))
        (place / 'recipe.py').write_text(recipe)
    if "'mentor.py'" in text:  # the user's own: any config of a network
        base = re.search(r"'(mmpose::.+?)'", recipe)[0]
        (place / 'mentor.py').write_text(f'_base_ = [{base}]')
    (place / 'block.py').write_text(text)
    return Config.fromfile(place / 'block.py')


def build(cfg):
    """Build the classroom as it stands, with random weights in place of the published ones."""
    model = dict(cfg.model)
    if not is_classroom(model):
        raise ValueError('the config is of no classroom')
    check('memory', model.pop('memory', None))
    for mentor, settings in zip(model['mentors'], settings_of(model['mentors'])):
        assert settings.name and (settings.checkpoint or 'checkpoint' in mentor)
    model['mentors'] = [dict(mentor, checkpoint=None) for mentor in model['mentors']]
    if 'data_preprocessor' in cfg:
        model.setdefault('data_preprocessor', cfg.data_preprocessor)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        built = MODELS.build(model)
        assert len(built.mentors) == len(model['mentors'])
        for hook in cfg.get('custom_hooks') or ():
            assert registered(HOOKS, hook['type'])
        assert registered(DATASETS, cfg.train_dataloader.dataset.type)


def registered(registry, name):
    with registry.switch_scope_and_registry(None) as own:
        return own.get(name)


def settings_of(mentors):
    own = {key: kind for task in ('PoseTask', 'ClassificationTask')
           for key, kind in TASKS.get(task).mentor_settings.items()}
    return [MentorSettings.of(mentor, i, own) for i, mentor in enumerate(mentors)]


def check(name, value):
    """Refuse a setting that the package would refuse, wherever it stands."""
    if name in PARTS and value is not None:
        build_part(value, PARTS[name])
    elif name == 'mentors':
        settings_of(value)
    elif name == 'memory' and value is not None:
        Memory.of(value)
    elif name == 'custom_hooks':
        for hook in value:
            HOOKS.build(hook)
    elif isinstance(value, dict) and 'keypoints' in value:
        settings_of([dict(config={}, checkpoint=None, **value)])
    elif isinstance(value, dict) and not (set(value) - {'type'} and 'type' in value):
        for key, inner in value.items():
            check(key, inner)


# Shell: each command is known, takes its arguments, and names files that are there


def commands(page, text):
    """The commands of a shell block, each as a list of words; the page's variables are put in."""
    known, found = dict(re.findall(r'^(\w+)="(.+)"$', page.read_text(), re.MULTILINE)), []
    aliases = dict(re.findall(r'`(\w+)` is `([^`]+)`', page.read_text()))
    for line in re.sub(r'\\\n\s*', ' ', re.sub(r'(^|\s)#.*', '', text)).splitlines():
        loop = re.match(r'for (\w+) in ([^;]+?);?\s*do\b', line)
        if loop:  # its first turn
            line = f'{loop[1]}={loop[2].split()[0]};{line[loop.end() :]}'
        for part in re.split(r';\s+|;$|\s&&\s', line):
            part = re.sub(r'\$\{?(\w+)\}?', lambda m: known.get(m[1], m[0]), part)
            words = shlex.split(part)
            while words and re.match(r'\w+=', words[0]):
                name, _, value = words.pop(0).partition('=')
                known[name] = value
            if words and words[0] not in ('done', 'do'):
                found.append([*shlex.split(aliases.get(words[0], words[0])), *words[1:]])
    return found


def check_command(words):
    """Refuse a command that would not start."""
    name, *args = words
    for path in filter(lambda each: each.startswith(PATHS), words):
        there = list(ROOT.glob(path)) or any(fnmatch(path, each) for each in PLACEHOLDERS)
        assert there, f'{path} does not exist'
    for config in filter(lambda each: '::' in each, args):
        config_file(config)
    if name == 'make':
        targets = re.findall(r'^([a-z-]+):', (ROOT / 'Makefile').read_text(), re.MULTILINE)
        assert set(args) <= set(targets)
    elif name in ('python', 'torchrun'):
        check_python(args)
    elif name == 'pytest':
        assert any(each.startswith('tests') for each in args)
    else:
        assert name in ('bash', '.', 'pip', 'mkdir', 'cd', 'mkdocs'), f'{name} is not known here'


def check_python(args):
    """Refuse arguments that the command line of a tool, or of the package, does not take."""
    args = ['8' if each == 'N' else each for each in args]  # a number that the reader chooses
    script = next((i for i, each in enumerate(args) if each.endswith('.py') or each == '-m'), None)
    assert script is not None, args
    if args[script] != '-m':
        return parses(*parser_of(args[script]), args[script + 1 :])
    module, *rest = args[script + 1 :]
    if module != 'classroomkd_mm':
        assert import_module(module).make_parser()
    elif rest and rest[0] not in ('--help', '--version'):
        parses(import_module(f'classroomkd_mm.{COMMANDS[rest[0]]}').make_parser, rest[1:])


def parser_of(script):
    """The function that reads a tool's arguments, and how it is called."""
    source = (ROOT / script).read_text()
    command = re.search(r"main\(\['(\w+)', \*sys.argv", source)
    if command:
        return (import_module(f'classroomkd_mm.{COMMANDS[command[1]]}').make_parser,)
    spec = spec_from_file_location(f'tool_{Path(script).stem}', ROOT / script)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return (module.parse_args if hasattr(module, 'parse_args') else lambda argv: None,)


def parses(make, args):
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            make(args) if make.__name__ in ('parse_args', '<lambda>') else make().parse_args(args)
        except SystemExit as error:
            assert not error.code, said.getvalue()
