"""The CIFAR networks of the distillation literature."""

from .cifar import NETWORKS, cifar_classifier, literature_to_ours
from .mobilenet_v2 import CIFARMobileNetV2
from .resnet import CIFARResNet
from .shufflenet import CIFARShuffleNetV1, CIFARShuffleNetV2
from .vgg import CIFARVGG
from .wide_resnet import CIFARWideResNet

__all__ = [
    'NETWORKS',
    'CIFARMobileNetV2',
    'CIFARResNet',
    'CIFARShuffleNetV1',
    'CIFARShuffleNetV2',
    'CIFARVGG',
    'CIFARWideResNet',
    'cifar_classifier',
    'literature_to_ours',
]
