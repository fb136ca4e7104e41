"""What each data set is: its name on the Hub, the papers' name for it, and what its images must look like."""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks.data.framing import Framing, parse_framing
from benchmarks.errors import CannotRun

SPLITS = ("train", "test")
DIGIT_EVENTS, NMNIST_SUBSET, CIFAR10_DVS = "sklearn/digit-events", "nmnist-subset", "cifar10-dvs"
IMAGENET_SAMPLE = "imagenet-sample-1000"


@dataclass(frozen=True)
class DatasetSpec:
    """One data set of images (``boxes``: with objects instead of classes) or of event recordings, named with their framing.

    ``size`` is (height, width) in pixels; ``channels`` is 1 (greyscale) or 3 (RGB); labels are 0 ..
    ``classes`` - 1. ``train_count`` and ``test_count`` are the official numbers of images. ``test_split`` is the Hub's
    name of the split that papers test on. ``own_way`` is how to get a data set that is not fetched as the others are.
    ``trained_on`` names the data set whose training images stand for its own, which are not at hand. ``remark``: what a reader of
    its rows must know.
    ``splits``: of event recordings, what the option ``split`` may be (see ``benchmarks.data.event_sets``), the default first;
    ``framing``: their options, as the name has them.
    """

    name: str
    paper_name: str
    classes: int
    channels: int
    size: tuple[int, int]
    train_count: int
    test_count: int
    licence: str
    own_way: str = ""
    image_column: str = "image"
    label_column: str = "label"
    test_split: str = "test"
    boxes: bool = False
    trained_on: str = ""
    remark: str = ""
    splits: tuple[str, ...] = ()
    framing: Framing | None = None

    @property
    def base(self) -> str:
        """The name without options."""
        return self.name.partition("?")[0]

    @property
    def embedded(self) -> bool:
        """Whether it comes with scikit-learn, so that there is nothing to download."""
        return self.name.startswith("sklearn/")

    @property
    def how_to_get(self) -> str:
        """What to do where it is missing."""
        return self.own_way or (
            f"set SNNBENCH_DATA to a folder that holds {self.name}/<split>-*.parquet as on the Hugging Face Hub"
            f" (hf download {self.name} --repo-type dataset --local-dir $SNNBENCH_DATA/{self.name}),"
            " or go online: `datasets` downloads it by name"
        )

    def count(self, split: str) -> int:
        """Official number of images of ``split`` ("train" or "test"); CannotRun for another split."""
        check_split(self.name, split)
        return self.train_count if split == "train" else self.test_count

    def hub_split(self, split: str) -> str:
        """The Hub's name of ``split`` ("train" or "test"); CannotRun for another split."""
        check_split(self.name, split)
        return "train" if split == "train" else self.test_split


def check_split(name: str, split: str) -> None:
    """Raise CannotRun unless ``split`` is one of ``SPLITS``."""
    if split not in SPLITS:
        raise CannotRun(f"{name} has no split {split!r}; the splits are {' and '.join(SPLITS)}")


