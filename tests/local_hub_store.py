"""What the local Hub keeps on disk: repositories, their commits and content-addressed files; see local_hub.py."""

import hashlib
import json
import os
import re
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

import yaml  # a dependency of huggingface_hub


LFS_SUFFIXES = (
    ".safetensors",
    ".bin",
    ".pt",
    ".pth",
    ".h5",
    ".onnx",
    ".gguf",
    ".npz",
    ".parquet",
    ".zip",
    ".gz",
    ".model",
)
LFS_THRESHOLD = 10 * 1024 * 1024
GITATTRIBUTES = "".join(f"*{s} filter=lfs diff=lfs merge=lfs -text\n" for s in LFS_SUFFIXES).encode()


def git_blob_id(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


def lfs_pointer(sha256: str, size: int) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()


class HubError(Exception):
    def __init__(self, status: int, message: str, code: str | None = None, **extra):
        super().__init__(message)
        self.status, self.code, self.extra = status, code, extra


class Store:
    """Repositories, commits and objects under one directory."""

    def __init__(self, root: Path):
        self.root, self.lock = Path(root), threading.RLock()
        for name in ("repos", "blobs", "lfs"):
            (self.root / name).mkdir(parents=True, exist_ok=True)

    # -- repositories: one JSON file each, holding refs and every commit's full tree
    def _path(self, kind: str, repo: str) -> Path:
        return self.root / "repos" / f"{kind}--{repo.replace('/', '--')}.json"

    def exists(self, kind, repo):
        return self._path(kind, repo).exists()

    def load(self, kind, repo) -> dict:
        if not self.exists(kind, repo):
            raise HubError(404, "Repository not found", "RepoNotFound")
        return json.loads(self._path(kind, repo).read_text())

    def save(self, kind, repo, data):
        tmp = self._path(kind, repo).with_suffix(".tmp")
        tmp.write_text(json.dumps(data))
        tmp.replace(self._path(kind, repo))

    def create(self, kind, repo, private):
        self.save(kind, repo, {"private": private, "refs": {}, "commits": {}})
        entry = self.put_blob(GITATTRIBUTES)
        return self.commit(kind, repo, "refs/heads/main", "initial commit", "", {".gitattributes": entry}, set())

    def delete(self, kind, repo):
        self.load(kind, repo)
        self._path(kind, repo).unlink()

    @staticmethod
    def ref_name(revision: str) -> list[str]:
        return [revision] if revision.startswith("refs/") else [f"refs/heads/{revision}", f"refs/tags/{revision}"]

    def resolve(self, data: dict, revision: str) -> str:
        for name in self.ref_name(revision):
            if name in data["refs"]:
                return data["refs"][name]
        if revision in data["commits"]:
            return revision
        raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")

    def commit(self, kind, repo, ref, title, description, added: dict, deleted: set, parent=None) -> str:
        with self.lock:
            data = self.load(kind, repo)
            head = data["refs"].get(ref)
            if parent and parent != head:
                raise HubError(412, "A commit has happened since. Please refresh and try again.")
            files = dict(data["commits"][head]["files"]) if head else {}
            for path in deleted:
                gone = [f for f in files if f == path or (path.endswith("/") and f.startswith(path))]
                if not gone:
                    raise HubError(404, f"A file with this name doesn't exist: {path}", "EntryNotFound")
                for f in gone:
                    del files[f]
            files.update(added)
            body = {"parent": head, "title": title, "message": description, "date": now(), "files": files}
            sha = hashlib.sha1(json.dumps(body, sort_keys=True).encode()).hexdigest()
            data["commits"][sha], data["refs"][ref] = body, sha
            self.save(kind, repo, data)
            return sha

    # -- objects
    def put_blob(self, content: bytes) -> dict:
        oid = git_blob_id(content)
        (self.root / "blobs" / oid).write_bytes(content)
        return {"oid": oid, "size": len(content)}

    def lfs_path(self, sha256: str) -> Path:
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise HubError(400, "not a sha256")
        return self.root / "lfs" / sha256

    def put_lfs(self, sha256: str, chunks):
        target, digest = self.lfs_path(sha256), hashlib.sha256()
        with tempfile.NamedTemporaryFile(dir=self.root / "lfs", delete=False) as tmp:
            for chunk in chunks:
                digest.update(chunk)
                tmp.write(chunk)
        if digest.hexdigest() != sha256:
            os.unlink(tmp.name)
            raise HubError(400, f"content has sha256 {digest.hexdigest()}, expected {sha256}")
        os.replace(tmp.name, target)

    def lfs_entry(self, sha256: str) -> dict:
        path = self.lfs_path(sha256)
        if not path.exists():
            raise HubError(400, f"LFS pointer pointed to a file that does not exist: {sha256}")
        size = path.stat().st_size
        return {"oid": git_blob_id(lfs_pointer(sha256, size)), "size": size, "lfs": sha256}

    def file_path(self, entry: dict) -> Path:
        return self.lfs_path(entry["lfs"]) if "lfs" in entry else self.root / "blobs" / entry["oid"]


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def card_metadata(text: str) -> dict:
    """The YAML front matter of a README; raises HubError like the Hub's validator does."""
    match = re.match(r"\ufeff?---[ \t]*\n(.*?)\n---[ \t]*(\n|$)", text, re.S)
    if not match:
        return {}
    try:
        data = yaml.safe_load(match.group(1)) or {}
    except yaml.YAMLError as e:
        raise HubError(400, "Invalid YAML", errors=[{"message": str(e)}]) from None
    if not isinstance(data, dict):
        raise HubError(400, "Invalid YAML", errors=[{"message": "metadata should be a mapping"}])
    return data


def entry_json(path: str, entry: dict) -> dict:
    out = {"type": "file", "path": path, "oid": entry["oid"], "size": entry["size"]}
    if "lfs" in entry:
        pointer = len(lfs_pointer(entry["lfs"], entry["size"]))
        out["lfs"] = {"oid": entry["lfs"], "size": entry["size"], "pointerSize": pointer}
    return out
