_base_ = ['classroom_pose.py', 'mentors_halpe26_256x192.py']
classroom = dict(model=dict(scorer=dict(type='OKSScorer')))
