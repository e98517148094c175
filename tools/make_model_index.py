"""Write the model index: model-index.yml, and a metafile.yml in each folder of configs.

In OpenMMLab's form, for MIM and for MMEngine's ``classroomkd_mm::PATH``, which reads it first.
No entry has weights: none are published.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import yaml

CONFIGS = Path('configs')
# The folders of configs that can be run, and what they train on.
FOLDERS = {
    'demo': 'people that are drawn',
    'pose/body8': 'Body8',
    'pose/coco': 'COCO',
    'pose/coco-wholebody': 'COCO-WholeBody',
    'pose/coco_published': 'COCO',
    'pose/lspet': 'LSPet',
    'pose/lspet_published': 'LSPet',
    'pose/mpii': 'MPII',
    'pose/synthetic_rtmpose': 'people that are drawn',
    'cls/cifar100': 'CIFAR-100',
    'cls/cifar100_few': 'CIFAR-100',
    'cls/fashion_mnist': 'Fashion-MNIST',
    'cls/imagenet': 'ImageNet-1k',
}
COLLECTION = 'ClassroomKD'
PAPER = dict(
    Title='Classroom-Inspired Multi-Mentor Distillation with Adaptive Learning Strategies',
    URL='https://arxiv.org/abs/2409.20237',
)


def name_of(config: Path) -> str:
    """A config's name, with its folder's where the stem is only a role in it."""
    stem, folder = config.stem, config.parent.name
    whole = '_' in stem and config.parent.parent.name in ('pose', 'cls') and '_' not in folder
    return stem if whole and folder != 'lspet' else f'{folder}_{stem}'


def metafile(folder: str, data: str) -> str:
    """The metafile of a folder."""
    models = [
        {
            'Name': name_of(config),
            'Config': config.as_posix(),
            'In Collection': COLLECTION,
            'Metadata': {'Training Data': data},
        }
        for config in sorted((CONFIGS / folder).glob('*.py'))
    ]
    return yaml.safe_dump(dict(Models=models), sort_keys=False)


def files() -> dict[Path, str]:
    """The index and the metafiles, by path."""
    made = {CONFIGS / each / 'metafile.yml': metafile(each, FOLDERS[each]) for each in there()}
    imports = [path.as_posix() for path in made]
    collection = dict(Name=COLLECTION, Paper=PAPER, README='README.md')
    made[Path('model-index.yml')] = yaml.safe_dump(
        dict(Import=imports, Collections=[collection]), sort_keys=False
    )
    return made


def there() -> list[str]:
    """The folders that hold configs."""
    return [folder for folder in FOLDERS if any((CONFIGS / folder).glob('*.py'))]


def main(argv: Optional[Sequence[str]] = None) -> None:
    """Write."""
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    ).parse_args(argv)
    made = files()
    for path, text in made.items():
        path.write_text(text)
    print(f'{len(made)} files written')


if __name__ == '__main__':
    main()
