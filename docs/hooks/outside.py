"""Links that lead out of docs/ (to sources, tests, configs) become their text on the site.

Where the repository's files are shown, they are links that work; on the site there is nothing that
they could lead to. One that leads nowhere at all is a warning, which a strict build ends with.
"""

import logging
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINK = re.compile(r'\[([^\]]+)\]\(((?:\.\./)+[^)#\s]+)(?:#[^)]*)?\)')
log = logging.getLogger('mkdocs.hooks.outside')


def on_page_markdown(markdown, page, **_):
    """Replace them."""
    folder = (ROOT / 'docs' / page.file.src_uri).parent

    def text(found):
        target = (folder / found[2]).resolve()
        if (ROOT / 'docs') in target.parents:
            return found[0]
        if not target.exists():
            log.warning('%s: %s does not exist', page.file.src_uri, found[2])
        return found[1]

    return LINK.sub(text, markdown)
