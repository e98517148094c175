"""Tables of strings as text: aligned for a terminal, or Markdown for a document.

Rows are lists of cells, the first row is the head.
"""

from collections.abc import Sequence

Rows = Sequence[Sequence[str]]


def text(rows: Rows) -> str:
    """The rows in columns that are as wide as their widest cell.

    >>> print(text([['mentor', 'fits'], ['hrnet-w48', 'yes']]))
    mentor     fits
    hrnet-w48  yes

    Raises:
        ValueError: Where a row has more or fewer cells than the first.
    """
    _check(rows)
    widths = [max(map(len, column)) for column in zip(*rows)]
    return '\n'.join(
        '  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows
    )


def markdown(rows: Rows, numeric: bool = False) -> str:
    """The rows as a Markdown table, without a newline at its end.

    >>> print(markdown([['run', 'mean'], ['aver', '0.09']], numeric=True))
    | run | mean |
    | --- | ---: |
    | aver | 0.09 |

    Args:
        rows: The head, then the body; a ``|`` in a cell is escaped.
        numeric: Align all columns but the first, the names, to the right.

    Raises:
        ValueError: Where a row has more or fewer cells than the first.
    """
    _check(rows)
    head, *body = ([cell.replace('|', r'\|') for cell in row] for row in rows)
    rule = ['---', *['---:' if numeric else '---'] * (len(head) - 1)]
    return '\n'.join(f'| {" | ".join(row)} |' for row in (head, rule, *body))


def _check(rows: Rows) -> None:
    uneven = [list(row) for row in rows if len(row) != len(rows[0])]
    if uneven:
        raise ValueError(f'a row must have {len(rows[0])} cells like the head; got {uneven[0]}')
