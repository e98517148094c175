_base_ = ['../../_base_/coco_published.py']
