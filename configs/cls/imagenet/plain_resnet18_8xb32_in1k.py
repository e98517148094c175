_base_ = ['mmpretrain::resnet/resnet18_8xb32_in1k.py']
