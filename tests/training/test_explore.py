from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.drawn_dataset import write_drawn_class_folders, write_drawn_mura
from training.data.batches import sample_weights
from training.evaluation.html_report import Section, figure_png
from training.exploration import sections
from training.exploration.survey import Survey, survey_dataset
from training.exploration.survey_plots import bars, draw_samples, draw_squares
from training.explore import main


@pytest.fixture(scope="module")
def drawn(drawn_dataset: Path) -> Survey:
    return survey_dataset(drawn_dataset)


@pytest.fixture(scope="module")
def mura(tmp_path_factory: pytest.TempPathFactory) -> Survey:
    return survey_dataset(write_drawn_mura(tmp_path_factory.mktemp("mura") / "MURA-v1.1"))


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Return class folders with 8 pictures of each class on each side; those of train are 000 to 071."""
    return write_drawn_class_folders(tmp_path / "folders", ("train", "test"))


@pytest.fixture
def copied(drawn_dataset: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn_dataset, tmp_path / "copy"))


def rewrite(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def rows_of(section: Section, caption: str) -> dict[str, list[str]]:
    [table] = [table for table in section.tables if table.caption == caption]
    return {row[0]: list(row[1:]) for row in table.rows}


def last_rows(section: Section) -> list[list[str]]:
    return [list(row) for row in section.tables[-1].rows]


def class_rows(survey: Survey) -> dict[str, list[str]]:
    return rows_of(
        sections.class_balance(survey), f"Readable X-rays, and the share with {survey.dataset.positive}"
    )


def test_overview_counts_what_is_readable(drawn: Survey) -> None:
    rows = rows_of(sections.overview(drawn), "What was found")
    assert rows["Layout"] == ["FracAtlas"]
    assert rows["X-rays"] == ["64"]
    assert rows["Readable"] == ["63 (98.4 %)"]
    assert rows["Readable with fracture"] == ["32 (50.8 %)"]
    assert rows["Fracture boxes"] == ["32"]


def test_unreadable_files_are_listed_with_what_leaving_them_out_does(drawn: Survey) -> None:
    section = sections.unreadable(drawn)
    assert "from 50.00 % to 50.79 %" in section.text[0]
    [[name, label, reason]] = last_rows(section)
    assert (name, label) == ("IMG0000000.jpg", "normal")
    assert reason == "The picture is broken or incomplete, so nothing in it was judged"


def test_readable_data_set_lists_no_file(mura: Survey) -> None:
    section = sections.unreadable(mura)
    assert (section.text, section.tables) == (["Every file can be read."], ())


def test_classes_are_counted_by_body_part(mura: Survey) -> None:
    rows = class_rows(mura)
    assert rows["all"][:4] == ["72", "36", "36", "50.0 %"]
    assert {name: row[:3] for name, row in rows.items() if name != "all"} == {
        part: ["24", "12", "12"] for part in ("wrist", "elbow", "hand")
    }


def test_suggested_weights_are_those_of_a_training(drawn: Survey) -> None:
    suggested = class_rows(drawn)["all"][4:]
    weights = sample_weights(drawn.scan.samples, np.arange(63), "class")
    assert suggested == [f"{weights[drawn.labels == label][0]:.2f}" for label in (1, 0)]
    assert suggested == ["0.98", "1.02"]  # 63 / (2 * 32) and 63 / (2 * 31)


def test_part_of_one_class_is_not_weighted(copied: Path) -> None:
    rewrite(copied / "dataset.csv", "IMG0000006.jpg,1,1,0,0", "IMG0000006.jpg,1,0,0,1")
    assert class_rows(survey_dataset(copied))["hip"] == ["1", "1", "0", "100.0 %", "1.00", "1.00"]


def test_data_set_without_body_parts_is_counted_as_a_whole(folders: Path) -> None:
    assert class_rows(survey_dataset(folders)) == {"all": ["32", "16", "16", "50.0 %", "1.00", "1.00"]}


def test_patients_and_studies_are_counted_by_class(mura: Survey) -> None:
    rows = rows_of(sections.patients(mura), "Counts")
    assert rows == {"patients": ["36", "18", "18", "0"], "studies": ["36", "18", "18", "0"]}


def test_sides_are_counted_and_leaks_are_listed(folders: Path) -> None:
    clean = sections.sides(survey_dataset(folders))
    assert rows_of(clean, "Readable X-rays") == {
        side: ["16", "8", "8", "50.0 %"] for side in ("train", "test")
    }
    assert clean.text == ["Nothing leaks."]
    shutil.copy(folders / "train/normal/020.png", folders / "test/normal/again.png")
    assert last_rows(sections.sides(survey_dataset(folders))) == [
        ["train/normal/020.png", "test/normal/again.png", "nearly the same picture"]
    ]


def test_duplicates_are_told_apart_and_conflicts_come_first(folders: Path) -> None:
    shutil.copy(folders / "train/normal/020.png", folders / "train/normal/same.png")
    brighter = np.asarray(Image.open(folders / "train/normal/030.png")) + 9
    Image.fromarray(brighter).save(folders / "train/fractured/brighter.png")
    section = sections.duplicates(survey_dataset(folders))
    assert last_rows(section) == [
        [
            "train/fractured/brighter.png",
            "train/normal/030.png",
            "nearly the same",
            "CONFLICT: fracture and normal",
        ],
        ["train/normal/020.png", "train/normal/same.png", "identical", "normal"],
    ]
    assert section.text[0].startswith("1 pairs are identical in every pixel, 1 nearly so; 1 pairs are")


def test_formats_and_depths_are_counted_by_class(folders: Path) -> None:
    ramp = np.arange(64 * 64, dtype=np.uint16).reshape(64, 64) * 16
    Image.fromarray(ramp).save(folders / "train/fractured/deep.png")
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(folders / "train/normal/colour.jpg")
    section = sections.files(survey_dataset(folders))
    assert {name: row[:3] for name, row in rows_of(section, "Formats").items()} == {
        "PNG, 8-bit grey": ["32", "16", "16"],
        "PNG, 16-bit grey": ["1", "1", "0"],
        "JPEG, 8-bit colour": ["1", "0", "1"],
    }
    assert rows_of(section, "The most frequent sizes")["96 x 114"][0] == "32"
    assert "1 pictures are deeper than 8 bits" in section.text[0]


def test_grey_level_is_that_of_the_picture_alone(folders: Path) -> None:
    Image.fromarray(np.full((60, 240), 100, np.uint8)).save(folders / "train/normal/flat.png")
    survey = survey_dataset(folders)
    [flat] = [i for i, sample in enumerate(survey.scan.samples) if sample.path.name == "flat.png"]
    assert survey.grey_levels[flat] == pytest.approx(100, abs=0.5)


def test_fact_that_tells_the_label_has_an_auroc_far_from_a_half(folders: Path) -> None:
    for path in folders.rglob("fractured/*.png"):
        Image.open(path).crop((0, 0, 96, 57)).save(path)
    rows = rows_of(sections.shortcuts(survey_dataset(folders)), "What a single fact tells about the label")
    assert rows["Longer side (px)"] == ["96", "114", "0.00"]


def test_hardware_is_counted_where_the_data_set_tells_of_it(copied: Path) -> None:
    rewrite(copied / "dataset.csv", "IMG0000006.jpg,1,1,0,0,0,0", "IMG0000006.jpg,1,1,0,0,0,1")
    rows = rows_of(sections.shortcuts(survey_dataset(copied)), "Plates and screws")
    assert rows == {"none": ["62", "31", "31", "50.0 %"], "seen": ["1", "1", "0", "100.0 %"]}


def test_box_sizes_are_given_in_pixels_of_the_input(drawn: Survey) -> None:
    section = sections.boxes(drawn)
    # 0.2 of 93 pixels is longer than 0.1 of 113: 18.6 / 113 = 16.5 %, of 224 pixels 37
    assert rows_of(section, "Sizes")["half are smaller than"] == ["16.5 %", "37 px", "63 px"]
    assert section.text == [
        "32 (100.0 %) of the X-rays with fracture have a box, and 0 of the normal ones."
    ]


def test_sample_sheet_draws_pictures_with_their_boxes(drawn: Survey) -> None:
    samples = drawn.scan.samples[:7]
    axes = draw_samples(samples).axes
    assert [len(place.images) for place in axes] == 7 * [1] + 5 * [0]
    assert [len(place.patches) for place in axes[:7]] == [len(sample.boxes) for sample in samples]
    box = axes[0].patches[0]
    assert (box.get_x(), box.get_y()) == pytest.approx((0.3 * 93, 0.4 * 113))


def test_names_with_dollars_are_drawn_as_they_are(drawn: Survey) -> None:
    odd = replace(drawn.scan.samples[0], image_id=r"$\bad$.jpg")
    figures = [draw_samples([odd]), bars(drawn, {r"$\bad$": [0, 1]}, "body part").figure]
    assert all(figure_png(figure) for figure in figures)


def test_squares_are_drawn_with_the_outline_of_their_mask() -> None:
    mask = np.zeros((32, 32), np.uint8)
    mask[10:20, 4:9] = 255
    [axes] = [axes for axes in draw_squares([mask], [mask]).axes if axes.images]
    [[outline]] = [path.to_polygons() for path in axes.collections[0].get_paths()]
    # columns 4 to 8 and rows 10 to 19, half a pixel around
    assert (*outline.min(axis=0), *outline.max(axis=0)) == (3.5, 9.5, 8.5, 19.5)


def test_report_of_every_layout_holds_what_the_layout_tells(
    drawn: Survey, mura: Survey, folders: Path
) -> None:
    def titles(survey: Survey) -> set[str]:
        return {section.title for section in sections.all_sections(survey, pictures=False)}

    always = titles(survey_dataset(folders)) - {"Sides"}
    assert titles(drawn) - always == {"Fracture boxes"}
    assert titles(mura) - always == {"Sides", "Patients and studies"}


def test_report_with_pictures_says_so_first(drawn_dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "deeper" / "report.html"
    assert main(["--data", str(drawn_dataset), "--out", str(out)]) == 0
    text = out.read_text()
    assert text.index("shows X-rays of patients") < text.index("What was found")
    assert "Sample sheet" in text


def test_report_without_pictures_takes_its_name_from_the_folder(
    drawn_dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["--data", str(drawn_dataset), "--no-pictures"]) == 0
    text = (tmp_path / "explore-drawn.html").read_text()
    assert "shows X-rays of patients" not in text
    assert "Sample sheet" not in text


def test_terminal_shows_a_short_summary(
    drawn_dataset: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    main(["--data", str(drawn_dataset), "--out", str(tmp_path / "report.html"), "--no_pictures"])
    assert "drawn: FracAtlas layout, 64 X-rays." in caplog.messages
    assert "    32 with fracture (50.0 %)" in caplog.messages
    assert "     1 unreadable" in caplog.messages


def spoil(path: Path) -> None:
    for file in path.iterdir():
        file.write_bytes(b"no picture")


@pytest.mark.parametrize(
    ("harm", "places", "message"),
    [
        (shutil.rmtree, ("train", "test"), "fits no layout that is known"),
        (shutil.rmtree, ("train/normal", "test/normal"), "all 16 X-rays are fractured"),
        (spoil, ("train/normal", "test/normal"), "the 16 that can be read in"),
        (
            spoil,
            ("train/normal", "test/normal", "train/fractured", "test/fractured"),
            "None of the 32 images",
        ),
    ],
)
def test_folder_that_cannot_be_explored_is_explained_in_a_sentence(
    folders: Path, caplog: pytest.LogCaptureFixture, harm: object, places: tuple[str, ...], message: str
) -> None:
    for place in places:
        harm(folders / place)
    assert main(["--data", str(folders), "--out", str(folders / "report.html")]) == 1
    [sentence] = caplog.messages
    assert message in sentence
    assert not (folders / "report.html").exists()


@pytest.mark.slow
def test_real_data_set_shows_its_known_traps(xray_dir: Path) -> None:
    survey = survey_dataset(xray_dir)
    assert (
        sections.duplicates(survey)
        .text[0]
        .startswith(
            "86 pairs are identical in every pixel, 25 nearly so; 5 pairs are labelled differently."
        )
    )
    assert [sample.fractured for sample, _ in survey.scan.unreadable] == 56 * [False]
    assert rows_of(sections.shortcuts(survey), "Plates and screws")["seen"][:3] == ["82", "80", "2"]
