"""Folders of images as they lie on real disks: links, pipes, and what systems leave in them."""

import os

import pytest

from maskgit_lab.data.external import open_images
from maskgit_lab.data.folders import image_folder
from maskgit_lab.data.survey import find_unreadable
from maskgit_lab.data.walking import images_below
from maskgit_lab.errors import UserError
from picture_files import FRAMING, picture

PLAIN = ["a/1.png", "a/2.png", "a/deep/3.png", "b/1.png", "b/2.png"]
# What is added to these five images, as links (name: target, from the folder) and files; and what is found then.
ADDED = {
    "nothing": ({}, [], PLAIN),
    "the parent": ({"a/up": ".."}, [], PLAIN),
    "two links to the parent": ({"a/up": "..", "b/up": ".."}, [], PLAIN),
    "a folder far above": ({"a/deep/up": "../../.."}, [], PLAIN),
    "itself": ({"a/self": ".", "b/loop": "loop"}, [], PLAIN),
    "another class": ({"a/other": "../b", "b/other": "../a/deep"}, [], PLAIN),
    "elsewhere": ({"a/more": "../../else", "b/more": "../../else"}, [], [*PLAIN[:3], "a/more/1.png", *PLAIN[3:]]),
    "a linked class": ({"c": "../else"}, [], [*PLAIN, "c/1.png"]),
    "a file that is there": ({"a/0.png": "1.png", "b/0.png": "../a/deep/3.png"}, [], PLAIN),
    "one file twice": ({"a/0.png": "../../else/1.png", "b/0.png": "../../else/1.png"}, [], ["a/0.png", *PLAIN]),
    "hidden": ({}, [".git/1.png", "__MACOSX/a/1.png", "a/._1.png", "a/.thumbs/1.png", "b/@eaDir/1.png"], PLAIN),
    "no images": ({}, ["notes.txt", "a/notes.txt", "1.png"], PLAIN),
}


@pytest.fixture
def root(tmp_path):
    (tmp_path / "else").mkdir()
    picture().save(tmp_path / "else" / "1.png")
    for i, name in enumerate(PLAIN):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(i).save(path)
    return tmp_path / "root"


def names(data) -> list[str]:
    return sorted(split.name(i) for split in data.splits().values() for i in range(len(split)))


@pytest.mark.parametrize("added", ADDED)
def test_each_image_is_found_once(root, added):
    links, files, expected = ADDED[added]
    for name, target in links.items():
        (root / name).symlink_to(target)
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        picture().save(root / name, format="PNG")
    data = image_folder(str(root), **FRAMING)
    assert names(data) == expected
    assert data.class_names == (["a", "b", "c"] if "c" in links else ["a", "b"])


def test_the_order_is_that_of_torchvision(root, tmp_path):
    """By which data sets are known: that of the paths of folders, and then of names."""
    from torchvision.datasets.folder import IMG_EXTENSIONS, make_dataset

    for name in ("a/deep-1/1.png", "a/deep/B.png", "a/Z.png", "a/é/1.JPG", "b/b/c/1.png"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    known = make_dataset(str(root), {"a": 0, "b": 1}, IMG_EXTENSIONS)
    found = images_below([root / "a", root / "b"])
    assert [(path, label) for label, paths in enumerate(found) for path in paths] == known


def test_links_do_not_lead_from_one_split_into_another(root):
    for split in ("train", "val"):
        for label in "ab":
            (root / split / label).mkdir(parents=True)
            picture().save(root / split / label / "1.png")
            picture().save(root / split / label / "2.png")
    (root / "train" / "a" / "up").symlink_to("../..")
    (root / "train" / "b" / "held_out").symlink_to("../../val")
    (root / "val" / "a" / "more").symlink_to("../../train/b")
    data = image_folder(str(root), **FRAMING)
    assert (len(data.train), len(data.test)) == (4, 4)


def test_pipes_and_sockets_are_never_opened(root, tmp_path):
    os.mkfifo(root / "a" / "3.png")  # nobody writes to it: whoever reads waits forever
    (root / "b" / "3.png").symlink_to("../a/3.png")
    (root / "b" / "zero.png").symlink_to("/dev/zero")
    data = image_folder(str(root), **FRAMING)
    found = {split.name(i) for split in (data.train, data.test) for i in find_unreadable(split, 0, lambda n: None)}
    assert found == {"a/3.png", "b/zero.png"}
    with pytest.raises(UserError, match=r"3\.png cannot be read \(it is not a regular file\): fix or delete it"):
        open_images(root / "a", "samples")


def test_names_that_are_no_text_are_refused_for_classes_and_shown_for_images(root):
    os.rename(os.fsencode(root / "a" / "1.png"), os.fsencode(root / "a") + b"/\xff.png")  # noqa: PTH104
    data = image_folder(str(root), **FRAMING)
    assert "a/\N{REPLACEMENT CHARACTER}.png" in names(data) and data.train[0][0].shape == (3, 8, 8)
    os.mkdir(os.fsencode(root) + b"/caf\xe9")  # noqa: PTH102
    with pytest.raises(UserError, match=r"the class folder caf\\xe9 in .* has a name that is not UTF-8: rename it"):
        image_folder(str(root), **FRAMING)


def test_a_class_that_is_another_one_by_a_link_is_refused(root):
    (root / "kitten").symlink_to("b")
    with pytest.raises(UserError, match=r"kitten and .*b are the same folder, by a link: remove one of them"):
        image_folder(str(root), **FRAMING)
