_base_ = ['../../_base_/lspet_published.py']