_IMAGENET = (
    "set SNNBENCH_IMAGENET to a folder with val/<synset>/*.JPEG and train/<synset>/*.JPEG,"
    " or accept the terms at https://huggingface.co/datasets/ILSVRC/imagenet-1k and run:"
    " hf download ILSVRC/imagenet-1k --repo-type dataset"
    ' --include "data/validation-*" --local-dir $SNNBENCH_DATA/ILSVRC/imagenet-1k'
)
_SAMPLE = (
    f"copy the 1,000 images of https://github.com/EliSchwartz/imagenet-sample-images, one per class, to"
    f" $SNNBENCH_DATA/{IMAGENET_SAMPLE}/val/<synset>/, where <synset> begins the name of each (n01440764)"
)
_SAMPLE_REMARK = "1,000 training images of ImageNet, one per class, of which 200 calibrate and 800 are the test"
_INSIDE = "nothing to get: it ships inside scikit-learn"
_GENERATED = "nothing to get: it is generated from the digits inside scikit-learn"
_SIMULATED = "nothing to get: it is simulated from the digits inside scikit-learn"
_NMNIST = (
    "set SNNBENCH_DATA to a folder whose nmnist-subset/{Train,Test}/<digit>/<number>.bin are the first 1,000 training and"
    " 100 test recordings of N-MNIST (https://www.garrickorchard.com/datasets/n-mnist), or copy NMNISTsmall of"
    " https://github.com/bamsumit/slayerPytorch there, which has the same as .bs2 files and labels"
)
_DVS = (
    "download the ten archives of CIFAR10-DVS (https://doi.org/10.6084/m9.figshare.4724671), check that each is whole"
    " (unzip -t), and unpack them to $SNNBENCH_DATA/cifar10-dvs/<class>/cifar10_<class>_<number>.aedat"
)
_TENTHS = ("last-tenth", "first-tenth")
_FOLDS = ("official", "folds", "fold0", "fold1", "fold2", "fold3", "fold4")
_UCI = "CC BY 4.0 (UCI Optical Recognition of Handwritten Digits)"
_KRIZHEVSKY = "for research; cite Krizhevsky (2009), Learning Multiple Layers of Features from Tiny Images"
_TERMS = "non-commercial research and education, under the terms of image-net.org"
_YOLO = "set SNNBENCH_DATA to a folder that holds {0} in YOLO's layout (images/<part>/*.jpg, labels/<part>/*.txt, data.yaml): {1}"
_COCO = "images/val with the first 128 images of COCO val2017 (https://cocodataset.org), the longest side scaled to 416 pixels"
_VOC = "images/train and images/val with the images 2007_* of Pascal VOC 2012 (http://host.robots.ox.ac.uk/pascal/VOC)"
_FLICKR = "for research; images under their Flickr licences, annotations {}"
_SPECS = (
    DatasetSpec("sklearn/digits", "digits", 10, 1, (8, 8), 1198, 599, _UCI, _INSIDE),
    DatasetSpec("sklearn/digit-pairs", "digit pairs", 100, 1, (8, 16), 4000, 1000, _UCI, _GENERATED),
    DatasetSpec(DIGIT_EVENTS, "simulated events", 10, 2, (18, 18), 1198, 599, _UCI, _SIMULATED, splits=("official",)),
    DatasetSpec(NMNIST_SUBSET, "N-MNIST", 10, 2, (34, 34), 1000, 100, "CC BY-SA 4.0", _NMNIST, splits=_FOLDS),
    DatasetSpec(CIFAR10_DVS, "CIFAR10-DVS", 10, 2, (128, 128), 9000, 1000, "CC BY 4.0", _DVS, splits=_TENTHS),
    DatasetSpec("ylecun/mnist", "MNIST", 10, 1, (28, 28), 60000, 10000, "CC BY-SA 3.0"),
    DatasetSpec("zalando-datasets/fashion_mnist", "Fashion-MNIST", 10, 1, (28, 28), 60000, 10000, "MIT"),
    DatasetSpec("uoft-cs/cifar10", "CIFAR-10", 10, 3, (32, 32), 50000, 10000, _KRIZHEVSKY, "", "img"),
    DatasetSpec("uoft-cs/cifar100", "CIFAR-100", 100, 3, (32, 32), 50000, 10000, _KRIZHEVSKY, "", "img", "fine_label"),
    DatasetSpec(
        "ILSVRC/imagenet-1k", "ImageNet", 1000, 3, (224, 224), 1281167, 50000, _TERMS, _IMAGENET, test_split="validation"
    ),
    DatasetSpec(
        IMAGENET_SAMPLE,
        "ImageNet (1,000 training images)",
        1000,
        3,
        (224, 224),
        200,
        800,
        _TERMS,
        _SAMPLE,
        remark=_SAMPLE_REMARK,
    ),
    DatasetSpec(
        "coco-val-128",
        "COCO (128 images)",
        80,
        3,
        (352, 352),
        604,
        128,
        _FLICKR.format("CC BY 4.0"),
        _YOLO.format("coco-val-128", _COCO),
        test_split="val",
        boxes=True,
        trained_on="voc2012-subset",
    ),
    DatasetSpec(
        "voc2012-subset",
        "VOC 2012 (756 images)",
        80,
        3,
        (352, 352),
        604,
        152,
        _FLICKR.format("for research, cite the authors"),
        _YOLO.format("voc2012-subset", _VOC),
        test_split="val",
        boxes=True,
    ),
)

DATASETS: dict[str, DatasetSpec] = {spec.name: spec for spec in _SPECS}


def dataset_spec(name: str) -> DatasetSpec:
    """The entry of ``DATASETS`` called ``name``; CannotRun, listing the known names, for any other.

    A name of event recordings says how they become frames: ``nmnist-subset?by=count&frames=10``; see ``Framing``.
    """
    base, asked, options = name.partition("?")
    if base not in DATASETS:
        raise CannotRun(f"no data set is called {name!r}; known are {', '.join(DATASETS)}")
    spec = DATASETS[base]
    if not spec.splits:
        if asked:
            raise CannotRun(f"{base} has images, not events: it takes no options; write {base} alone")
        return spec
    if not asked:
        raise CannotRun(f"{base} has events: say how they become frames, such as {base}?by=count&frames=10")
    framing = parse_framing(options, spec.splits[0])
    if framing.split not in spec.splits:
        raise CannotRun(f"{base} has no split {framing.split!r}; known: {', '.join(spec.splits)}")
    return replace(spec, name=name, framing=framing)


def describe_found(spec: DatasetSpec, split: str, count: int) -> str:
    """``describe_count`` of what a mirror or folder holds; CannotRun where that is more than the data set has."""
    if count > spec.count(split):
        raise CannotRun(
            f"{spec.name}: the {split} split has {count:,} images here, but {spec.count(split):,} officially;"
            " remove what does not belong to it"
        )
    return describe_count(spec, split, count)


def describe_count(spec: DatasetSpec, split: str, count: int) -> str:
    """How much is there, in words: "all 10,000 test images", "5,000 of 50,000 training images"."""
    official = spec.count(split)
    words = "training images" if split == "train" else "test images"
    return f"all {count:,} {words}" if count == official else f"{count:,} of {official:,} {words}"
