"""Pictures from folders: every format and mode, every kind of trouble, and the way back."""

import os
import struct
import sys
import time
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import datasets.read.folders
import datasets.read.picture
from datasets.draw.shapes import draw_shapes
from datasets.read.folders import export_images, read_folder, split
from datasets.read.picture import decode
from datasets.store.files import printable

links = pytest.mark.skipif(os.name == "nt", reason="links need a right on Windows")
FORMATS = {"png": "PNG", "jpg": "JPEG", "bmp": "BMP", "gif": "GIF", "webp": "WEBP", "tif": "TIFF"}


def save(path: Path, pixels: np.ndarray, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, **options)
    return path


def grey(value: int = 7, size: tuple[int, int] = (4, 3)) -> np.ndarray:
    return np.full(size, value, np.uint8)


def picture_bytes(kind: str, rng: np.random.Generator, mode: str = "RGB") -> bytes:
    pixels = rng.integers(0, 256, (9, 11, 3), dtype=np.uint8)
    buffer = BytesIO()
    Image.fromarray(pixels).convert(mode).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes, three good grey pictures."""
    save(tmp_path / "a" / "1.png", grey(1))
    save(tmp_path / "a" / "2.png", grey(2))
    save(tmp_path / "b" / "1.png", grey(3))
    return tmp_path


def problem(folder: Path) -> str:
    """The one complaint about a folder, which skip_bad silences, and which it reports the same."""
    with pytest.raises(
        ValueError, match=r"1 files or folders cannot be used, 3 pictures can"
    ) as told:
        read_folder(folder)
    summary, line = str(told.value).split("\n")
    assert "--skip_bad trains on those" in summary
    rest = read_folder(folder, skip_bad=True)
    assert rest.skipped == [line.strip()] and rest.labels.tolist() == [0, 0, 1]
    return line.replace(os.sep, "/")


# --- what is read ----------------------------------------------------------------


def test_classes_and_files_come_in_sorted_order(tmp_path):
    for name, value in (("b 2/z.png", 5), ("b 2/a.png", 4), ("a\u00e9/0.png", 1), ("Z/0.png", 0)):
        save(tmp_path / name, grey(value))
    images, labels, names, skipped, notes = read_folder(tmp_path)
    assert images.shape == (4, 1, 4, 3) and images.dtype == np.uint8
    assert labels.dtype == np.int64 and labels.tolist() == [0, 1, 2, 2]
    assert images[:, 0, 0, 0].tolist() == [0, 1, 4, 5]
    assert names == ["Z", "a\u00e9", "b 2"] and skipped == notes == []


@pytest.mark.parametrize(("ending", "kind"), FORMATS.items())
def test_every_format_in_grey_and_in_colour(tmp_path, ending, kind):
    lossy = 12 if kind in ("JPEG", "WEBP") else 0
    shade = np.add.outer(np.arange(16), np.arange(16)).astype(np.uint8) * 8
    for channels, pixels in ((1, shade), (3, np.stack([shade, shade, shade // 8 * 8], -1))):
        pixels = pixels.copy()
        if channels == 3:
            pixels[..., 0] = 0
        for name in ("a", "b"):
            save(tmp_path / str(channels) / name / f"1.{ending}", pixels, format=kind)
        images = read_folder(tmp_path / str(channels)).images
        if kind == "WEBP" and channels == 1:  # WebP knows no grey
            images = images[:, :1]
        wanted = pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
        assert images.shape == (2, channels, 16, 16)
        assert np.abs(images[0].astype(int) - wanted).max() <= lossy


def test_grey_stays_one_channel_and_one_coloured_picture_makes_all_rgb(folder):
    assert read_folder(folder).images.shape == (3, 1, 4, 3)
    save(folder / "b" / "2.png", np.full((4, 3, 3), (200, 0, 90), np.uint8))
    images = read_folder(folder).images
    assert images.shape == (4, 3, 4, 3)
    assert images[0, :, 0, 0].tolist() == [1, 1, 1] and images[3, :, 0, 0].tolist() == [200, 0, 90]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F", "LAB"])
def test_every_mode_shows_the_same_half_white_picture(tmp_path, mode):
    pixels = np.repeat([[0, 255]], 4, axis=0).repeat(3, axis=1).astype(np.uint8)
    picture = Image.fromarray(pixels)
    if mode == "I;16":
        picture = Image.fromarray(pixels.astype(np.uint16) * 257)
    elif mode == "LAB":
        picture = Image.merge("LAB", [picture, *[Image.new("L", picture.size, 128)] * 2])
    else:
        picture = picture.convert(mode)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        picture.save(tmp_path / name / "1.tif")
    images = read_folder(tmp_path).images
    assert images.shape[1] == (3 if mode in ("RGB", "RGBA", "CMYK", "LAB") else 1)
    assert np.abs(images.astype(int) - pixels).max() <= 1


def test_sixteen_bits_are_scaled_not_clipped(folder):
    for i, deep in enumerate((np.uint16, np.int32, np.float32)):
        ramp = np.linspace(0, 65535, 12).reshape(4, 3).astype(deep)
        Image.fromarray(ramp).save(folder / "a" / f"deep_{i}.tif")
    unit = np.linspace(0, 1, 12, dtype=np.float32).reshape(4, 3)  # floats may mean shares, too
    Image.fromarray(unit).save(folder / "a" / "deep_3.tif")
    images = read_folder(folder).images
    wanted = np.rint(np.linspace(0, 255, 12)).reshape(4, 3)
    for deep_one in images[2:6, 0]:
        assert np.abs(deep_one - wanted).max() <= 1


def deep_png(pixels: np.ndarray) -> bytes:
    """A PNG of 16 bits a channel from pixels (H, W, C); Pillow writes none."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)

    H, W, C = pixels.shape
    head = struct.pack(">IIBBBBB", W, H, 16, {2: 4, 3: 2, 4: 6}[C], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


@pytest.mark.parametrize("C", [2, 3, 4])
def test_colours_of_16_bits_do_not_turn_black(tmp_path, C):
    path, shades = tmp_path / "deep.png", np.linspace(0, 1, 80).reshape(4, 20, 1)
    for white in (255, 4095, 65535):
        pixels = np.repeat(shades * white, C, axis=2)
        if C % 2 == 0:
            pixels[:, :, -1] = white  # opaque
        path.write_bytes(deep_png(pixels.astype(np.uint16)))
        if white < 65535:
            with pytest.raises(ValueError, match=r"deep\.png: .*16-bit colours end at 4095"):
                decode(path, 3)
        else:
            assert np.abs(decode(path, 1)[0] - 255 * shades[:, :, 0]).max() < 2
    if C % 2 == 0:  # black ink on nothing
        pixels = np.zeros((4, 20, C), np.uint16)
        pixels[:, 5:, -1] = 65535
        path.write_bytes(deep_png(pixels))
        assert (decode(path, 1)[0] == np.where(np.arange(20) < 5, 255, 0)).all()


def ramp(white: float, dtype: type) -> np.ndarray:
    return np.tile(np.linspace(0, white, 16), (4, 1)).astype(dtype)


@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        (ramp(255, np.uint16), {}),
        (ramp(4095, np.uint16), {}),
        (ramp(255, np.int32), {}),
        (ramp(255, np.float32), {}),
        (ramp(1, np.float32), {}),
        (65535 - ramp(65535, np.uint16), {"tiffinfo": {262: 0}}),  # MinIsWhite
        (255 - ramp(255, np.uint8), {"tiffinfo": {262: 0}}),
    ],
)
def test_white_is_told_by_the_pixels_of_a_tiff(tmp_path, pixels, options):
    if 262 in options.get("tiffinfo", {}):
        pixels = pixels if pixels.dtype == np.uint16 else 255 - pixels  # Pillow inverts 8 bits
    image = decode(save(tmp_path / "1.tif", pixels, **options), 1)[0]
    assert np.abs(image.astype(int) - ramp(255, int)).max() <= 1


