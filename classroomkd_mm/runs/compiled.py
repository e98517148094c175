"""``compile`` of MMEngine's configs, for a classroom's student."""

from mmengine.runner import Runner

from ..distiller import ClassroomDistiller

PARTS = ('backbone', 'neck')


def compile_student(runner: Runner, model: ClassroomDistiller) -> None:
    """Compile the student's backbone and neck, in place, where the run's config asks to.

    MMEngine would compile the whole training step, which MMPose's samples do not let (torch cannot
    trace how their metainfo is copied) and a lesson does not. Names in checkpoints stay. Mentors
    have a setting of their own, ``compile=True``.
    """
    asked = runner.cfg.get('compile')
    if not asked:
        return
    parts = [part for part in PARTS if getattr(model, part, None) is not None]
    for part in parts:
        getattr(model, part).compile(**({} if asked is True else asked))
    runner.cfg.compile = False  # MMEngine reads it next
    runner.logger.info(f'compile: of the student, {" and ".join(parts)}; the first steps are slow')
