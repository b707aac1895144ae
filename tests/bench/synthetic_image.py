#!/usr/bin/python3
"""Makes two images as ML images are: large libraries, a hundred thousand small files, layers of very different sizes.

Usage: synthetic_image.py DIRECTORY [SCALE]. Leaves the OCI layouts DIRECTORY/first and DIRECTORY/second, which shares all but a top
layer of 10 MB, and blobs.txt: the first's layer blobs, base first. Contents are real bytes of this machine's /usr, cut into pieces
and shuffled, so that they compress as programs and sources do and no file repeats another.
"""
import bisect
import concurrent.futures
import hashlib
import io
import itertools
import json
import os
import pathlib
import random
import sys
import tarfile
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "fixtures"))
from oci_layout import OCI_LAYER, Layout  # noqa: E402

MIB = 1 << 20
POOL_BYTES = 160 * MIB
# (name, small files, bytes in large files)
LAYERS = [
    ("base", 9_000, 100 * MIB),
    ("python", 14_000, 90 * MIB),
    ("cuda-runtime", 400, 560 * MIB),
    ("cudnn-nccl", 300, 440 * MIB),
    ("torch", 16_000, 520 * MIB),
    ("packages", 66_000, 220 * MIB),
    ("application", 600, 18 * MIB),
]
SECOND_TOP = ("application-2", 600, 18 * MIB)
SMALL_SIZES = [0, 60, 300, 900, 2_000, 4_000, 9_000, 20_000, 70_000]  # bytes, ninths of the distribution
LARGE_SIZES = [1 * MIB, 3 * MIB, 8 * MIB, 20 * MIB, 45 * MIB, 90 * MIB]


def pool(suffixes, limit=POOL_BYTES):
    """Real bytes of files with these suffixes."""
    chunks, size = [], 0
    for directory, _, files in os.walk("/usr/lib"):
        for name in sorted(files):
            path = os.path.join(directory, name)
            if any(part in name for part in suffixes) and os.path.isfile(path) and not os.path.islink(path):
                data = pathlib.Path(path).read_bytes()[: 8 * MIB]
                chunks.append(data)
                size += len(data)
                if size >= limit:
                    return b"".join(chunks)
    return b"".join(chunks)


def content(rng, source, size, piece):
    """`size` bytes: random pieces of `source`, each with a few bytes of its own."""
    out = bytearray()
    while len(out) < size:
        at = rng.randrange(max(1, len(source) - piece))
        out += source[at : at + piece]
        out += rng.randbytes(piece // 24)
    return bytes(out[:size])


class LayerFile:
    """Writes a gzip blob and knows both of its digests."""

    def __init__(self, path):
        self.file = path.open("wb")
        self.gzip = zlib.compressobj(6, zlib.DEFLATED, 31)
        self.tar_hash, self.blob_hash, self.size = hashlib.sha256(), hashlib.sha256(), 0

    def _emit(self, data):
        self.blob_hash.update(data)
        self.size += len(data)
        self.file.write(data)

    def write(self, data):
        self.tar_hash.update(data)
        self._emit(self.gzip.compress(data))
        return len(data)

    def close(self):
        self._emit(self.gzip.flush())
        self.file.close()


def add(tar, name, data, seed):
    info = tarfile.TarInfo(name)
    info.size, info.mtime, info.mode = len(data), 1_650_000_000 + seed % 10_000_000, 0o644
    tar.addfile(info, io.BytesIO(data))


def make_layer(directory, number, name, small_files, large_bytes):
    rng = random.Random(f"mlctr {number} {name}")
    sources, libraries = pool((".py", ".h", ".pl", ".txt")), pool((".so",))
    path = directory / f"{name}.part"
    out = LayerFile(path)
    prefix = f"usr/lib/{name}"
    with tarfile.open(fileobj=out, mode="w|", bufsize=MIB) as tar:
        for i in range(small_files):
            low = rng.randrange(len(SMALL_SIZES) - 1)
            size = rng.randrange(SMALL_SIZES[low], SMALL_SIZES[low + 1])
            folder = f"{prefix}/site-packages/package{i % 97:02}/module{(i // 97) % 23:02}"
            add(tar, f"{folder}/file{i}.py", content(rng, sources, size, 700), i)
        left, i = large_bytes, 0
        while left > 0:
            size = min(left, LARGE_SIZES[bisect.bisect(range(3), i % 4) + rng.randrange(3)])
            add(tar, f"{prefix}/lib/lib{name}{i}.so", content(rng, libraries, size, 6_000), i)
            left, i = left - size, i + 1
    out.close()
    digest = out.blob_hash.hexdigest()
    path.rename(directory / digest)
    return {"mediaType": OCI_LAYER + "+gzip", "digest": f"sha256:{digest}", "size": out.size}, "sha256:" + out.tar_hash.hexdigest()


def main(directory, scale=1.0):
    directory = pathlib.Path(directory)
    first, second = Layout(directory / "first"), Layout(directory / "second")
    blobs = directory / "first/blobs/sha256"
    plan = [(name, int(files * scale), int(size * scale)) for name, files, size in LAYERS + [SECOND_TOP]]
    with concurrent.futures.ProcessPoolExecutor() as workers:
        made = list(workers.map(make_layer, itertools.repeat(blobs), range(len(plan)), *zip(*plan)))
    config = {"Env": ["PATH=/usr/bin:/bin"], "Cmd": ["python3"]}
    first.tag(first.image(made[:-1], config), "1")
    for descriptor, _ in made[:-2] + made[-1:]:
        name = descriptor["digest"][7:]
        (directory / "second/blobs/sha256" / name).hardlink_to(blobs / name)
    (blobs / made[-1][0]["digest"][7:]).unlink()
    second.tag(second.image(made[:-2] + made[-1:], config), "1")
    (directory / "blobs.txt").write_text("".join(d["digest"][7:] + "\n" for d, _ in made[:-1]))
    figures = {"layers": len(made) - 1, "files": sum(files for _, files, _ in plan[:-1]),
               "compressed_bytes": sum(d["size"] for d, _ in made[:-1]), "second_top_bytes": made[-1][0]["size"]}  # fmt: skip
    (directory / "figures.json").write_text(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1], *map(float, sys.argv[2:]))
