"""Reads archives as docs/archive-format.md describes them, with nothing but Python's standard library; for a .tar.zst
also with the command zstd, since Python has none before 3.14.

    read_archive.py list FILE             checks the whole archive and prints what it holds, as JSON
    read_archive.py extract FILE PATH     writes one file of the archive to stdout, reading no other part of it,
                                          and the number of bytes it read to stderr

Written from that page alone: where the two disagree, one of them is wrong.
"""

import hashlib
import io
import json
import os
import struct
import subprocess
import sys
import zlib

DATA_HEAD = bytes.fromhex("1f8b08040000000000ff0800504b0400")
TRAILER_HEAD = bytes.fromhex("1f8b08040000000000ff140050451000")
HEADER_BYTES, LARGEST_MEMBER, LARGEST_BLOCK = 20, 1_065_984, 1024 * 1024
FORMAT = 1


class Damage(Exception):
    """What is wrong with an archive."""


def need(so, what):
    if not so:
        raise Damage(what)


def crc64_tables():
    """CRC-64/XZ, eight bytes at a time."""
    first = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0xC96C5795D7870F42 if byte & 1 else 0)
        first.append(byte)
    tables = [first]
    for _ in range(7):
        tables.append([first[value & 0xFF] ^ value >> 8 for value in tables[-1]])
    return tables


T0, T1, T2, T3, T4, T5, T6, T7 = crc64_tables()


