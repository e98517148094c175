# What every run with mentors adds.
custom_imports = dict(imports=['classroomkd_mm'])
custom_hooks = [dict(type='classroomkd_mm.ClassroomHook')]
visualizer = dict(vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')])
