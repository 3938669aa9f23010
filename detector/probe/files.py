"""Packets from files, plain or compressed (gzip, Zstandard), in bounded memory."""

import gzip
import zlib
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import zstandard

from . import pcap, pcapng
from .packets import Packets, ProbeError

CHUNK, PIECE = 4 << 20, 1 << 16  # bytes worked on, and read, at once
SUFFIXES = (".gz", ".zst", ".pcap", ".pcapng", ".cap")


class PcapFile(pcap.Notes):
    """The packets of one file, in batches; the counts are complete once it has been read."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.packets = 0

    def __iter__(self) -> Iterator[Packets]:
        """Give all packets; a file that is cut short or damaged ends early and says so.

        Raises:
            ProbeError: if this isn't a capture of packets, or of a link type that isn't read.
        """
        try:
            for batch in self._batches():
                self.packets += len(batch)
                yield batch
        except ProbeError as error:
            raise ProbeError(f"{self.path}: {error}") from error
        except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
            if not self.packets:
                raise ProbeError(f"{self.path}: not readable: {error}") from error
            what = "cut short" if isinstance(error, EOFError) else "damaged"
            self.damage = f"{what}: {error}"

    def _batches(self) -> Iterator[Packets]:
        chunks = _chunks(self.path)
        first = next(chunks, b"")
        rest = chain([first], chunks)
        if first[:4] in pcap.MAGIC:
            return pcap.read(rest, self.port, self)
        if first[:4] == pcapng.MAGIC:
            return pcapng.Reader(self.port, self).read(rest)
        raise ProbeError("neither pcap nor pcapng")

    @property
    def port(self) -> str:
        """The interface that packets belong to of which the file doesn't say it."""
        name = self.path.name
        for suffix in SUFFIXES:
            name = name.removesuffix(suffix)
        return name


def _chunks(path: Path) -> Iterator[bytes]:
    """Unpack a file; what could be unpacked before an error comes before the error."""
    pieces: list[bytes] = []
    size = 0
    with path.open("rb") as file:
        begin = file.read(4)
        file.seek(0)
        stream: Any = file
        if begin[:2] == b"\x1f\x8b":
            stream = gzip.GzipFile(fileobj=file)
        elif begin == b"\x28\xb5\x2f\xfd":
            stream = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        while True:
            try:
                piece = stream.read1(PIECE)
            except Exception:
                if pieces:
                    yield b"".join(pieces)
                raise
            if not piece:
                break
            pieces.append(piece)
            size += len(piece)
            if size >= CHUNK:
                yield b"".join(pieces)
                pieces, size = [], 0
    yield b"".join(pieces)
