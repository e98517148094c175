_base_ = ['../../_base_/synthetic_rtmpose.py']
