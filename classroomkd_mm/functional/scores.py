"""How well each member of the classroom did: numbers in [0, 1], higher is better."""

import torch
from torch import Tensor


def true_class_probability(logits: Tensor, target: Tensor) -> Tensor:
    """Probability of the true class, ``exp(-cross entropy)``.

    Args:
        logits: ``(..., N, C)``.
        target: Class indices ``(N,)``, or soft labels ``(N, C)``: ``exp(sum_c y_c log p_c)``.

    Returns:
        ``(..., N)`` in [0, 1].

    Example:
        >>> logits = torch.tensor([[0.0, 0.0], [99.0, 0.0]])
        >>> true_class_probability(logits, torch.tensor([1, 0]))
        tensor([0.5000, 1.0000])
        >>> true_class_probability(logits[:1], torch.tensor([[0.5, 0.5]]))
        tensor([0.5000])
    """
    log_p = logits.log_softmax(-1)
    if target.dim() == 1:
        index = target.expand(logits.shape[:-1])[..., None]
        return log_p.gather(-1, index).squeeze(-1).exp()
    # A class without weight adds nothing, however improbable it is.
    return torch.where(target > 0, target * log_p, 0).sum(-1).exp()


def keypoint_similarity(keypoints: Tensor, target: Tensor, area: Tensor, sigmas: Tensor) -> Tensor:
    """Per-keypoint Object Keypoint Similarity, ``exp(-d^2 / (2 a (2 sigma)^2))``.

    Its mean over the labelled keypoints is COCO's OKS (``pycocotools.COCOeval.computeOks``).

    Args:
        keypoints: Predicted coordinates ``(..., N, K, 2)`` in pixels.
        target: True coordinates ``(N, K, 2)`` in the same space.
        area: The person's area ``(N,)`` in square pixels of that space.
        sigmas: The data set's per-keypoint constants ``(K,)``.

    Returns:
        Similarities ``(..., N, K)`` in [0, 1].

    Example:
        >>> truth, area = torch.zeros(1, 2, 2), torch.tensor([100.0])
        >>> guess = torch.tensor([[[0.0, 0.0], [2.0, 0.0]]])
        >>> keypoint_similarity(guess, truth, area, sigmas=torch.tensor([0.1, 0.1]))
        tensor([[1.0000, 0.6065]])
    """
    distance = (keypoints - target).square().sum(-1)
    eps = torch.finfo(distance.dtype).eps
    scale = 2 * (area[:, None] + eps) * (2 * sigmas).square()
    # Where a constant is 0 only the very point is right.
    return torch.exp(-distance / scale.clamp(min=torch.finfo(distance.dtype).tiny))


def keypoint_pck(keypoints: Tensor, target: Tensor, norm: Tensor, thr: float) -> Tensor:
    """Whether each keypoint lies within ``thr * norm`` of the truth (PCK).

    Args:
        keypoints: Predicted coordinates ``(..., N, K, 2)`` in pixels.
        target: True coordinates ``(N, K, 2)`` in the same space.
        norm: The person's reference length ``(N,)`` in pixels; where it is 0, nothing is right.
        thr: Share of the reference length.

    Returns:
        1.0 where right, else 0.0, ``(..., N, K)``.

    Example:
        >>> guess = torch.tensor([[[0.0, 0.0], [3.0, 4.0]]])
        >>> keypoint_pck(guess, torch.zeros(1, 2, 2), norm=torch.tensor([8.0]), thr=0.5)
        tensor([[1., 0.]])
    """
    distance = (keypoints - target).square().sum(-1).sqrt()
    return ((distance <= thr * norm[:, None]) & (norm[:, None] > 0)).to(distance.dtype)


def target_among(target: Tensor, places: Tensor) -> Tensor:
    """Where the true class is among some of the classes.

    Args:
        target: Class indices, -1 where there is none.
        places: Which classes, ``(D,)``.

    Returns:
        Indices into ``places``, shaped as ``target``; -1 for a class that is not there.

    Example:
        >>> target_among(torch.tensor([4, 1, 2, -1]), places=torch.tensor([1, 4]))
        tensor([ 1,  0, -1, -1])
    """
    same = target[..., None] == places
    return torch.where(same.any(-1), same.int().argmax(-1), -1)
