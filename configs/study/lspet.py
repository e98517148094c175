# Real people. After the three mentors (configs/pose/lspet/classroom.py says how):
#   python tools/study.py configs/study/lspet.py --seeds 3
metric = 'PCK'
reference = 'aver'
_folder = 'configs/pose/lspet/'
runs = dict(
    alone=dict(config=_folder + 'plain_student.py'),
    aver=dict(config=_folder + 'aver.py'),
    classroom=dict(config=_folder + 'classroom.py'),
    consent=dict(config=_folder + 'classroom.py', options={
        'model.distill_loss.balance': 0.1, 'model.distill_loss.balance_odds': 2,
        'model.distill_loss.conflict': 'project'}))  # as README has it