@pytest.mark.parametrize("pixels", [ramp(1, float) * 2 - 1, ramp(10**6, float), -ramp(9, int)])
def test_deep_pixels_that_have_no_white_are_refused(tmp_path, pixels):
    kind = np.float32 if pixels.dtype == float else np.int32
    path = save(tmp_path / "1.tif", pixels.astype(kind))
    with pytest.raises(ValueError, match=r"1\.tif: .*expected 0 to 1, 255 or 65535"):
        decode(path, 1)


def test_zeros_and_ones_are_black_and_white(tmp_path):
    pixels = (ramp(255, np.uint8) > 99).astype(np.uint8)
    image = decode(save(tmp_path / "1.png", pixels), 1)[0]
    assert (image == 255 * pixels).all()


def test_a_bitmap_whose_fourth_byte_is_unused_is_not_transparent(tmp_path):
    pixels = np.dstack([ramp(255, np.uint8)] * 3 + [np.zeros((4, 16), np.uint8)])
    masks = struct.pack("<4I4s48x", 0xFF0000, 0xFF00, 0xFF, 0xFF000000, b"BGRs")
    info = struct.pack("<IiiHHIIiiII", 108, 16, -4, 1, 32, 3, pixels.nbytes, 0, 0, 0, 0) + masks
    head = struct.pack("<2sIHHI", b"BM", 14 + len(info) + pixels.nbytes, 0, 0, 14 + len(info))
    (tmp_path / "1.bmp").write_bytes(head + info + pixels.tobytes())
    assert (decode(tmp_path / "1.bmp", 1)[0] == pixels[..., 0]).all()


