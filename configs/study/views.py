# How many views of a picture are enough? The embedded data and the demo's mentors, whose answers all runs share. After `make demo`:
#   python tools/study.py configs/study/views.py --seeds 3 --split val
from mmengine.config import Config

metric = 'coco/AP'
reference = 'classroom_fresh'
_people = Config.fromfile('{{fileDirname}}/../demo/alone.py').train_dataloader.dataset.to_dict()


def _with_views(method, views):
    options = {'train_dataloader.dataset': dict(
        _delete_=True, type='classroomkd_mm.FixedViews', views=views, dataset=_people)}
    if views is not None and method != 'alone':
        options['model.memory'] = dict(dir='work_dirs/memory/demo')
    return dict(config=f'configs/demo/{method}.py', options=options)


runs = {
    f'{_method}_{_views or "fresh"}': _with_views(_method, _views)
    for _method in ('classroom', 'aver') for _views in (None, 1, 2, 4, 8)
}
