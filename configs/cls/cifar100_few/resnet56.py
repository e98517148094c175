# chenyaofo's published network: python tools/convert_cifar_checkpoint.py resnet56 cifar100_resnet56-f2eff4c8.pt data/mentors/resnet56.pth
_base_ = ['plain_student.py']
data_preprocessor = dict(
    mean=[0.507 * 255, 0.4865 * 255, 0.4409 * 255], std=[0.2673 * 255, 0.2564 * 255, 0.2761 * 255])
model = dict(backbone=dict(depth=56))
