"""A stock model whose class is changed in place: it stays itself, and something is added."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from contextlib import ExitStack
from functools import cache
from types import new_class
from typing import Any, ClassVar, SupportsIndex, cast

from mmengine.model import BaseModel, PretrainedInit
from torch import Tensor, nn
from torch.nn.modules.module import _IncompatibleKeys

from .kinds import check_names
from .loading import what_fits
from .mentors.checkpoint import wrongly_shaped
from .mentors.configs import built

WHOLE = (
    'what is resumed or tested must fit whole (a training takes from load_from what fits, with '
    'ClassroomHook, which tools/train.py adds)'
)


class StudentInPlace(BaseModel):
    """Builds a stock model and makes it an instance of (derived class, stock class).

    So parameters, their names, state dicts, modes, methods and what wrappers and optimizers see are
    the stock model's own. Copies and pickles leave out what was added.

    Args:
        student: Config of the stock model.
        data_preprocessor: The student's, where the config has it beside the model (MMPretrain).

    Attributes:
        added: Names of the attributes that a derived class adds.
        added_class: The derived class.
        stock_class: The student's own.
    """

    added: ClassVar[frozenset[str]] = frozenset()
    added_class: ClassVar[type]
    stock_class: ClassVar[type]

    def __new__(
        cls,
        student: Mapping[str, Any] | None = None,
        *args: object,
        data_preprocessor: Mapping[str, Any] | None = None,
        **settings: object,
    ) -> StudentInPlace:
        """Build the student and change its class; Python then calls ``__init__`` on it.

        Raises:
            ImportError: Where the student needs what cannot be imported.
            TypeError: Where it is no config; for a setting that the class does not know.
            ValueError: Where it cannot be built, or has an attribute that the derived class adds.
        """
        if student is None and not (args or settings):  # an empty model, for a copy to fill
            return object.__new__(cls)
        check_names(cls, settings, 'model')
        if not isinstance(student, Mapping) or 'type' not in student:
            raise TypeError(f'student={student!r} must be the config of a model, dict(type=...)')
        if data_preprocessor is not None:
            student = {'data_preprocessor': data_preprocessor, **student}
        model = cast(StudentInPlace, built(student, 'student'))  # which it becomes below
        taken = sorted(name for name in (*cls.added, 'student', 'export') if hasattr(model, name))
        if taken:
            raise ValueError(
                f'student={type(model).__name__} has attributes of its own called '
                f'{", ".join(taken)}, which {cls.__name__} needs'
            )
        # HACK: a wrapper would rename parameters, and MMEngine finds optimizers' groups,
        # checkpoints and averages by their names.
        model.__class__ = _joined(cls, type(model))  # type: ignore[arg-type]  # takes hashes amiss
        model.register_load_state_dict_post_hook(_refuse_mismatch)
        return model

    def init_weights(self) -> None:
        """As the student's: of its ``init_cfg`` files what fits is taken, the rest told.

        Raises:
            RuntimeError: Where less than half of the backbone's parameters fit.
        """
        student = self.student
        backbone = getattr(student, 'backbone', student)
        with ExitStack() as stack:
            for name, module in student.named_modules():
                files = _pretrained(module)
                if files:
                    what = f'{".".join(filter(None, ("student", name)))}.init_cfg: {files}'
                    stack.enter_context(what_fits(module, what, backbone))
            student.init_weights()
        self._is_init = student._is_init

    @property
    def student(self) -> BaseModel:
        """The stock model on these very weights: made anew each time, what is set on it is lost."""
        view: BaseModel = object.__new__(self.stock_class)
        shared = (*self.modules(), *self.parameters(), *self.buffers())
        memo = {**{id(each): each for each in shared}, id(self): view}
        for key, value in self._stock_state().items():
            # Hooks that are of this model become hooks of the view.
            view.__dict__[key] = copy.deepcopy(value, memo) if key.endswith('_hooks') else value
        return view

    def export(self) -> BaseModel:
        """The plain stock model with its own copy of the weights: nothing of this package is in it.

        What ``torch.save(model.export(), path)`` writes, plain MMPose or MMPretrain loads.
        """
        plain: BaseModel = object.__new__(self.stock_class)
        plain.__dict__.update(copy.deepcopy(self._stock_state(), {id(self): plain}))
        return plain

    def _own_state(self) -> dict[str, Any]:
        """What the student itself would pickle.

        Not methods that were replaced on this very model, as ``compile=True`` does: they call it.
        """
        state = super().__getstate__() if hasattr(super(), '__getstate__') else vars(self)
        return {
            key: value
            for key, value in state.items()
            if key not in self.added
            and not (callable(value) and callable(getattr(type(self), key, None)))
        }

    def _stock_state(self) -> dict[str, Any]:
        state = self._own_state()
        hooks = state['_load_state_dict_post_hooks']
        kept = {key: hook for key, hook in hooks.items() if hook is not _refuse_mismatch}
        return dict(state, _load_state_dict_post_hooks=type(hooks)(kept))

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        """Copies and pickles hold nothing that was added."""
        return _assemble, (self.added_class, self.stock_class), self._own_state()

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *args: object, **kwargs: object
    ) -> None:
        """Weights of another shape are an error, not MMEngine's warning."""
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
        wrong = [] if _is_copy(self) else wrongly_shaped(self, state_dict, prefix)
        if wrong:
            raise RuntimeError(
                f'the checkpoint is not one of this student: {len(wrong)} wrongly shaped keys '
                f'({", ".join(wrong[:5])}); {WHOLE}'
            )


@cache
def _joined(added: type, stock: type) -> type:
    """One class of both, what is added first."""
    facts = dict(
        __module__=added.__module__, __doc__=added.__doc__, added_class=added, stock_class=stock
    )
    name = f'{added.__name__}Of{stock.__name__}'
    return new_class(name, (added, stock), {}, lambda body: body.update(facts))


def _assemble(added: type, stock: type) -> object:
    """An empty model, for a copy or a pickle to fill."""
    return object.__new__(_joined(added, stock))


def _refuse_mismatch(module: nn.Module, keys: _IncompatibleKeys) -> None:
    """A checkpoint that does not fit the student is an error, not MMEngine's warning."""
    missing = [key for key in keys.missing_keys if 'num_batches_tracked' not in key]
    if (missing or keys.unexpected_keys) and not _is_copy(module):
        raise RuntimeError(
            f'the checkpoint is not one of this student: {len(missing)} missing keys '
            f'{missing[:5]}, {len(keys.unexpected_keys)} unexpected keys '
            f'{keys.unexpected_keys[:5]}; {WHOLE}'
        )


def _is_copy(module: nn.Module) -> bool:
    """Whether it holds nothing that was added: a copy loads as the student does."""
    return not getattr(module, 'added', frozenset()) & vars(module).keys()


def _pretrained(module: nn.Module) -> str:
    """The files that a module's ``init_cfg`` names, empty without any."""
    found = getattr(module, 'init_cfg', None) or ()
    entries = [found] if isinstance(found, Mapping) else found
    kinds = ('Pretrained', PretrainedInit)
    files = [repr(each.get('checkpoint')) for each in entries if each.get('type') in kinds]
    return ', '.join(files)
