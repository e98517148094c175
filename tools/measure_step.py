"""What a classroom's training step costs, against the sum of its parts.

Times, in turns in one process: the student's plain training step, each mentor's inference on the
student's inputs, and the classroom's step. The design allows the latter 1.05 times the sum of the
former.
"""

import argparse
import copy
import time
from statistics import median
from typing import Callable

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, DefaultScope

import classroomkd_mm  # noqa: F401
from classroomkd_mm.registry import MODELS


def parse_args() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog='example:\n  python tools/measure_step.py configs/demo/classroom.py',
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument('config', help='a classroom config; its data set must exist')
    parser.add_argument('--batch-size', type=int, default=16)
    parser.add_argument('--rounds', type=int, default=30, help='turns (default 30)')
    parser.add_argument('--device', default='cpu')
    return parser.parse_args()


def seconds(work: Callable[[], object], device: str) -> float:
    """Time of one call, the device's work included."""
    if device != 'cpu':
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device != 'cpu':
        torch.cuda.synchronize()
    return time.perf_counter() - start


def parts(cfg: Config, batch_size: int, device: str) -> dict[str, Callable[[], object]]:
    """What is timed, by name."""
    for mentor in cfg.model.mentors:
        mentor.checkpoint = None  # the time does not depend on the weights
    model = MODELS.build(cfg.model).to(device).train()
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    batch = pseudo_collate([dataset[i] for i in range(batch_size)])
    data = model.data_preprocessor(batch, True)
    student = copy.deepcopy(model.student)

    def train(network: torch.nn.Module) -> None:
        network.zero_grad()
        network.parse_losses(network(**data, mode='loss'))[0].backward()

    def infer(mentor: classroomkd_mm.mentors.Mentor) -> None:
        with torch.no_grad():
            mentor.network(mentor.adapt(data['inputs']), None, mode='tensor')

    work: dict[str, Callable[[], object]] = {'student': lambda: train(student)}
    work.update({f'mentor {m.name}': lambda m=m: infer(m) for m in model.mentors})
    work['classroom'] = lambda: train(model)
    return work


def main() -> None:
    """Measure."""
    args = parse_args()
    cfg = Config.fromfile(args.config)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        work = parts(cfg, args.batch_size, args.device)
    times: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(args.rounds + 3):
        for name, call in work.items():
            elapsed = seconds(call, args.device)
            if turn >= 3:  # the first turns warm caches up
                times[name].append(elapsed)
    for name, values in times.items():
        print(f'{name:20s} {1000 * median(values):8.2f} ms')
    whole = times.pop('classroom')
    ratio = median(w / sum(p) for w, p in zip(whole, zip(*times.values())))
    print(f'classroom / sum of its parts: {ratio:.3f} (median of {args.rounds} turns)')


if __name__ == '__main__':
    main()
