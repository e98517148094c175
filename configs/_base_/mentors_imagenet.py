# Mentors from MMPretrain's zoo, ImageNet-1k (top-1 as published in its model index).
_root = 'https://download.openmmlab.com/mmclassification/v0/'
zoo = dict(
    efficientnet_b3=dict(  # 81.01
        name='efficientnet_b3', config='mmpretrain::efficientnet/efficientnet-b3_8xb32_in1k.py',
        input_size=(300, 300),  # the others, like the students, see 224x224
        checkpoint=_root + 'efficientnet/efficientnet-b3_3rdparty_8xb32_in1k_20220119-4b4d7487.pth'),
    efficientnet_b0=dict(  # 76.74
        name='efficientnet_b0', config='mmpretrain::efficientnet/efficientnet-b0_8xb32_in1k.py',
        checkpoint=_root + 'efficientnet/efficientnet-b0_3rdparty_8xb32_in1k_20220119-a7e2a0b1.pth'),
    resnet50=dict(  # 76.55
        name='resnet50', config='mmpretrain::resnet/resnet50_8xb32_in1k.py',
        checkpoint=_root + 'resnet/resnet50_8xb32_in1k_20210831-ea4938fc.pth'),
    densenet169=dict(  # 76.08
        name='densenet169', config='mmpretrain::densenet/densenet169_4xb256_in1k.py',
        checkpoint=_root + 'densenet/densenet169_4xb256_in1k_20220426-a2889902.pth'),
    resnet34=dict(  # 73.62
        name='resnet34', config='mmpretrain::resnet/resnet34_8xb32_in1k.py',
        checkpoint=_root + 'resnet/resnet34_8xb32_in1k_20210831-f257d4e6.pth'),
    mobilenet_v3_large=dict(  # 73.49
        name='mobilenet_v3_large', config='mmpretrain::mobilenet_v3/mobilenet-v3-large_8xb128_in1k.py',
        checkpoint=_root + 'mobilenet_v3/mobilenet-v3-large_8xb128_in1k_20221114-0ed9ed9a.pth'),
    regnetx_400mf=dict(  # 72.56
        name='regnetx_400mf', config='mmpretrain::regnet/regnetx-400mf_8xb128_in1k.py',
        checkpoint=_root + 'regnet/regnetx-400mf_8xb128_in1k_20211213-89bfc226.pth'),
    mobilenet_v2=dict(  # 71.86
        name='mobilenet_v2', config='mmpretrain::mobilenet_v2/mobilenet-v2_8xb32_in1k.py',
        checkpoint=_root + 'mobilenet_v2/mobilenet_v2_batch256_imagenet_20200708-3b2dc3af.pth'),
)
