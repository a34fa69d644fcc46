"""What a surveyed data set shows, a section for each question that an engineer asks before training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from training.data import splits
from training.data.samples import Sample
from training.evaluation.html_report import Plot, Section, Table
from training.evaluation.metrics import auroc
from training.exploration.survey import Survey
from training.exploration.survey_plots import (
    SHEET_COLUMNS,
    bars,
    box_centres,
    box_lengths,
    draw_samples,
    histogram,
    order_of_export,
    sizes_of_groups,
)

SHEET_ROWS = 3
_SIZES_LISTED = 8
_INPUT_SIZES_PX = (224, 384)
_PRIVACY = (
    "This report shows X-rays of patients. Keep it only where the X-rays themselves may be kept, or make "
    "it again with --no_pictures."
)


def all_sections(survey: Survey, pictures: bool) -> list[Section]:
    """Put together what a report says; what the data set does not tell is left out.

    Args:
        survey: The data set.
        pictures: Whether X-rays are shown.

    Returns:
        The sections, in order.
    """
    samples = survey.dataset.samples
    chapters = [
        (overview, True),
        (class_balance, True),
        (sides, any(sample.side for sample in samples)),
        (patients, any(sample.patient for sample in samples)),
        (files, True),
        (shortcuts, True),
        (boxes, any(sample.boxes for sample in survey.scan.samples)),
        (sample_sheet, pictures),
        (duplicates, True),
        (unreadable, True),
    ]
    warning = [Section("Patients' pictures", warnings=[_PRIVACY])] if pictures else []
    return warning + [chapter(survey) for chapter, told in chapters if told]


def overview(survey: Survey) -> Section:
    """Tell the layout, the counts and what is odd about the data set."""
    dataset, readable = survey.dataset, len(survey.labels)
    rows = [
        ("Layout", dataset.layout),
        ("X-rays", f"{len(dataset.samples):,}"),
        ("Readable", _part(readable, len(dataset.samples))),
        (f"Readable with {dataset.positive}", _part(int(survey.labels.sum()), readable)),
        ("Fracture boxes", f"{sum(len(sample.boxes) for sample in dataset.samples):,}"),
        ("Pairs of duplicates", f"{len(survey.pairs):,}"),
        ("Fingerprint (SHA-256)", dataset.sha256),
    ]
    table = Table("What was found", ("", ""), rows, numbers=False)
    return Section("Overview", dataset.remarks, [table])


def class_balance(survey: Survey) -> Section:
    """Count the classes by body part, with the weights that would make them count alike."""
    positive, samples = survey.dataset.positive, survey.scan.samples
    whole = {"all": list(range(len(samples)))}
    parts = {}
    if any(sample.body_parts for sample in samples):
        parts = _members(" + ".join(sample.body_parts) or "not told" for sample in samples)
    rows = [
        (name, *_counts(survey.labels[members]), *_weights(survey.labels[members]))
        for name, members in (whole | parts).items()
    ]
    columns = ("Body part", "X-rays", positive, "normal", "share", f"weight of {positive}", "of normal")
    text = (
        "With these weights both classes count alike in the loss: overall with --balance class, within "
        "each body part with --balance part."
    )
    table = Table(f"Readable X-rays, and the share with {positive}", columns, rows)
    return Section("Classes and body parts", [text], [table], [bars(survey, parts or whole, "body part")])


def sides(survey: Survey) -> Section:
    """Count the classes on the data set's own sides, and list what stands on two of them."""
    samples, positive = survey.scan.samples, survey.dataset.positive
    given = splits.given_sides(samples)
    members = _members(given.tolist())
    leaks = [
        (samples[leak.sample].image_id, samples[leak.held_out].image_id, leak.reason)
        for leak in splits.find_leaks(samples, given, survey.pairs)
    ]
    tables = [_by_class("Readable X-rays", "Side", members, survey.labels, positive)]
    if leaks:
        columns = ("X-ray", "too much like", "because")
        tables.append(Table("Leaks, which a training refuses", columns, leaks, numbers=False))
    text = f"{len(leaks):,} X-rays are too much like one that is held out." if leaks else "Nothing leaks."
    return Section("Sides", [text], tables, [bars(survey, members, "side")])


