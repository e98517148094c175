_base_ = ['plain.py']
randomness = dict(seed=1)  # the student's network, trained from another start
