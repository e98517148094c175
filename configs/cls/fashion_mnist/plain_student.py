_base_ = ['../../_base_/fashion_mnist.py']