def patients(survey: Survey) -> Section:
    """Count patients and studies, and the X-rays of each."""
    samples = survey.dataset.samples
    names = {
        "patients": [sample.patient for sample in samples],
        "studies": [sample.study for sample in samples],
    }
    rows, plots = [], []
    for what, of_sample in names.items():
        counts = Counter(filter(None, of_sample))
        with_positive, with_normal = (
            {name for name, sample in zip(of_sample, samples, strict=True) if sample.fractured == label}
            for label in (True, False)
        )
        groups = (counts, with_positive, with_normal, with_positive & with_normal)
        rows.append((what, *(f"{len(group):,}" for group in groups)))
        plots.append(sizes_of_groups(counts, what))
    columns = ("", "all", f"with {survey.dataset.positive}", "with normal", "with both")
    return Section("Patients and studies", tables=[Table("Counts", columns, rows)], plots=plots)


def files(survey: Survey) -> Section:
    """Tell formats, depths and sizes of the pictures."""
    labels, positive = survey.labels, survey.dataset.positive
    sizes = _members(f"{width} x {height}" for height, width in survey.scan.shapes)
    frequent = dict(list(sizes.items())[:_SIZES_LISTED])
    deep = sum("16-bit" in kind for kind in survey.kinds)
    text = (
        f"{len(sizes):,} different sizes. {deep:,} pictures are deeper than 8 bits and are reduced to them."
    )
    tables = [
        _by_class("Formats", "Format", _members(survey.kinds), labels, positive),
        _by_class("The most frequent sizes", "Width x height", frequent, labels, positive),
    ]
    plot = histogram(survey, survey.scan.shapes.max(axis=1), "Longer side", "pixels")
    return Section("Formats and picture sizes", [text], tables, [plot])


def shortcuts(survey: Survey) -> Section:
    """Measure how well facts beside the anatomy tell the label, which a network may learn instead."""
    heights, widths = survey.scan.shapes.T
    samples, labels, positive = survey.scan.samples, survey.labels, survey.dataset.positive
    facts = {
        "File size (kB)": survey.sizes_bytes / 1000,
        "Longer side (px)": np.maximum(heights, widths),
        "Height / width": heights / widths,
        "Mean grey level": survey.grey_levels,
    }
    rows = [
        (
            name,
            *(f"{np.median(values[labels == label]):.4g}" for label in (1, 0)),
            f"{auroc(labels, values):.2f}",
        )
        for name, values in facts.items()
    ]
    columns = ("Fact", f"median with {positive}", "median of normal", "AUROC")
    tables = [Table("What a single fact tells about the label", columns, rows)]
    if any(sample.hardware for sample in samples):
        told = {True: "seen", False: "none", None: "not told"}
        hardware = _members(told[sample.hardware] for sample in samples)
        tables.append(_by_class("Plates and screws", "Hardware", hardware, labels, positive))
    plots = [
        histogram(survey, facts["File size (kB)"], "File size", "kB, logarithmic", logarithmic=True),
        histogram(survey, facts["Mean grey level"], "Mean grey level", "grey level, 0 to 255"),
    ]
    if all(sample.number is not None for sample in samples):
        plots.append(order_of_export(survey))
    text = (
        "An AUROC far from 0.5, on either side, means that the label can be guessed without finding "
        "anything in the bones. A good score proves little then; look at the evaluation of each group."
    )
    return Section("What tells the label beside the anatomy", [text], tables, plots)


def boxes(survey: Survey) -> Section:
    """Show where the fracture boxes lie and how small they are."""
    samples, positive = survey.scan.samples, survey.dataset.positive
    found = [
        (box, height, width)
        for sample, (height, width) in zip(samples, survey.scan.shapes, strict=True)
        for box in sample.boxes
    ]
    centres = np.array([(box.y + box.height / 2, box.x + box.width / 2) for box, _, _ in found])
    lengths = np.array([max(box.height * h, box.width * w) / max(h, w) for box, h, w in found])
    quantiles = {"5 % are smaller than": 0.05, "half are smaller than": 0.5, "95 % are smaller than": 0.95}
    rows = [
        (
            name,
            f"{100 * np.quantile(lengths, share):.1f} %",
            *(f"{np.quantile(lengths, share) * size_px:.0f} px" for size_px in _INPUT_SIZES_PX),
        )
        for name, share in quantiles.items()
    ]
    columns = (
        "Longer side of the boxes",
        "of the picture's",
        *(f"at --image_size {size}" for size in _INPUT_SIZES_PX),
    )
    boxed = np.array([bool(sample.boxes) for sample in samples])
    positives = int(survey.labels.sum())
    text = (
        f"{_part(int(boxed[survey.labels == 1].sum()), positives)} of the X-rays with {positive} have "
        f"a box, and {boxed[survey.labels == 0].sum():,} of the normal ones."
    )
    plots = [box_centres(centres), box_lengths(lengths)]
    return Section("Fracture boxes", [text], [Table("Sizes", columns, rows)], plots)


