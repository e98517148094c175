"""A benchmark whose runs take no time: tools/train.py is a script that writes what a run leaves."""

import textwrap
from pathlib import Path

import pytest
import yaml

# Its figure is 10 * seed + bonus; a mentor's weights must be there.
TRAIN = r"""
import json, re, sys, time
from pathlib import Path

text = Path(sys.argv[1]).read_text()
folder = Path(sys.argv[sys.argv.index('--work-dir') + 1])
with open('trained.txt', 'a') as file:
    print(folder, file=file)
found = lambda name, other: (re.findall(name + r"'?\s*[=:]\s*([-0-9.]+)", text) or [other])[0]
for path in re.findall(r"'checkpoint': '(.*?)'", text):
    assert Path(path).is_file(), path
time.sleep(float(found('sleep', 0)))
if 'broken = True' in text:
    raise RuntimeError('the loss is not finite')
epochs, seed = int(found('max_epochs', 1)), int(found('seed', 0))
log = folder / '20260101/vis_data/scalars.json'
log.parent.mkdir(parents=True, exist_ok=True)
with log.open('a') as file:
    for epoch in range(1, epochs + 1):
        if epoch % int(found('val_interval', 1)) == 0:
            value = 10 * seed + float(found('bonus', 0)) + epoch
            print(json.dumps({'top1': value, 'step': epoch}), file=file)
(folder / f'epoch_{epochs}.pth').touch()
(folder / '20260101/run.py').write_text('')
print('trained')
"""
CONFIG = """
model = dict(type='Net', bonus=0.5)
train_dataloader = dict(batch_size=4, dataset=dict(type='Toy', split='train'))
val_dataloader = dict(batch_size=4, dataset=dict(type='Toy', split='val'))
test_dataloader = dict(batch_size=4, dataset=dict(type='Toy', split='test'))
val_evaluator = test_evaluator = dict(type='Accuracy')
train_cfg = dict(by_epoch=True, max_epochs=2, val_interval=1)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
"""
TOY = dict(
    metric='top1',
    digits=2,
    seeds=2,
    reference='alone',
    train_first=dict(big=dict(config='big.py', seed=3)),
    columns=dict(small=dict(config='small.py', mentors=['big'])),
    rows=dict(
        alone={},
        kd=dict(
            mentors='all',
            lesson=dict(mentoring=dict(type='FixedMentoring', tau=4.0)),
            options={'model.student.bonus': 2.5},
        ),
    ),
)


class Toy:
    """A folder with toy configs; the working directory."""

    usual = TOY

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / 'w'

    def file(self, name='toy.yml', **changes):
        """A benchmark file: the toy's, changed; what is None is left out."""
        said = {key: value for key, value in {**TOY, **changes}.items() if value is not None}
        (self.folder / name).write_text(yaml.safe_dump(said, sort_keys=False))
        return name

    def config(self, name, more=''):
        """A toy config."""
        (self.folder / name).write_text(textwrap.dedent(CONFIG) + more)

    def trained(self):
        """The work dirs that were trained, in order."""
        path = self.folder / 'trained.txt'
        lines = path.read_text().splitlines() if path.is_file() else []
        return [str(Path(line).relative_to('w')) if line[:2] == 'w/' else line for line in lines]

    def scalars(self, cell):
        """The log of a run's figures."""
        return self.folder / f'w/{cell}/20260101/vis_data/scalars.json'


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A benchmark whose runs take no time."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'tools').mkdir()
    (tmp_path / 'tools/train.py').write_text('# classroomkd_mm\n' + textwrap.dedent(TRAIN))
    made = Toy(tmp_path)
    for name in ('small.py', 'big.py'):
        made.config(name)
    return made
