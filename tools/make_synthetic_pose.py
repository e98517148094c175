"""Make the embedded pose data set: pictures of articulated people with COCO and MPII labels."""

import argparse

from classroomkd_mm.datasets import make_synthetic_people

if __name__ == '__main__':
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument('out_dir', nargs='?', default='data/synthetic_people')
    parser.add_argument('--train', type=int, default=1200, help='training pictures')
    parser.add_argument('--val', type=int, default=300, help='validation pictures, for choosing')
    parser.add_argument('--test', type=int, default=300, help='test pictures, for reporting')
    parser.add_argument('--seed', type=int, default=0, help='same seed, same files')
    args = parser.parse_args()
    root = make_synthetic_people(
        args.out_dir, dict(train=args.train, val=args.val, test=args.test), args.seed
    )
    print(f'\n{root} is ready')