def sample_sheet(survey: Survey) -> Section:
    """Show X-rays of each class, evenly chosen over the data set, with their boxes."""
    plots = []
    for name, label in ((survey.dataset.positive, 1), ("normal", 0)):
        members = np.flatnonzero(survey.labels == label)
        evenly = np.linspace(0, len(members) - 1, SHEET_ROWS * SHEET_COLUMNS).round().astype(np.int64)
        chosen = [survey.scan.samples[index] for index in members[np.unique(evenly)]]
        plots.append(Plot(draw_samples(chosen), f"{len(chosen)} X-rays labelled {name}."))
    return Section("Sample sheet", plots=plots)


def duplicates(survey: Survey) -> Section:
    """List pictures that are the same or nearly so, those labelled differently first."""
    samples, positive = survey.scan.samples, survey.dataset.positive
    alike, conflicts = [], []
    for (first, second), same in zip(survey.pairs, survey.identical, strict=True):
        labels = [_label(samples[index], positive) for index in (first, second)]
        row = (
            samples[first].image_id,
            samples[second].image_id,
            "identical" if same else "nearly the same",
        )
        if labels[0] == labels[1]:
            alike.append((*row, labels[0]))
        else:
            conflicts.append((*row, f"CONFLICT: {' and '.join(labels)}"))
    text = (
        f"{survey.identical.sum():,} pairs are identical in every pixel, {(~survey.identical).sum():,} "
        f"nearly so; {len(conflicts):,} pairs are labelled differently. A training never puts the two of a "
        "pair on different sides."
    )
    columns = ("X-ray", "other X-ray", "pictures", "label")
    table = Table("All pairs", columns, conflicts + alike, numbers=False)
    return Section("Duplicates", [text], [table] if survey.pairs.size else [])


def unreadable(survey: Survey) -> Section:
    """List the files that cannot be read, and what leaving them out does to the balance of labels."""
    samples, broken, positive = survey.dataset.samples, survey.scan.unreadable, survey.dataset.positive
    if not broken:
        return Section("Unreadable files", ["Every file can be read."])
    before = np.mean([sample.fractured for sample in samples])
    text = (
        f"{_part(len(broken), len(samples))} of the files cannot be read. The clinic's app refuses such "
        f"files, so they are left out. That moves the share with {positive} from {100 * before:.2f} % to "
        f"{100 * survey.labels.mean():.2f} %."
    )
    # what follows the first sentence tells the clinic's staff what to do
    reasons = [why.partition(". ")[0] for _, why in broken]
    labels = np.array([sample.fractured for sample, _ in broken])
    rows = [
        (sample.image_id, _label(sample, positive), reason)
        for (sample, _), reason in zip(broken, reasons, strict=True)
    ]
    tables = [
        _by_class("By reason", "Reason", _members(reasons), labels, positive),
        Table("All of them", ("File", "label", "reason"), rows, numbers=False),
    ]
    return Section("Unreadable files", [text], tables)


def _members(names: Iterable[str]) -> dict[str, list[int]]:
    """Return the indices at which each name stands, the most frequent name first."""
    found: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        found.setdefault(name, []).append(index)
    return dict(sorted(found.items(), key=lambda item: -len(item[1])))


def _by_class(
    caption: str,
    column: str,
    members: Mapping[str, Sequence[int]],
    labels: NDArray[np.generic],
    positive: str,
) -> Table:
    rows = [(name, *_counts(labels[list(indices)])) for name, indices in members.items()]
    return Table(caption, (column, "X-rays", positive, "normal", "share"), rows)


def _counts(labels: NDArray[np.generic]) -> list[str]:
    """Return how many there are, how many of each class, and the share of the positive class."""
    count, found = len(labels), np.count_nonzero(labels)
    return [f"{count:,}", f"{found:,}", f"{count - found:,}", f"{100 * found / count:.1f} %"]


def _weights(labels: NDArray[np.float32]) -> list[str]:
    """Return the weights of the positive and the normal class that let both count alike, with mean 1."""
    share = labels.mean()
    return [f"{0.5 / of_class:.2f}" if 0 < share < 1 else "1.00" for of_class in (share, 1 - share)]


def _label(sample: Sample, positive: str) -> str:
    return positive if sample.fractured else "normal"


def _part(count: float, whole: float) -> str:
    return f"{count:,.0f} ({100 * count / whole:.1f} %)"
