"""The site builds without a warning, its pages have what they promise, and links lead somewhere."""

import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / 'docs/hooks'))
sys.path.insert(0, str(Path(__file__).parent))

from blocks import PAGES, ROOT  # noqa: E402

from classroomkd_mm.mentors.settings import COMMON  # noqa: E402
from classroomkd_mm.registry import TASKS  # noqa: E402

REFERENCE = re.compile(r'(?:href|src)="(?!data:)((?:https?:)?//[^"]+|[^"#:]+)(?:#[^"]*)?"')


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    """The built site; a warning ends the build."""
    if find_spec('mkdocs') is None or find_spec('material') is None:
        pytest.skip('mkdocs-material is not installed; requirements.txt has it')
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    out = tmp_path_factory.mktemp('site')
    build(load_config(str(ROOT / 'mkdocs.yml'), site_dir=str(out)))
    return out


def test_every_page_is_built_and_every_link_of_it_leads_to_a_file(site):
    pages = sorted(site.rglob('*.html'))
    assert len(pages) >= len(PAGES) - 1 > 15
    for page in pages:
        for target in REFERENCE.findall(page.read_text()):
            if not target.startswith(('http', '//', '/')) and page.name != '404.html':
                assert (page.parent / target).exists(), f'{page.name}: {target}'


def test_nothing_that_a_page_loads_comes_from_the_net(site):
    for page in site.rglob('*.html'):
        for loaded in re.findall(r'<(?:script|img|link rel="stylesheet")[^>]*>', page.read_text()):
            assert '//' not in loaded.replace('http://www.w3.org', ''), f'{page.name}: {loaded}'
    assert (site / 'search/search_index.json').is_file()


def test_settings_have_their_defaults_and_ranges(site):
    text = (site / 'settings.html').read_text()
    for cell in ('≥ 0', '&gt; 0', '≥ 1', 'must be given', '<code>keypoint</code>', "'bbox'"):
        assert cell in text, cell
    assert ':class:' not in text and '<!-- settings' not in text
    tasks = TASKS.module_dict.values()
    own = {key for task in tasks for key in getattr(task, 'mentor_settings', ())}
    for name in {*COMMON, *own}:
        assert f'<code>{name}</code>' in text, name


def test_the_figure_of_the_layers_has_each_of_them():
    text = (ROOT / 'pyproject.toml').read_text()
    layers = re.search(r'^layers = \[(.*?)^\]', text, re.M | re.S)
    named = re.findall(r'classroomkd_mm\.(\w+)', layers[1])
    drawn = re.findall(r'>([\w ·]+)</text>', (ROOT / 'docs/figures/layout.svg').read_text())
    drawn = {word.strip() for each in drawn for word in each.split('·')}
    assert set(named) <= drawn, set(named) - drawn


@pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_in_the_repository_lead_to_files(page):
    for target in re.findall(r'\]\((?!https?:|#)([^)#\s]+)', page.read_text()):
        assert (page.parent / target).exists(), target


def test_figures_can_be_read_on_light_and_on_dark():
    figures = sorted((ROOT / 'docs/figures').glob('*.svg'))
    assert len(figures) >= 5
    for figure in figures:
        text = figure.read_text()
        assert 'prefers-color-scheme: dark' in text and '<title' in text and '<desc' in text
