"""Make the embedded pose data set: pictures of articulated people with COCO and MPII labels."""

import argparse

from classroomkd_mm.arguments import positive
from classroomkd_mm.datasets import SPLITS, make_synthetic_people

if __name__ == '__main__':
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument('out_dir', nargs='?', default='data/synthetic_people')
    for split, count in SPLITS.items():
        parser.add_argument(f'--{split}', type=positive, default=count, help=f'{split} pictures')
    parser.add_argument('--seed', type=int, default=0, help='same seed, same files')
    args = parser.parse_args()
    counts = {split: getattr(args, split) for split in SPLITS}
    print(f'\n{make_synthetic_people(args.out_dir, counts, args.seed)} is ready')
