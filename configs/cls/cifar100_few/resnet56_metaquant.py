# MetaQuant's: python tools/convert_cifar_checkpoint.py resnet56 metaquant_ResNet56-CIFAR100-pretrain.pth data/mentors/resnet56_metaquant.pth
_base_ = ['resnet56.py']
data_preprocessor = dict(mean=[127.5] * 3, std=[127.5] * 3)
