"""How the code is laid out: small functions, types that say something."""

import ast
from pathlib import Path

import pytest

from classroomkd_mm import functional

ROOT = Path(__file__).parents[1]
FILES = sorted([*ROOT.glob('classroomkd_mm/**/*.py'), *ROOT.glob('tools/*.py')])
FUNCTIONS = [
    (file, node)
    for file in FILES
    for node in ast.walk(ast.parse(file.read_text()))
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
]


def body_lines(node):
    """Lines of a function, its docstring aside."""
    doc = node.body[0] if ast.get_docstring(node) else None
    return node.end_lineno - node.lineno + 1 - (doc.end_lineno - doc.lineno + 1 if doc else 0)


def test_no_function_is_longer_than_a_screen():
    long = {f'{f.name}: {n.name}': body_lines(n) for f, n in FUNCTIONS if body_lines(n) > 30}
    assert len(FUNCTIONS) > 300 and not long


def annotations(node):
    a = node.args
    arguments = [*a.posonlyargs, *a.args, *a.kwonlyargs, a.vararg, a.kwarg]
    return [x for x in (*(arg and arg.annotation for arg in arguments), node.returns) if x]


def test_hardly_anything_is_of_any_type():
    found = [x for f, n in FUNCTIONS if 'classroomkd_mm' in f.parts for x in annotations(n)]
    bare = [x for x in found if isinstance(x, ast.Name) and x.id == 'Any']
    assert len(found) > 800 and len(bare) <= len(found) / 100


@pytest.mark.parametrize('file', sorted(ROOT.glob('tools/*.py')), ids=lambda file: file.name)
def test_a_tool_explains_itself(file):
    assert ast.get_docstring(ast.parse(file.read_text()))


@pytest.mark.parametrize('name', [n for n in functional.__all__ if n != 'Scale'])
def test_a_public_function_shows_an_example(name):
    assert '>>> ' in getattr(functional, name).__doc__  # pytest --doctest-modules runs it
