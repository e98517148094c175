_base_ = ['classroom_pose.py', 'mentors_coco-wholebody_256x192.py']
classroom = dict(model=dict(scorer=dict(type='OKSScorer')))
