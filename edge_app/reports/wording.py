"""A prediction in words, in any language."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from edge_app.predictor import FRACTURE, Answer, Prediction
from edge_app.reports.content import View, Words
from edge_app.study import joint_answer


class Speech(NamedTuple):
    """How a language speaks: its code, its direction, its sentences, and how it writes percent."""

    language: str
    is_right_to_left: bool
    translate: Callable[[str], str]
    percent: Callable[[float], str]


ENGLISH = Speech("en", False, str, "{:.0%}".format)


def answer_in(answer: Answer, speech: Speech) -> str:
    """Say what was found.

    Args:
        answer: Of a view or of a study.
        speech: The language.
    """
    _ = speech.translate
    if answer.is_uncertain:
        return _("Uncertain")
    return _("Fracture Detected") if answer.prediction == FRACTURE else _("Normal")


def joint_facts(views: Sequence[Prediction], speech: Speech) -> list[tuple[str, str]]:
    """Say what several views tell together.

    Args:
        views: Of one study, at least one.
        speech: The language.

    Returns:
        A label and a text; nothing where there is one view.
    """
    _ = speech.translate
    if len(views) == 1:
        return []
    study = joint_answer(views)
    rule = _("The study's probability is the mean of those of its views. Look at each view as well.")
    return [(answer_in(study, speech), f"{speech.percent(study.probability)}. {rule}")]


def view_in(view: Prediction, speech: Speech) -> View:
    """Say what is said of one view.

    Args:
        view: The prediction.
        speech: The language.
    """
    _ = speech.translate
    header = view.header
    told = () if header is None else (header.body_part, header.view, header.laterality)
    facts = [
        (_("Probability of a fracture"), speech.percent(view.probability)),
        (_("Threshold"), speech.percent(view.threshold)),
        *([(_("View"), ", ".join(part for part in told if part))] if any(told) else []),
    ]
    return View(view, answer_in(view, speech), tuple(facts), tuple(_remarks(view, speech)))


def words_in(speech: Speech) -> Words:
    """Return a report's fixed texts.

    Args:
        speech: The language.
    """
    _ = speech.translate
    report = _("Report")
    return Words(
        language=speech.language,
        is_right_to_left=speech.is_right_to_left,
        title=f"Fracture Edge: {report}",
        xray=_("X-ray"),
        heatmap=_("Heat map"),
        judgement=_("The reader's own judgement"),
        signature=_("Name, date and signature"),
        notice=_("Assistive tool, not a diagnosis."),
    )


def _remarks(view: Prediction, speech: Speech) -> list[str]:
    """Say in words what the input gate doubts, and whether the answer is uncertain."""
    _ = speech.translate
    words = _doubts(speech)
    reasons = [] if view.quality is None or view.quality.accepted else view.quality.reasons
    unsure = _(
        "The tool cannot tell. Treat it as a possible fracture until a qualified person has read the X-ray."
    )
    return [words[reason] for reason in reasons if reason in words] + [unsure] * view.is_uncertain


def _doubts(speech: Speech) -> dict[str, str]:
    _ = speech.translate
    return {
        "other_imaging": _(
            "This looks like another kind of medical picture than an X-ray of a limb. "
            "Do not rely on the answer."
        ),
        "inverted": _(
            "Black and white seem to be exchanged in this X-ray. Do not rely on the "
            "answer; export it again as it is usually shown."
        ),
        "photo_of_screen": _(
            "This looks like a photograph of a screen or a film. Do not rely on the "
            "answer; send the X-ray's own file."
        ),
        "too_bright": _("This X-ray is very bright. Do not rely on the answer."),
        "too_dark": _("This X-ray is very dark. Do not rely on the answer."),
        "unfamiliar": _(
            "This X-ray looks unlike those that the tool was made with. Do not rely on the answer."
        ),
        "photograph": _("This looks like a photograph, not like an X-ray. Do not rely on the answer."),
        "document": _("This looks like a document, not like an X-ray. Do not rely on the answer."),
        "blank": _("This picture shows hardly anything. Do not rely on the answer."),
        "coloured": _(
            "This picture has colours, as a photograph has. Do not rely on the answer; send the X-ray's "
            "own file."
        ),
    }