def crc64(data):
    crc = 0xFFFFFFFFFFFFFFFF
    whole = len(data) // 8
    for word in struct.unpack_from(f"<{whole}Q", data):
        crc ^= word
        crc = (T7[crc & 0xFF] ^ T6[crc >> 8 & 0xFF] ^ T5[crc >> 16 & 0xFF] ^ T4[crc >> 24 & 0xFF]
               ^ T3[crc >> 32 & 0xFF] ^ T2[crc >> 40 & 0xFF] ^ T1[crc >> 48 & 0xFF] ^ T0[crc >> 56])
    for byte in data[8 * whole:]:
        crc = T0[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFFFFFFFFFF


class Gzip:
    """A .tar.gz"""

    HEAD = b""
    TRAILER_BYTES, FIELDS_AT = 1069, 16

    def trailer(fields):
        zeros = bytes(1024)
        stored = b"\x01\x00\x04\xff\xfb" + zeros + struct.pack("<II", zlib.crc32(zeros), len(zeros))
        return TRAILER_HEAD + fields + stored

    def member(read, position, end):
        """One member's content, and where the next one begins."""
        head = read(position, HEADER_BYTES)
        need(head[:16] == DATA_HEAD, f"no member begins at {position}")
        size, = struct.unpack_from("<I", head, 16)
        need(HEADER_BYTES + 8 <= size <= LARGEST_MEMBER and position + size <= end, f"impossible size at {position}")
        rest = read(position + HEADER_BYTES, size - HEADER_BYTES)
        inflate = zlib.decompressobj(-15)
        content = inflate.decompress(rest[:-8], LARGEST_BLOCK + 1)
        need(inflate.eof and not inflate.unused_data, f"the member at {position} does not decompress")
        need(rest[-8:] == struct.pack("<II", zlib.crc32(content), len(content)), f"wrong CRC-32 at {position}")
        return content, position + size


class Zstd:
    """A .tar.zst"""

    HEAD = bytes.fromhex("28b52ffd2400010000 99e9d851 5b2a4d18 15000000") + b"Pantry Keeper archive"
    TRAILER_BYTES, FIELDS_AT = 43, 27

    def trailer(fields):
        zeros = bytes.fromhex("28b52ffd 64 0003 032000 00 cdac85f0")
        return zeros + bytes.fromhex("5b2a4d18 14000000") + b"PKPE" + fields

    def member(read, position, end):
        at = position + 5
        head = read(position, 5)
        need(head[:4] == bytes.fromhex("28b52ffd") and head[4] in (0x24, 0x64, 0xA4), f"no member begins at {position}")
        at += {0x24: 1, 0x64: 2, 0xA4: 4}[head[4]]
        last = False
        while not last:
            header = int.from_bytes(read(at, 3), "little")
            last, kind, size = header & 1, header >> 1 & 3, header >> 3
            need(kind < 3, f"a block that is reserved at {at}")
            at += 3 + (1 if kind == 1 else size)
            need(at + 4 <= end and at + 4 - position <= LARGEST_MEMBER, f"impossible size at {position}")
        at += 4
        zstd = subprocess.run(["zstd", "-dcq"], input=read(position, at - position), capture_output=True)
        need(zstd.returncode == 0, f"the member at {position} does not decompress")
        need(len(zstd.stdout) <= LARGEST_BLOCK, f"the member at {position} is too large")
        return zstd.stdout, at


class Archive:
    def __init__(self, path):
        self.file = open(path, "rb")
        self.bytes_read = 0
        size = os.fstat(self.file.fileno()).st_size
        for self.codec in (Gzip, Zstd):
            self.end = size - self.codec.TRAILER_BYTES
            need(self.end > 0, "shorter than a trailer")
            trailer, at = self.read(self.end, self.codec.TRAILER_BYTES), self.codec.FIELDS_AT
            fields = trailer[at:at + 16]
            if trailer == self.codec.trailer(fields):
                break
        else:
            raise Damage("not a trailer")
        need(self.read(0, len(self.codec.HEAD)) == self.codec.HEAD, "not a head")
        self.manifest_position, self.crc64 = struct.unpack("<QQ", fields)
        need(self.manifest_position < self.end, "the manifest lies outside the file")
        files = self.section(self.manifest_position, self.end)
        need(len(files) == 1, "the manifest is not alone in its section")
        (name, content), = files.items()
        self.manifest = json.loads(content)
        need(self.manifest["pantry_keeper_format"] <= FORMAT, "a newer format")
        self.folder = self.manifest["archive"]
        need(name == f"{self.folder}/manifest.json", "another file stands in the manifest's place")
        self.expected = self.expected_files()

    def expected_files(self):
        """The paths of each section, by its position; the sections end where the next one begins."""
        sections = {len(self.codec.HEAD): {"prelude.json"}}
        for entry in self.manifest["namespaces"]:
            for place in (entry["metadata"], entry["data"]):
                if place is not None:
                    need(place["position"] < self.manifest_position, "a file lies outside the archive")
                    files = sections.setdefault(place["position"], set())
                    need(place["path"] not in files, f"{place['path']} is listed twice")
                    files.add(place["path"])
        sections[self.manifest_position] = {"manifest.json"}
        return dict(sorted(sections.items()))

    def read(self, position, size):
        self.file.seek(position)
        data = self.file.read(size)
        self.bytes_read += len(data)
        need(len(data) == size, f"the file ends inside what begins at {position}")
        return data

    def section(self, position, end):
        """The files of one section, by their full path."""
        tar = io.BytesIO()
        while position < end:
            content, position = self.codec.member(self.read, position, end)
            tar.write(content)
        return read_tar(tar.getvalue())

    def sections(self):
        starts = list(self.expected)
        return zip(starts, starts[1:] + [self.end])

    def extract(self, path):
        for start, end in self.sections():
            if path in self.expected[start]:
                return self.section(start, end)[f"{self.folder}/{path}"]
        raise Damage(f"there is no {path}")

    def check(self):
        """Reads everything once more, as a verifier has to."""
        need(crc64(self.read(0, self.end)) == self.crc64, "the CRC-64 of the file is wrong")
        contents = {}
        for start, end in self.sections():
            files = self.section(start, end)
            names = {f"{self.folder}/{path}" for path in self.expected[start]}
            need(set(files) == names, f"the section at {start} does not hold what it should")
            contents.update(files)
        return [self.check_namespace(entry, contents) for entry in self.manifest["namespaces"]]

    def check_namespace(self, entry, contents):
        name = f"{entry['database']}.{entry['collection']}"
        if entry["metadata"] is not None:
            json.loads(contents[f"{self.folder}/{entry['metadata']['path']}"])
        data = b"" if entry["data"] is None else contents[f"{self.folder}/{entry['data']['path']}"]
        found = {"documents": count_documents(data), "bytes": len(data), "crc64": f"{crc64(data):016x}"}
        for field, value in found.items():
            need(entry[field] == value, f"{name}: {field} is {value} instead of {entry[field]}")
        return {"namespace": name, "type": entry["type"], **found}


def read_tar(tar):
    files, at, long_name = {}, 0, None
    while at < len(tar):
        header = tar[at:at + 512]
        sum_of_bytes = sum(header) - sum(header[148:156]) + 8 * 0x20
        need(len(header) == 512 and int(header[148:156].strip(b"\0 "), 8) == sum_of_bytes, f"no tar header at {at}")
        size = int.from_bytes(header[125:136], "big") if header[124] & 0x80 else int(header[124:135], 8)
        content = tar[at + 512:at + 512 + size]
        need(len(content) == size, "a file is cut short")
        padded = size + -size % 512
        need(not any(tar[at + 512 + size:at + 512 + padded]), "padding is not zero")
        at += 512 + padded
        if header[156:157] == b"L":
            long_name = content.rstrip(b"\0")
            continue
        need(header[156:157] == b"0", "not a regular file")
        name = (long_name or header[:100].rstrip(b"\0")).decode()
        need(name not in files, f"{name} is there twice")
        files[name], long_name = content, None
    need(at == len(tar), "a file is cut short")
    return files


def count_documents(data):
    at = count = 0
    while at < len(data):
        need(at + 5 <= len(data), "a document is cut short")
        length, = struct.unpack_from("<I", data, at)
        need(5 <= length <= len(data) - at and data[at + length - 1] == 0, f"no document at {at}")
        at, count = at + length, count + 1
    return count


def sidecar(path):
    """Whether the .sha256 is that of the file; None when there is none."""
    if not os.path.exists(path + ".sha256"):
        return None
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    with open(path + ".sha256", encoding="utf-8") as line:
        return line.read() == f"{digest}  {os.path.basename(path)}\n"


def main(command, path, *rest):
    need(crc64(b"123456789") == 0x995DC9BBDF1939FA, "this reader's CRC-64 is wrong")
    archive = Archive(path)
    if command == "list":
        json.dump({"archive": archive.folder, "namespaces": archive.check(), "sidecar": sidecar(path)}, sys.stdout)
    else:
        sys.stdout.buffer.write(archive.extract(rest[0]))
        print(archive.bytes_read, file=sys.stderr)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (Damage, zlib.error, ValueError, KeyError, TypeError) as problem:
        sys.exit(f"damaged: {problem}")
