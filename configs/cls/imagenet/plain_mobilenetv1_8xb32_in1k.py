# timm's MobileNet (V1) with the schedule of its classroom.
_base_ = ['mmpretrain::resnet/resnet50_8xb32_in1k.py']
model = dict(_delete_=True, type='TimmClassifier', model_name='mobilenetv1_100')
