"""Look at a data set before training on it: `python -m training.explore --data DIR --out REPORT.html`."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from training.cli import add_option, run_explained
from training.data.splits import label_conflicts
from training.evaluation.html_report import write_report
from training.exploration.sections import all_sections
from training.exploration.survey import Survey, survey_dataset

logger = logging.getLogger(__name__)


def explore(data_dir: Path, out: Path, pictures: bool) -> None:
    """Write a report on a data set, with what stands out logged.

    Args:
        data_dir: A folder in one of the known layouts.
        out: The HTML file.
        pictures: Whether it shows X-rays.

    Raises:
        DataError: the folder fits no layout, or what can be read in it is not of both classes.
    """
    survey = survey_dataset(data_dir)
    title = f"Data exploration: {survey.dataset.name}"
    subtitle = f"{survey.dataset.layout} layout, {len(survey.dataset.samples):,} X-rays"
    out.parent.mkdir(parents=True, exist_ok=True)
    write_report(out, title, subtitle, all_sections(survey, pictures))
    _log_summary(survey)
    logger.info("The report is %s.", out)


def _log_summary(survey: Survey) -> None:
    dataset, scan = survey.dataset, survey.scan
    logger.info("%s: %s layout, %d X-rays.", dataset.name, dataset.layout, len(dataset.samples))
    fractured = sum(sample.fractured for sample in dataset.samples)
    logger.info(
        "%6d with %s (%.1f %%)", fractured, dataset.positive, 100 * fractured / len(dataset.samples)
    )
    logger.info("%6d unreadable", len(scan.unreadable))
    logger.info("%6d pairs of duplicates", len(survey.pairs))
    logger.info("%6d of them labelled differently", len(label_conflicts(scan.samples, survey.pairs)))
    for remark in dataset.remarks:
        logger.info("%s", remark)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training.explore", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="X-rays in one of the known layouts")
    parser.add_argument("--out", type=Path, help="the report (default: explore-<data folder>.html)")
    add_option(parser, "no_pictures", action="store_true", help="show no X-rays")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 an error that is explained."""
    options = _parse(arguments)
    out = options.out or Path(f"explore-{options.data.resolve().name}.html")
    return run_explained(lambda: explore(options.data, out, pictures=not options.no_pictures))


if __name__ == "__main__":
    sys.exit(main())
