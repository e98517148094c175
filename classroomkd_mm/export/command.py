"""Bring a student out of its run: stock config and weights, ONNX, OpenVINO, each compared.

Into OUT are written

student.py, student.pth      the student for the stock library, loaded there in a process that
                             refuses this package
end2end.onnx                 with --onnx; normalised pictures in, the batch is dynamic
end2end.xml, end2end.bin     with --openvino, by its own converter
export.json                  normalisation, codec, names, mmdeploy's config, differences
cost.md                      size and latency of the student and its mentors
metafile.yml, model-index.yml   the student's entry in OpenMMLab's form
predictions.png              drawn by the ONNX file and export.json alone

Those that an earlier export has written there are removed first.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from ..analysis.tables import markdown, text
from ..arguments import positive
from ..compat import PROVIDED
from . import cost, graph, picture, stock
from .facts import Facts, arrival, dataset_of, facts_of
from .metafile import index, metafile
from .source import Source, read_source

EXAMPLES = """examples:
  python -m classroomkd_mm export work_dirs/demo/classroom --onnx --openvino
  python -m classroomkd_mm export WORK_DIR --onnx --pictures person1.png person2.png
  python -m classroomkd_mm export WORK_DIR --checkpoint epoch_7.pth --out deployed"""
EXTRA = 'pip install onnx onnxscript onnxruntime openvino'
ONNX, OPENVINO = 'ONNX Runtime', 'OpenVINO'
OF_ONE = (  # set of weights, as student.pth is, which is always written
    'end2end.onnx', 'end2end.xml', 'end2end.bin', 'export.json', 'cost.md', 'metafile.yml',
    'model-index.yml', 'predictions.png',
)  # fmt: skip
SHOWN = 6  # pictures on the sheet
PACKAGE = __name__.split('.')[0]


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog='python -m classroomkd_mm export',
        description=__doc__,
        epilog=EXAMPLES,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument('work_dir', type=Path, help="a run's, of a classroom or of a stock model")
    parser.add_argument('--onnx', action='store_true', help=f'needs {EXTRA.split(" openvino")[0]}')
    parser.add_argument('--openvino', action='store_true', help='and --onnx; also needs openvino')
    parser.add_argument('--checkpoint', help='the weights (default the best that is kept, or last)')
    parser.add_argument('--out', type=Path, help='default WORK_DIR/export')
    parser.add_argument(
        '--input-size', type=positive, nargs=2, metavar=('W', 'H'), help='where no config says it'
    )
    parser.add_argument(
        '--pictures', nargs='+', default=[], help='to draw into (default: of the test split)'
    )
    parser.add_argument('--rounds', type=positive, default=20, help='of timing (default 20)')
    parser.add_argument('--name', help="the model index's (default the work dir's)")
    parser.add_argument(
        '--trusted', action='store_true', help='read the checkpoint with all that pickle allows'
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Export.

    Raises:
        FileNotFoundError: Where the work dir lacks a config or a checkpoint.
        ImportError: Where a runtime is missing, with what installs it.
        RuntimeError: Where the stock library cannot load the student.
        ValueError: Where a graph differs from the student, or the input's size is not known.
    """
    args = make_parser().parse_args(argv)
    _refuse_pictures(args.pictures)
    source = read_source(args.work_dir, args.checkpoint, args.trusted)
    out = emptied(args.out or args.work_dir / 'export')
    student = source.student()
    facts = facts_of(source.cfg, student, tuple(args.input_size) if args.input_size else None)
    if 'classes' in facts:
        facts['classes'] = facts['classes'] or list(source.classes)
    facts['checkpoint'] = source.checkpoint.name
    whole = graph.Graph(student, facts['gives'] == 'scores').eval()
    graph.refuse_broken(graph.torch_runs(whole), facts, source.checkpoint)
    facts['stock'] = write_stock(source, student, facts, out)
    print(f'stock files: {facts["stock"]}')
    runs = write_graphs(whole, facts, out, args.onnx or args.openvino, args.openvino)
    (out / 'export.json').write_text(json.dumps(facts, indent=2) + '\n')
    _write_cost(source, student, runs, facts, args.rounds, out)
    _write_index(source, student, args.name or args.work_dir.resolve().name, out)
    if ONNX in runs:
        print(draw(source, facts, args.pictures, out))
    print(f'written: {out}')
    return 0


