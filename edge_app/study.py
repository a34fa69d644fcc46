"""Several views of one patient to one answer; one study told from another by DICOM identifiers."""

from __future__ import annotations

from collections.abc import Sequence

from edge_app.errors import TooManyViews
from edge_app.imaging.picture import DicomHeader
from edge_app.predictor import Answer

MAX_VIEWS = 50  # in one request; a study of X-rays has a dozen at most


def require_one_study(views: int) -> None:
    """Refuse a request that would keep others waiting for very long.

    Args:
        views: How many pictures it is about.

    Raises:
        TooManyViews: they are more than `MAX_VIEWS`.
    """
    if views > MAX_VIEWS:
        raise TooManyViews(
            f"Expected at most {MAX_VIEWS} pictures of a study, received {views}. Send fewer at once."
        )


def joint_answer(views: Sequence[Answer]) -> Answer:
    """Join what is said of the views of a study.

    Args:
        views: At least one.

    Returns:
        The study's answer, held against the threshold of its first view: it was chosen for single views.
    """
    probability = mean_of_views([view.probability for view in views])
    return Answer(probability, views[0].threshold, rule_out=views[0].rule_out)


def mean_of_views(probabilities: Sequence[float]) -> float:
    """Join the views of a study by MURA's rule.

    Args:
        probabilities: Of a fracture, 0..1, for each view; at least one.

    Returns:
        The study's probability.

    Source:
        Rajpurkar et al., MURA, arXiv 1712.06957, section 3.1: the arithmetic mean of the views.
    """
    return float(sum(probabilities) / len(probabilities))


def group_views(headers: Sequence[DicomHeader | None]) -> list[list[int]]:
    """Tell studies apart: the same patient and study identifiers make one.

    Pictures without a header belong to the only study that came, as the person sent them together; beside
    several they are a study of their own.

    Args:
        headers: What the file of each view said, None for other formats.

    Returns:
        For each study the indexes of its views, in the order of the first of them.
    """
    keys = {_key(header) for header in headers if header is not None}
    only = next(iter(keys)) if len(keys) == 1 else None
    groups: dict[tuple[str, str] | None, list[int]] = {}
    for index, header in enumerate(headers):
        groups.setdefault(only if header is None else _key(header), []).append(index)
    return list(groups.values())


def _key(header: DicomHeader) -> tuple[str, str]:
    return header.patient.identifier, header.study_uid
