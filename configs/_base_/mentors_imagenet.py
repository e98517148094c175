# Mentors from MMPretrain's zoo, ImageNet-1k (top-1 as published in its model index).
zoo = dict(
    efficientnet_b3=dict(  # 81.01
        name='efficientnet_b3', zoo='efficientnet-b3_3rdparty_8xb32_in1k',
        input_size=(300, 300)),  # the others, like the students, see 224x224
    efficientnet_b0=dict(  # 76.74
        name='efficientnet_b0', zoo='efficientnet-b0_3rdparty_8xb32_in1k'),
    resnet50=dict(name='resnet50', zoo='resnet50_8xb32_in1k'),  # 76.55
    densenet169=dict(name='densenet169', zoo='densenet169_3rdparty_in1k'),  # 76.08
    resnet34=dict(name='resnet34', zoo='resnet34_8xb32_in1k'),  # 73.62
    mobilenet_v3_large=dict(  # 73.49
        name='mobilenet_v3_large', zoo='mobilenet-v3-large_8xb128_in1k'),
    regnetx_400mf=dict(name='regnetx_400mf', zoo='regnetx-400mf_8xb128_in1k'),  # 72.56
    mobilenet_v2=dict(name='mobilenet_v2', zoo='mobilenet-v2_8xb32_in1k'),  # 71.86
)
