"""Of the faults that mutmut made on purpose, how many the tests noticed, by groups of files."""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

ENOUGH = 0.9
MISSED = (0, 33)  # mutmut's exit codes of a fault that no test noticed, and that none runs into


def counted(folder: Path) -> dict[str, Counter[str]]:
    """Faults that were tried and those noticed, by the package's folders or single files.

    Args:
        folder: Where mutmut works, ``mutants``.
    """
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for file in sorted(folder.rglob('*.py.meta')):
        *parents, name = file.relative_to(folder).parts[1:]
        nested = parents and parents != ['mentors']
        group = '/'.join(parents) if nested else '/'.join([*parents, name[: -len('.meta')]])
        codes = json.loads(file.read_text())['exit_code_by_key'].values()
        tried = [code for code in codes if code is not None]
        found[group].update(tried=len(tried), noticed=sum(code not in MISSED for code in tried))
    return {group: count for group, count in found.items() if count['tried']}


def table(counts: Mapping[str, Counter[str]]) -> str:
    """As Markdown, with the sum of all in its last row."""
    lines = ['| what | faults | noticed | share |', '| --- | ---: | ---: | ---: |']
    for group, count in (*counts.items(), ('all', sum(counts.values(), Counter()))):
        tried, noticed = count['tried'], count['noticed']
        share = f'{noticed / tried:.1%}' if tried else '-'
        lines.append(f'| {group} | {tried} | {noticed} | {share} |')
    return '\n'.join(lines)


def main() -> int:
    """Print the table; 1 where the tests of any group notice too few, or nothing was tried."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path, nargs='?', default=Path('mutants'))
    counts = counted(parser.parse_args().folder)
    print(table(counts))
    few = [name for name, count in counts.items() if count['noticed'] < ENOUGH * count['tried']]
    if few:
        print(f'less than {ENOUGH:.0%}: {", ".join(few)}')
    return 1 if few or not counts else 0


if __name__ == '__main__':
    raise SystemExit(main())
