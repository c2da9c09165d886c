"""What dissect.vmfs says of a volume, in the words of `pulsefield vmfs --json`; for `cargo xtask vmfs-images`.

    other_reader.py expand SDIST MEMBER FILE   unpacks an image into a sparse file
    other_reader.py read NTH DEVICE...         reads the volume on all devices, of which the NTH is compared
    other_reader.py scratch DEVICE             reads a volume that has no files
"""

import gzip
import json
import re
import sys
import tarfile

CHUNK = 1 << 20
ZEROS = bytes(CHUNK)
# The first word of a lock, where a sector begins.
LOCK = re.compile(rb"[\x01-\x09]\x00\xc0\x10")
KINDS = [
    "file descriptor",
    "file block cluster",
    "sub-block cluster",
    "pointer block cluster",
    "file descriptor cluster",
    "secondary pointer block cluster",
    "journal cluster",
    "large file block cluster",
    "unmap",
]
MODES = ["free", "exclusive", "read-only", "multi-writer"]
STATES = {0xABCDEF01: "clear", 0xABCDEF02: "in use"}


def expand(sdist, member, path):
    with tarfile.open(sdist) as archive, open(path, "wb") as image:
        with gzip.open(archive.extractfile(member)) as packed:
            while chunk := packed.read(CHUNK):
                if chunk == ZEROS:
                    image.seek(len(chunk), 1)
                else:
                    image.write(chunk)
        image.truncate(image.tell())


def read(nth, paths, scratch=False):
    from dissect.vmfs import lvm, vmfs
    from dissect.vmfs.exception import InvalidHeader

    class Scratch(vmfs.VMFS):
        """A volume without files has none for its own metadata either, by which the others find it."""

        def _open_resources(self, *files):
            pass

        def file_descriptor(self, address):
            return None

    devices = [open(path, "rb") for path in paths]
    try:
        manager = lvm.LVM(devices)
        (volume,) = manager.volumes
        stream = volume.open()
        own = [run for run in volume.dataruns() if run[3].fh is devices[nth]]
        part = range(own[0][0], own[-1][0] + own[-1][2])
    except InvalidHeader:
        volume, stream = None, devices[0]
        part = range(0, stream.seek(0, 2))
    file_system = Scratch(stream) if scratch else vmfs.VMFS(stream)

    report = {"held_locks": held_locks(stream, part)}
    if part.start == 0:
        report["file_system"] = descriptor(file_system)
        report["heartbeats"] = heartbeats(file_system, stream)
    if volume:
        report["lvm"] = {
            "volume": volume.uuid,
            "name": volume.name,
            "volume_bytes": volume.size,
            "devices": len(devices),
            "head": part.start == 0,
            "part_start_bytes": part.start,
            "part_bytes": len(part),
            "device": next(device for device in volume.devices if device.fh is devices[nth]).uuid,
        }
    if not scratch:
        check_files(file_system, report["held_locks"], part)
    print(json.dumps(report))


def descriptor(file_system):
    it = file_system.descriptor
    return {
        "label": file_system.label,
        "uuid": file_system.uuid,
        "major_version": file_system.major_version,
        "minor_version": file_system.minor_version,
        "local": file_system.is_local,
        "created_s": it.creationTime,
        "file_block_bytes": it.fileBlockSize,
        "lease_ms": it.leaseIntervalMs or None,
        "reclaim_window_ms": it.reclaimWindowMs or None,
    }


def host(uuid):
    from dissect.vmfs.util import vmfs_uuid

    text = vmfs_uuid(uuid)
    return None if text == "00000000-00000000-0000-000000000000" else text


def heartbeats(file_system, stream):
    """All slots that were ever used."""
    from dissect.vmfs.c_vmfs import c_vmfs

    stride = file_system.md_alignment if file_system.is_vmfs6 else 512
    found = []
    for slot in range(1024 if file_system.is_vmfs6 else 2048):
        offset = 0x300000 + slot * stride
        stream.seek(offset)
        it = c_vmfs.FS3_Heartbeat(stream)
        assert it.addr.offset == offset, f"slot {slot} is not where it says"
        if it.hbGen.gen > 0 or it.state not in STATES:
            found.append(
                {
                    "slot": slot,
                    "offset": offset,
                    "state": STATES.get(it.state, "unknown"),
                    "generation": it.hbGen.gen,
                    "stamp_us": it.stamp,
                    "owner": host(it.owner),
                    "journal": it.journalAddr or None,
                    "journal_offset": it.journalVolAddr,
                    "major_version": it.driveX,
                    "minor_version": it.driveY,
                    "lock_implementation": it.lockImpl,
                    "management_address": it.ip.split(b"\0")[0].decode() or None,
                    "replaying_host": host(it.replayHost),
                    "replaying_heartbeat_offset": it.replayHostHB,
                    "replaying_generation": it.replayHostHBgen.gen,
                }
            )
    return found


def lock(it):
    return {
        "kind": KINDS[(it.type & 0xFF) - 1],
        "type": it.type,
        "offset": it.addr.offset,
        "mode": MODES[it.mode],
        "token": it.token,
        "owner": host(it.owner),
        "heartbeat_offset": it.hbAddr.offset,
        "heartbeat_generation": it.hbGen.gen,
        "modification_time": it.mtime,
    }


def held_locks(stream, part):
    """All locks that somebody has, wherever they are in a part of the volume."""
    from dissect.vmfs.c_vmfs import c_vmfs

    held = []
    for start in range(part.start, part.stop, CHUNK):
        stream.seek(start)
        chunk = stream.read(min(CHUNK, part.stop - start))
        if chunk == ZEROS:
            continue
        for match in LOCK.finditer(chunk):
            if match.start() % 512 == 0 and len(chunk) >= match.start() + 512:
                it = c_vmfs.FS3_DiskLock(chunk[match.start() : match.start() + 512])
                if it.addr.offset == start + match.start() and it.mode != 0:
                    held.append(lock(it))
    return held


def check_files(file_system, held, part):
    """The locks of all files, found by way of the folders, are among those that were searched for."""
    folders, seen = [file_system.root], set()
    while folders:
        for entry in folders.pop().iterdir():
            if entry.name in (".", "..") or entry.address in seen:
                continue
            seen.add(entry.address)
            it = entry.file_descriptor
            if it.is_dir():
                folders.append(it)
            own = lock(it.lock_info)
            if own["mode"] != "free" and own["offset"] in part:
                assert own in held, f"the lock of {entry.name} was not found"


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["expand", sdist, member, path]:
            expand(sdist, member, path)
        case ["read", nth, *paths]:
            read(int(nth), paths)
        case ["scratch", path]:
            read(0, [path], scratch=True)
        case _:
            sys.exit(__doc__)