def emptied(out: Path) -> Path:
    """The folder to write into, without what an earlier export has written there.

    Raises:
        ValueError: Where it is a file.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f'--out {out} is a file: name a folder')
    out.mkdir(parents=True, exist_ok=True)
    for name in OF_ONE:
        (out / name).unlink(missing_ok=True)
    return out


def write_stock(source: Source, student: torch.nn.Module, facts: Facts, out: Path) -> str:
    """Write config and weights, and load them where this package is refused.

    Returns:
        How it went, in words; of a student that is not all stock, why it was not tried.

    Raises:
        RuntimeError: Where they do not load there.
        ValueError: Where they predict something else there.
    """
    source.cfg.dump(str(out / 'student.py'))
    names = tuple(facts.get('classes') or ())
    meta = dict(dataset_meta=dict(classes=names)) if names else {}
    torch.save(dict(state_dict=student.state_dict(), meta=meta), out / 'student.pth')
    needs = needs_more(source)
    if needs:
        return f'written; not tried without {needs}, which the model is made of'
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder, 'in.npy'), Path(folder, 'out.npz')
        np.save(inputs, graph.pictures(facts, 2))
        _script(stock.__file__, out / 'student.py', out / 'student.pth', inputs, outputs)
        with np.load(outputs) as found:
            theirs = [found[key] for key in found.files]
        ours = graph.torch_runs(graph.Graph(student, False))(np.load(inputs))
    worst = max(map(graph.apart, ours, theirs))
    if worst > graph.TOLERANCE:
        raise ValueError(f'student.py and student.pth predict something else: {worst:.1e}')
    return f'load and predict the same in a process without {PACKAGE} (difference {worst:.0e})'


def needs_more(source: Source) -> str | None:
    """What a student's network takes beside its library, as far as it is missing there."""
    said = str(source.cfg.model.to_dict())
    found = [name for name in (PACKAGE, *PROVIDED) if name in said]
    return ', '.join(found) or None


def _script(script: str, *arguments: object) -> None:
    """Run a script in a process of its own.

    Raises:
        RuntimeError: Where it fails, with the end of what it says.
    """
    command = [sys.executable, '-W', 'ignore', script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f'{Path(script).name} failed:\n{done.stderr[-1500:]}')


def write_graphs(
    whole: graph.Graph, facts: Facts, out: Path, onnx: bool, openvino: bool
) -> dict[str, graph.Runs]:
    """Write and compare what is asked for; ways to run it, by the runtime's name."""
    runs: dict[str, graph.Runs] = {}
    facts['differences'] = {}
    want = graph.torch_runs(whole)
    if onnx:
        facts['exporter'] = graph.write_onnx(whole, facts, out / 'end2end.onnx')
        runs[ONNX] = graph.onnx_runs(out / 'end2end.onnx')
    if openvino:
        graph.write_openvino(out / 'end2end.onnx', out / 'end2end.xml')
        runs[OPENVINO] = graph.openvino_runs(out / 'end2end.xml')
    for name, run in runs.items():
        facts['differences'][name] = worst = graph.difference(want, run, facts, name)
        print(f'{name}: the largest difference is {worst:.1e} of the largest value')
    return runs


def _write_cost(
    source: Source,
    student: torch.nn.Module,
    runs: dict[str, graph.Runs],
    facts: Facts,
    rounds: int,
    out: Path,
) -> None:
    graphs = {name: (run, graph.size_of(_files(name, out))) for name, run in runs.items()}
    networks = {'student': student, **source.networks()}
    rows = cost.table(networks, graphs, graph.pictures(facts, 1), rounds)
    said = f'one picture, CPU, {torch.get_num_threads()} thread(s), median of {rounds}'
    (out / 'cost.md').write_text(f'{markdown(rows, numeric=True)}\n\n{said}\n')
    print(f'{text(rows)}\n{said}')


def _files(runtime: str, out: Path) -> list[Path]:
    endings = ('onnx',) if runtime == ONNX else ('xml', 'bin')
    return [out / f'end2end.{ending}' for ending in endings]


def _write_index(source: Source, student: torch.nn.Module, name: str, out: Path) -> None:
    files = dict(Config='student.py', Weights='student.pth')
    count = cost.parameters(student)
    (out / 'metafile.yml').write_text(metafile(source, name, count, files))
    (out / 'model-index.yml').write_text(index('metafile.yml'))


def draw(source: Source, facts: Facts, files: Sequence[str], out: Path) -> str:
    """Draw predictions from the exported file alone; what was done, in words."""
    try:
        crops = np.stack(_read(files, facts) if files else _of_test_split(source.cfg))
    except (OSError, RuntimeError, AssertionError) as error:  # each data set says it its own way
        return f'no predictions.png: the test split cannot be read ({error}); give --pictures'
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, 'crops.npy'), crops)
        _script(picture.__file__, out, Path(folder, 'crops.npy'), out / 'predictions.png')
    return 'predictions.png is drawn by end2end.onnx and export.json alone'


def _refuse_pictures(files: Sequence[str]) -> None:
    for file in files:
        if not cv2.haveImageReader(file):
            raise ValueError(f'--pictures {file}: there is no such picture')


def _read(files: Sequence[str], facts: Facts) -> list[np.ndarray]:
    """Pictures from files, resized to the graph's input."""
    _, height, width = facts['input']['shape'][1:]
    return [cv2.resize(cv2.imread(file), (width, height)) for file in files]


def _of_test_split(cfg: Config) -> list[np.ndarray]:
    """The first pictures of the test split, as its pipeline cuts them, BGR."""
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope') or 'mmpose'):
        dataset = DATASETS.build(dict(dataset_of(cfg)))
    step = max(1, len(dataset) // SHOWN)
    inputs = [dataset[i]['inputs'] for i in range(0, len(dataset), step)][:SHOWN]
    crops = [each.numpy().transpose(1, 2, 0) for each in inputs]
    if arrival(cfg) == 'RGB':
        crops = [each[..., ::-1] for each in crops]
    return [np.repeat(each, 3, axis=-1) if each.shape[-1] == 1 else each for each in crops]