def test_a_small_webp_that_would_fill_300_megabytes_is_refused(tmp_path):
    Image.new("RGB", (4000, 4000)).save(tmp_path / "1.webp", lossless=True)
    with pytest.raises(ValueError, match=r"1\.webp: too large \(4000 x 4000 pixels in .* bytes\)"):
        decode(tmp_path / "1.webp", 1)


def test_a_bad_tiff_is_told_by_its_name_and_by_nothing_else(tmp_path, capfd):
    path = save(tmp_path / "1.tif", ramp(255, np.uint8), compression="tiff_lzw")
    data = bytearray(path.read_bytes())
    data[8:20] = bytes(12)
    path.write_bytes(data)
    with pytest.raises(ValueError, match=r"1\.tif: damaged picture"):
        decode(path, 1)
    assert capfd.readouterr() == ("", "")


def test_transparency_shows_white(folder):
    ink = np.zeros((4, 3, 4), np.uint8)  # black, invisible but for one pixel
    ink[1, 1, 3], ink[2, 2, 3] = 255, 128
    save(folder / "a" / "3.png", ink)
    save(folder / "a" / "4.png", ink[..., 2:])  # grey with alpha
    palette = Image.fromarray(grey(0)).convert("P")
    palette.save(folder / "a" / "5.gif", transparency=0)
    images = read_folder(folder).images
    for image in images[2:4]:
        assert image[0].tolist() == [[255] * 3, [255, 0, 255], [255, 255, 127], [255] * 3]
    assert (images[4] == 255).all()


