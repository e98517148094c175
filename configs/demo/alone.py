_base_ = ['../_base_/synthetic_pose.py']
