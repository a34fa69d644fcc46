"""A folder of X-rays to a table, worst first: `python -m edge_app.batch DIR --out results.csv`."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from edge_app.errors import EdgeError, ImageError, ImageTooLarge, SettingsError
from edge_app.files import write_whole
from edge_app.imaging.child import ChildDecoder
from edge_app.model.room import FIRST_ANSWER_S, bounded_time
from edge_app.predictor import Predictor, PredictorLike
from edge_app.reports.csv_table import Row, to_csv
from edge_app.settings import Settings, parse_batch_settings

logger = logging.getLogger("edge_app.batch")


def main(arguments: Sequence[str] | None = None, start_limit_s: float = FIRST_ANSWER_S) -> int:
    """Predict for every file of a folder, and write the table.

    Args:
        arguments: The words after the program's name.
        start_limit_s: The longest that the model may take to give its first answers.

    Returns:
        The exit code: 0 when the table is written, 2 when it cannot be.
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        settings, folder, out_path = parse_batch_settings(arguments)
        with closing(ChildDecoder(settings.max_pixels)) as decoder:
            with bounded_time(start_limit_s, logger.error, exit_code=2):
                predictor = Predictor(
                    settings.bundle_dir, settings.device, settings.threads, settings.trusted_key, decoder
                )
            rows = list(predict_folder(folder, predictor, settings))
        with write_whole(out_path) as place:
            place.write_text(to_csv(rows), encoding="utf-8-sig")  # so that spreadsheets read every script
    except (EdgeError, OSError) as error:
        logger.error("%s", error)
        return 2
    logger.info(
        "%d files, %d of them not judged: %s", len(rows), sum(bool(r.error) for r in rows), out_path
    )
    return 0


def predict_folder(folder: Path, predictor: PredictorLike, settings: Settings) -> Iterator[Row]:
    """Predict for each file beneath a folder; one that is broken stops no other.

    Links are not followed out of the folder.

    Args:
        folder: The folder.
        predictor: What predicts for a picture.
        settings: For the cap on a file.

    Yields:
        A row for each file, in the order of their names.

    Raises:
        SettingsError: there is no such folder.
    """
    if not folder.is_dir():
        raise SettingsError(f"There is no folder {folder}.")
    paths = sorted(_files_beneath(folder))
    for count, path in enumerate(paths, start=1):
        row = _predict_file(path, str(path.relative_to(folder)), predictor, settings.max_upload_bytes)
        logger.info("%d of %d: %s", count, len(paths), row.error or row.prediction)
        yield row


def _files_beneath(folder: Path) -> Iterator[Path]:
    for root, _, names in os.walk(folder, followlinks=False):
        yield from (Path(root) / name for name in names if not (Path(root) / name).is_symlink())


def _predict_file(path: Path, name: str, predictor: PredictorLike, max_bytes: int) -> Row:
    try:
        if path.stat().st_size > max_bytes:
            raise ImageTooLarge(f"The file has more than {max_bytes // 1024**2} MB.")
        prediction = predictor.predict(path.read_bytes())
    except ImageError as error:
        return Row(name, error=error.code, message=str(error))
    except OSError as error:
        return Row(name, error="unreadable", message=f"The file cannot be read: {error.strerror}.")
    return Row(name, prediction.prediction, prediction.probability, prediction.threshold)


if __name__ == "__main__":
    sys.exit(main())