@pytest.mark.parametrize("ending", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_followed(tmp_path, ending, orientation):
    upright = np.full((16, 32), 250, np.uint8)
    upright[:8, :8] = 0  # a dark corner, top left
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # each undone
    stored = Image.fromarray(upright)
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(turns[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        stored.save(tmp_path / name / f"1.{ending}", exif=exif)
    image = read_folder(tmp_path).images[0, 0].astype(int)
    assert image.shape == (16, 32) and np.abs(image - upright).max() < 40


def test_the_first_frame_of_an_animation(folder):
    frames = [Image.fromarray(grey(value)) for value in (9, 99, 199)]
    frames[0].save(folder / "a" / "3.gif", save_all=True, append_images=frames[1:])
    assert (read_folder(folder).images[2] == 9).all()


def test_image_size_brings_all_to_one(folder):
    save(folder / "b" / "2.png", grey(100, (1, 1)))
    save(folder / "b" / "3.jpg", grey(200, (300, 500)))
    images = read_folder(folder, (6, 5)).images
    assert images.shape == (5, 1, 6, 5) and images.mean(axis=(1, 2, 3)).tolist() == [
        1,
        2,
        3,
        100,
        200,
    ]


def test_one_pixel_is_a_picture(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / name / "1.png", grey(5, (1, 1)))
    assert read_folder(tmp_path).images.tolist() == [[[[5]]]] * 2


def test_hidden_files_and_texts_are_passed_over(folder):
    (folder / ".git").mkdir()
    (folder / "__MACOSX").mkdir()
    for name in (
        ".DS_Store",
        "a/.DS_Store",
        "a/Thumbs.db",
        "a/._1.png",
        "b/notes.TXT",
        "labels.csv",
    ):
        (folder / name).write_bytes(b"\0 nothing to see")
    assert read_folder(folder).class_names == ["a", "b"]


@pytest.mark.parametrize(
    "name", ["$RECYCLE.BIN/x.png", "System Volume Information/x.png", "a/Icon\r", "a/1.AAE",
             "a/1.png:Zone.Identifier", "a/1.pngZone.Identifier", "b/lost+found/x.png"],
)  # fmt: skip
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_what_systems_leave_behind_is_passed_over(folder, name):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"\0 nothing to see")
    assert read_folder(folder).labels.tolist() == [0, 0, 1]


def test_ten_times_the_entries_take_no_hundred_times_as_long(tmp_path):
    times = []
    for n in (300, 3000):
        for name in "ab":
            for i in range(n):
                (tmp_path / f"{n}" / name / f"{i}").mkdir(parents=True)
        start = time.process_time()
        with pytest.raises(ValueError, match=r"expected at least|cannot be used"):
            read_folder(tmp_path / f"{n}")
        times.append(time.process_time() - start)
    assert times[1] < 40 * times[0]


@links
def test_a_class_folder_may_be_a_link(folder, tmp_path_factory):
    elsewhere = save(tmp_path_factory.mktemp("elsewhere") / "1.png", grey()).parent
    (folder / "c").symlink_to(elsewhere, target_is_directory=True)
    assert read_folder(folder).class_names == ["a", "b", "c"]


# --- what is wrong with a picture ---------------------------------------------------


def test_a_text_named_png(folder):
    (folder / "a" / "3.png").write_text("hello")
    assert "a/3.png: not a PNG, JPEG, BMP, GIF, WebP or TIFF picture" in problem(folder)


def test_an_unknown_file(folder):
    (folder / "a" / "weights.bin").write_bytes(b"12345")
    assert "weights.bin: not a PNG" in problem(folder)


def test_an_empty_file(folder):
    (folder / "a" / "3.png").touch()
    assert "3.png: the file is empty" in problem(folder)


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_truncated_picture(folder, kind):
    whole = picture_bytes(kind, np.random.default_rng(0))
    (folder / "a" / "3.png").write_bytes(whole[: len(whole) * 3 // 4])
    with pytest.raises(ValueError, match=r"a.3.png: damaged picture \(.*runcated"):
        read_folder(folder, (4, 3))


def test_a_picture_cut_anywhere_is_refused_or_whole(folder):
    whole = picture_bytes("PNG", np.random.default_rng(0), "L")
    file = folder / "b" / "1.png"
    file.write_bytes(whole)
    pixels = decode(file, 1)
    for end in range(len(whole)):
        file.write_bytes(whole[:end])
        try:
            assert (decode(file, 1) == pixels).all() and end > len(whole) - 24  # check sum, IEND
        except ValueError as error:
            assert "1.png: " in str(error)


def test_a_decompression_bomb_is_not_decoded(folder, monkeypatch):
    save(folder / "a" / "3.png", grey(0, (5, 7)))
    monkeypatch.setattr(datasets.read.picture, "PIXELS_MAX", 30)
    assert "3.png: too large (5 x 7 pixels; at most 30 and 30,000 a side are read)" in problem(
        folder
    )


@pytest.mark.parametrize(
    "side", [9_000, 12_000, 2**31 - 1]
)  # our bound, Pillow's warning and error
def test_a_small_file_that_claims_to_be_huge(folder, side):
    data = bytearray((folder / "a" / "1.png").read_bytes())
    data[16:24] = struct.pack(">II", side, side)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    (folder / "a" / "3.png").write_bytes(data)
    assert "3.png: too large (" in problem(folder)


def test_a_long_thin_picture_is_refused(folder):
    save(folder / "a" / "3.png", grey(0, (1, 30_001)))
    assert "3.png: too large (1 x 30001 pixels" in problem(folder)


def test_a_huge_file_is_not_read(folder):
    with open(folder / "a" / "3.png", "wb") as file:
        file.write((folder / "a" / "1.png").read_bytes())
        file.truncate(300 * 2**20)  # sparse
    assert "3.png: too large (314,572,800 bytes" in problem(folder)


def test_unreadable_permissions(folder, monkeypatch):
    save(folder / "a" / "3.png", grey())
    real = Path.open

    def refuse(path, mode):
        if path.name == "3.png":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, mode)

    monkeypatch.setattr(Path, "open", refuse)
    assert "a/3.png: Permission denied" in problem(folder)


def test_an_unreadable_class(folder, monkeypatch):
    (folder / "c").mkdir()
    real = os.listdir

    def refuse(path):
        if str(path).endswith("c"):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "listdir", refuse)
    assert "/c: Permission denied" in problem(folder)


@links
def test_links_that_lead_nowhere_or_in_circles(folder):
    (folder / "a" / "3.png").symlink_to("nothing.png")
    assert "3.png: a link that leads nowhere" in problem(folder)
    (folder / "a" / "3.png").unlink()
    (folder / "a" / "3.png").symlink_to("3.png")
    assert "3.png: a link that leads nowhere" in problem(folder)


@links
def test_a_link_to_the_folder_itself_ends(folder):
    (folder / "a" / "loop").symlink_to(folder, target_is_directory=True)
    assert "a/loop: a folder inside a class, which is not read" in problem(folder)


def test_a_folder_named_like_a_picture(folder):
    (folder / "a" / "3.png").mkdir()
    assert "a/3.png: a folder inside a class, which is not read" in problem(folder)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_does_not_hang(folder):
    os.mkfifo(folder / "a" / "3.png")
    assert "3.png: expected a file, this is a folder or a device" in problem(folder)


def test_a_picture_beside_the_class_folders(folder):
    save(folder / "stray.png", grey())
    assert "stray.png: lies beside the class folders, in none" in problem(folder)


def test_a_class_without_pictures(folder):
    (folder / "c").mkdir()
    (folder / "c" / "notes.txt").write_text("later")
    assert problem(folder).endswith("/c: a class without pictures")


def test_a_class_of_folders_hints_at_the_right_level(folder):
    save(folder / "train" / "cat" / "1.png", grey())
    assert "a class without pictures, only folders (cat): is this the folder to read?" in problem(
        folder
    )


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_names_cannot_break_a_line_or_drive_the_terminal(folder):
    names = ["line\nbreak.png", "red\x1b[31m.png", "\u540d \u524d.png"]
    if sys.platform != "darwin":  # whose file system has no such names
        names.append(os.fsdecode(b"\xff.png"))
    for name in names:
        (folder / "a" / name).write_bytes(b"?")
    with pytest.raises(ValueError, match=rf"{len(names)} files or folders") as told:
        read_folder(folder)
    lines = str(told.value).split("\n")
    assert len(lines) == 1 + len(names) and all(line.isprintable() for line in lines)
    assert any("line\\nbreak.png" in line for line in lines) and "\u540d \u524d" in str(told.value)
    assert printable("a\x1bb\ud8ffc") == "a\\x1bb\\ud8ffc"


def test_a_long_list_is_cut(folder):
    for i in range(33):
        (folder / "a" / f"bad_{i:02}.png").write_text("x")
    with pytest.raises(
        ValueError, match=r"33 files or folders cannot be used, 3 pictures can"
    ) as told:
        read_folder(folder)
    lines = str(told.value).split("\n")
    assert len(lines) == 22 and lines[-1].strip() == "... and 13 more"
    assert len(read_folder(folder, skip_bad=True).skipped) == 33


def test_a_class_that_is_skipped_whole_is_no_class(folder):
    save(folder / "c" / "1.png", grey(9))
    (folder / "b" / "1.png").write_text("x")
    images, labels, names, *_ = read_folder(folder, skip_bad=True)
    assert names == ["a", "c"] and labels.tolist() == [0, 0, 1] and images[2].max() == 9


# --- what is wrong with the folder --------------------------------------------------


def test_no_such_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such folder"):
        read_folder(tmp_path / "nowhere")


def test_a_file_is_no_folder(folder):
    with pytest.raises(ValueError, match=r"expected a folder of class folders, this is a file"):
        read_folder(folder / "a" / "1.png")


def test_an_empty_folder(tmp_path):
    with pytest.raises(ValueError, match=r"expected a folder for each class.*found none$"):
        read_folder(tmp_path)


def test_pictures_without_class_folders(folder):
    with pytest.raises(ValueError, match=r"expected a folder for each class.*but 2 pictures$"):
        read_folder(folder / "a")


def test_one_class_only(folder):
    (folder / "b" / "1.png").unlink()
    (folder / "b").rmdir()
    with pytest.raises(ValueError, match=r"expected at least 2 classes, found only a$"):
        read_folder(folder)


def test_nothing_left_after_skipping(folder):
    for name in ("a/1.png", "a/2.png"):
        (folder / name).write_text("x")
    with pytest.raises(
        ValueError, match=r"at least 2 classes, found only b; left out: .*1.png: not a"
    ):
        read_folder(folder, skip_bad=True)
    (folder / "b" / "1.png").write_text("x")
    with pytest.raises(ValueError, match=r"at least 2 classes, found no picture; left out"):
        read_folder(folder, skip_bad=True)
    with pytest.raises(ValueError, match=r"3 files or folders cannot be used, 0 pictures can"):
        read_folder(folder)


def test_pictures_of_several_sizes_get_one_that_suits_them_and_it_is_said(folder):
    save(folder / "a" / "3.png", grey(size=(8, 6)))
    images, *_, notes = read_folder(folder)
    assert images.shape == (4, 1, 4, 3)  # nine in ten have the proportions 4 x 3
    assert notes == ["pictures of 2 sizes are brought to 4 x 3; --image_size H W sets another"]
    save(folder / "b" / "2.png", grey(size=(9, 9)))
    images, *_, notes = read_folder(folder)
    assert images.shape[2:] == (4, 4) and "4 of 5 pictures have other proportions" in notes[1]


def test_large_pictures_are_brought_to_64_pixels_and_asking_for_more_helps(tmp_path):
    for name in "ab":
        save(tmp_path / name / "1.png", grey(9, (300, 600)))
    images, *_, notes = read_folder(tmp_path)
    assert images.shape == (2, 1, 32, 64) and "of 300 x 600 are brought to 32 x 64" in notes[0]
    images, *_, notes = read_folder(tmp_path, (300, 600))
    assert images.shape == (2, 1, 300, 600) and not notes


@pytest.mark.parametrize(("shape", "inner"), [((40, 20), (8, 4)), ((20, 40), (4, 8))])
def test_other_proportions_are_fitted_in_and_not_squashed(tmp_path, shape, inner):
    pixels = grey(200, shape)
    pixels[shape[0] // 4 : -shape[0] // 4, shape[1] // 4 : -shape[1] // 4] = 0
    image = decode(save(tmp_path / "1.png", pixels), 1, (8, 8))[0]
    ink = image < 100
    assert (ink.any(axis=1).sum(), ink.any(axis=0).sum()) == (inner[0] // 2, inner[1] // 2)
    assert 195 <= image[0, 0] == image[-1, -1] <= 200  # the shade of the border
    assert (image == image[::-1]).all() and (image == image[:, ::-1]).all()  # in the middle


def test_more_than_memory_should_hold(folder, monkeypatch):
    monkeypatch.setattr(datasets.read.folders, "TOTAL_MAX", 35)
    with pytest.raises(
        ValueError, match=r"3 pictures of 1 x 4 x 3 need 36 bytes, more than the 35"
    ):
        read_folder(folder)


@pytest.mark.parametrize("image_size", [(0, 3), (3,), (2.5, 3), (-1, -1)])
def test_a_bad_image_size(folder, image_size):
    with pytest.raises(ValueError, match=r"image_size is expected to be .H, W., each 1 or more"):
        read_folder(folder, image_size)


# --- split ---------------------------------------------------------------------------


def test_every_class_of_two_or_more_is_on_both_sides():
    rng = np.random.default_rng(0)
    for _ in range(200):
        counts = rng.integers(1, 40, rng.integers(2, 9))
        counts[0] = max(counts[0], 2)
        labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
        part = rng.uniform(0.01, 0.99)
        train, val = split(labels, part, rng)
        assert sorted([*train, *val]) == list(range(len(labels)))
        for k, n in enumerate(counts):
            n_val = (labels[val] == k).sum()
            assert n_val == 0 if n == 1 else 1 <= n_val < n
            assert abs(n_val - part * n) <= 1 or n == 1


def test_split_is_seeded_and_shuffled():
    labels = np.repeat([0, 1], 50)
    one, same, other = (split(labels, 0.1, np.random.default_rng(s)) for s in (1, 1, 2))
    assert (one[0] == same[0]).all() and (one[1] == same[1]).all() and (one[1] != other[1]).any()
    assert np.diff(labels[one[0]]).any() and set(labels[one[0][:20]]) == {0, 1}


@pytest.mark.parametrize("part", [0, 1, -0.1, 1.5, float("nan"), float("inf")])
def test_split_outside_0_to_1(part):
    with pytest.raises(ValueError, match=r"val_split is expected to be above 0 and below 1, got"):
        split(np.array([0, 0, 1]), part, np.random.default_rng(0))


def test_split_of_what_cannot_be_split():
    with pytest.raises(ValueError, match=r"a class with 2 pictures or more, got 3 with fewer"):
        split(np.arange(3), 0.5, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"integer labels \(N,\), got float64 \(3,\)"):
        split(np.zeros(3), 0.5, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"a class with 2 pictures or more, got 0 with fewer"):
        split(np.zeros(0, int), 0.5, np.random.default_rng(0))


# --- export, and back -----------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 5), (1, 6, 5), (3, 6, 5)])
def test_what_is_exported_is_read_again(tmp_path, shape):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (20, *shape), dtype=np.uint8)
    labels = np.arange(20) % 3
    assert export_images(images, labels, tmp_path / "new" / "folder", 5) == 15
    back = read_folder(tmp_path / "new" / "folder")
    assert back.class_names == ["class_00", "class_01", "class_02"]
    for k in range(3):
        wanted = images[labels == k][:5]
        assert (back.images[back.labels == k].reshape(wanted.shape) == wanted).all()


def test_export_uses_the_names_of_the_classes(tmp_path):
    export_images(np.zeros((4, 2, 2), np.uint8), [0, 1, 1, 0], tmp_path, 9, ["cat", "d og"])
    assert read_folder(tmp_path).class_names == ["cat", "d og"]
    assert sorted(os.listdir(tmp_path / "cat")) == ["000.png", "001.png"]


def test_export_refuses(tmp_path):
    images, labels = np.zeros((2, 3, 3), np.uint8), np.array([0, 1])
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious").touch()
    with pytest.raises(FileExistsError, match=r"full: expected a new or an empty folder"):
        export_images(images, labels, tmp_path / "full", 1)
    with pytest.raises(FileExistsError, match=r"precious: expected a new or an empty folder"):
        export_images(images, labels, tmp_path / "full" / "precious", 1)
    with pytest.raises(ValueError, match=r"expects uint8 images .*, got float32 \(2, 3, 3\)"):
        export_images(images.astype(np.float32), labels, tmp_path / "new", 1)
    with pytest.raises(ValueError, match=r"expects uint8 images .*, got uint8 \(2, 2, 3, 3\)"):
        export_images(np.zeros((2, 2, 3, 3), np.uint8), labels, tmp_path / "new", 1)
    with pytest.raises(ValueError, match=r"expects 2 labels from 0, got int64 \(2,\)"):
        export_images(images, labels - 1, tmp_path / "new", 1)
    with pytest.raises(ValueError, match=r"per_class is expected to be 1 or more, got 0"):
        export_images(images, labels, tmp_path / "new", 0)
    with pytest.raises(ValueError, match=r"expects different names of classes, got \['a', 'A'\]"):
        export_images(images, labels, tmp_path / "new", 1, ["a", "A"])
    for names in (["one"], ["../up", "b"], ["..", "b"], ["", "b"], ["a\nb", "b"], ["c:\\d", "b"]):
        with pytest.raises(ValueError, match=r"expects 2 plain names, got"):
            export_images(images, labels, tmp_path / "new", 1, names)
    assert sorted(os.listdir(tmp_path)) == ["full"]


# --- drawn shapes ---------------------------------------------------------------------


def test_shapes_are_seeded_and_differ():
    images, labels, names = draw_shapes(3, 16, np.random.default_rng(0))
    again = draw_shapes(3, 16, np.random.default_rng(0))[0]
    assert images.shape == (18, 3, 16, 16) and images.dtype == np.uint8 and (images == again).all()
    assert labels.tolist() == sorted([0, 1, 2, 3, 4, 5] * 3) and names == sorted(names)
    assert len(np.unique(images.reshape(18, -1), axis=0)) == 18
    assert images.reshape(18, -1).std(axis=1).min() > 5


def test_shapes_survive_the_way_through_a_folder(tmp_path):
    images, labels, names = draw_shapes(2, 9, np.random.default_rng(0))
    export_images(images, labels, tmp_path, 2, names)
    back = read_folder(tmp_path)
    assert back.class_names == names and (back.images == images).all()
    assert (back.labels == labels).all()


def test_shapes_refuse():
    with pytest.raises(ValueError, match=r"n_per_class is expected to be 1 or more, got 0"):
        draw_shapes(0, 16, np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"size is expected to be from 8 to 512 pixels, got 4"):
        draw_shapes(1, 4, np.random.default_rng(0))
