"""The student as a graph: ONNX and OpenVINO, each compared with the network that it is of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from mmengine.logging import MMLogger
from torch import Tensor, nn

from .facts import INPUT, Facts, raw_output

TOLERANCE = 1e-4  # of the largest value of an output
BATCHES = (1, 3)  # that a graph is compared on: the batch is dynamic
SEED = 0

Arrays = list[np.ndarray]
Runs = Callable[[np.ndarray], Arrays]


class Graph(nn.Module):
    """What is exported: normalised pictures ``(N, C, H, W)`` to what mmdeploy's graphs give.

    Args:
        network: The student.
        classifies: Whether its output is logits, of which the graph gives probabilities.
    """

    def __init__(self, network: nn.Module, classifies: bool) -> None:
        super().__init__()
        self.network = network
        self.classifies = classifies

    def forward(self, pictures: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Run it."""
        output = raw_output(self.network, pictures)
        return output.softmax(-1) if self.classifies and isinstance(output, Tensor) else output


def needed(module: str, package: str) -> ModuleType:
    """An optional module.

    Raises:
        ImportError: Where it is missing, with what installs it.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ImportError(f'{module} is needed: pip install {package} ({error})') from error


def pictures(facts: Facts, count: int) -> np.ndarray:
    """Made-up normalised pictures ``(count, C, H, W)``, the same each time."""
    shape = facts['input']['shape'][1:]
    drawn = np.random.default_rng(SEED).integers(0, 256, (count, *shape)).astype(np.float32)
    said = facts['normalisation']
    mean, std = (np.array(said[key], np.float32)[:, None, None] for key in ('mean', 'std'))
    return (drawn - mean) / std


def torch_runs(graph: Graph) -> Runs:
    """The network itself."""

    def run(inputs: np.ndarray) -> Arrays:
        with torch.no_grad():
            output = graph(torch.from_numpy(inputs))
        return [each.numpy() for each in (output if isinstance(output, tuple) else (output,))]

    return run


def write_onnx(graph: Graph, facts: Facts, path: Path) -> str:
    """Write the graph as ONNX, its batch dynamic; the name of the exporter that did it.

    torch's exporter by ``torch.export`` comes first; what that cannot follow is traced.

    Raises:
        ImportError: Where onnx or onnxscript is missing.
    """
    for module in ('onnx', 'onnxscript'):
        needed(module, f'{module}  # or the extra classroomkd_mm[export]')
    # A batch of 1 would be taken for a constant.
    example = (torch.from_numpy(pictures(facts, 2)),)
    names: dict[str, Any] = dict(input_names=[INPUT], output_names=facts['outputs'])
    batch = torch.export.Dim('batch')
    try:
        torch.onnx.export(
            graph, example, str(path), dynamo=True, external_data=False, verbose=False,
            dynamic_shapes={'pictures': {0: batch}}, **names,
        )  # fmt: skip
        return 'torch.export'
    except Exception as error:  # whatever it cannot follow; the traced graph is compared as well
        MMLogger.get_current_instance().warning(
            f'torch.export cannot follow this network ({type(error).__name__}), it is traced'
        )
    axes = {name: {0: 'batch'} for name in (INPUT, *facts['outputs'])}
    torch.onnx.export(graph, example, str(path), dynamo=False, dynamic_axes=axes, **names)
    return 'tracing'


def onnx_runs(path: Path) -> Runs:
    """A graph in onnxruntime, on the CPU.

    Raises:
        ImportError: Where it is missing.
    """
    runtime = needed('onnxruntime', 'onnxruntime')
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = runtime.InferenceSession(str(path), options, providers=['CPUExecutionProvider'])
    return lambda inputs: list(session.run(None, {INPUT: inputs}))


def write_openvino(onnx: Path, path: Path) -> None:
    """Write OpenVINO's form of an ONNX graph, by its own converter, in single precision.

    Raises:
        ImportError: Where it is missing.
    """
    openvino = needed('openvino', 'openvino')
    openvino.save_model(openvino.convert_model(str(onnx)), str(path), compress_to_fp16=False)


def openvino_runs(path: Path) -> Runs:
    """A graph in OpenVINO, on the CPU, in single precision: some CPUs' default is bfloat16."""
    openvino = needed('openvino', 'openvino')
    settings = dict(INFERENCE_PRECISION_HINT='f32', INFERENCE_NUM_THREADS=torch.get_num_threads())
    model = openvino.Core().compile_model(str(path), 'CPU', settings)
    outputs = range(len(model.outputs))
    return lambda inputs: [model([inputs])[i] for i in outputs]


def refuse_broken(want: Runs, facts: Facts, checkpoint: Path) -> None:
    """Refuse a student that says nothing: no graph can be compared with it.

    Raises:
        ValueError: Where an output is not finite, as of a training that diverged.
    """
    for name, output in zip(facts['outputs'], want(pictures(facts, 2))):
        if not np.isfinite(output).all():
            raise ValueError(
                f"checkpoint={str(checkpoint)!r}: the student's {name} are not finite: did the "
                'training diverge? --checkpoint names another epoch'
            )


def apart(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference as a share of our largest value; of zeros the difference itself.

    Infinite where theirs is not finite.
    """
    most = float(np.abs(ours - theirs).max()) / (float(np.abs(ours).max()) or 1.0)
    return most if np.isfinite(most) else np.inf


def difference(want: Runs, got: Runs, facts: Facts, what: str) -> float:
    """The largest difference of outputs, as a share of the largest value of each.

    Raises:
        ValueError: Where it is above the tolerance, or an output has another shape.
    """
    worst = 0.0
    for count in BATCHES:
        inputs = pictures(facts, count)
        for name, ours, theirs in zip(facts['outputs'], want(inputs), got(inputs)):
            if ours.shape != theirs.shape:
                shapes = f'{theirs.shape}, of the student {ours.shape}'
                raise ValueError(f'{what}: the shape of {name} is {shapes}')
            worst = max(worst, apart(ours, theirs))
    if worst > TOLERANCE:
        raise ValueError(f'{what} differs from the student by {worst:.1e} of the largest value')
    return worst


def size_of(paths: Sequence[Path]) -> int:
    """Bytes of files."""
    return sum(path.stat().st_size for path in paths)
