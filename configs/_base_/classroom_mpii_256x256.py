_base_ = ['classroom_pose.py', 'mentors_mpii_256x256.py']
# MMPose reads MPII's head boxes for testing only, so PCKh cannot score training samples.
classroom = dict(model=dict(scorer=dict(type='PCKScorer', thr=0.1, norm='bbox')))
