# Does the filter protect? The embedded data with the demo's mentors and two whose weights are
# random, the commonest silent failure of a distillation. After `make demo`:
#   python tools/study.py configs/study/noisy_mentors.py --seeds 5
metric = 'coco/AP'
reference = 'aver'
_classroom, _aver = 'configs/demo/classroom.py', 'configs/demo/aver.py'
_mentors = [
    *[dict(name=name, config=f'configs/demo/mentor_{name}.py',
           checkpoint=f'work_dirs/demo/mentor_{name}/epoch_12.pth')
      for name in ('large', 'medium', 'small')],
    *[dict(name=name, config='configs/demo/mentor_small.py', checkpoint=None)
      for name in ('random_1', 'random_2')]]
options = {'train_cfg.max_epochs': 6, 'param_scheduler.1.end': 6, 'param_scheduler.1.T_max': 6,
           'train_dataloader.num_workers': 1, 'model.mentors': _mentors}
runs = dict(
    aver=dict(config=_aver),
    classroom=dict(config=_classroom),
    consent=dict(config=_classroom, options={
        'model.distill_loss.balance': 0.1, 'model.distill_loss.balance_odds': 2,
        'model.distill_loss.conflict': 'project'}),  # as README has it
    no_filter=dict(config=_classroom, options={
        'model.knowledge_filter': dict(_delete_=True, type='UniformFilter'),
        'model.distill_loss.loss_weight': 0.1}))
