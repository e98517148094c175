_base_ = ['../../_base_/lspet.py']
