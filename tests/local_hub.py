"""A small Hub-compatible server for offline tests of push_to_hub / from_pretrained(repo_id).

It speaks the part of the Hub's HTTP API that `huggingface_hub` uses for repositories: create/delete, branches and
tags, preupload, LFS batch + upload, ndjson commits, tree/paths-info, resolve (with a redirect to a separate "CDN"
origin for LFS files, range requests and the usual X-* headers) and repo info. Every stored object is
content-addressed: a git blob id for regular files, and the sha256, checked on arrival, for LFS ones. Loopback only.

    with LocalHub() as hub:
        subprocess.run([...], env={**os.environ, **hub.env(home)})   # or: python local_hub.py --root DIR --port 8000

Not covered: Xet (clients must set HF_HUB_DISABLE_XET=1, as `env()` does), discussions, Spaces, search, OAuth.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import secrets
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.local_hub_store import LFS_SUFFIXES, LFS_THRESHOLD, HubError, Store, card_metadata, entry_json


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: "LocalHub"
    is_cdn = False
    # (method, path regex, handler); {repo} is "type/ns/name" under /api, "[datasets/]ns/name" elsewhere
    REPO = r"/api/(?P<kind>model|dataset)s/(?P<repo>[^/]+/[^/]+)"
    ROUTES = [
        ("GET", r"/api/whoami-v2", "whoami"),
        ("POST", r"/api/validate-yaml", "validate_yaml"),
        ("POST", r"/api/repos/create", "create_repo"),
        ("DELETE", r"/api/repos/delete", "delete_repo"),
        ("GET", r"/api/(?P<kind>model|dataset)s", "list_repos"),
        ("GET", REPO + r"(/revision/(?P<rev>[^/]+))?", "info"),
        ("GET", REPO + r"/refs", "refs"),
        ("GET", REPO + r"/commits/(?P<rev>[^/]+)", "commits"),
        ("GET", REPO + r"/tree/(?P<rev>[^/]+)(/(?P<path>.+))?", "tree"),
        ("POST", REPO + r"/paths-info/(?P<rev>[^/]+)", "paths_info"),
        ("POST", REPO + r"/preupload/(?P<rev>[^/]+)", "preupload"),
        ("POST", REPO + r"/commit/(?P<rev>[^/]+)", "commit"),
        ("POST", REPO + r"/branch/(?P<name>.+)", "create_branch"),
        ("POST", REPO + r"/tag/(?P<rev>[^/]+)", "create_tag"),
        ("POST", r"/(?P<prefix>datasets/)?(?P<repo>[^/]+/[^/]+)\.git/info/lfs/objects/batch", "lfs_batch"),
        ("POST", r"/lfs-verify", "lfs_verify"),
        ("GET", r"/(?P<prefix>datasets/)?(?P<repo>[^/]+/[^/]+)/resolve/(?P<rev>[^/]+)/(?P<path>.+)", "resolve"),
    ]
    CDN_ROUTES = [("GET", r"/lfs/(?P<sha>[0-9a-f]{64})", "cdn_get"), ("PUT", r"/lfs/(?P<sha>[0-9a-f]{64})", "cdn_put")]

    # -- plumbing
    def dispatch(self):
        url = urlsplit(self.path)
        self.query = parse_qs(url.query)
        method = "GET" if self.command == "HEAD" else self.command
        self.hub.log.append((self.command, self.path))
        self._unread = True
        try:
            if self.is_cdn and self.headers.get("Authorization"):
                self.hub.leaked.append(self.path)
            for verb, pattern, name in self.CDN_ROUTES if self.is_cdn else self.ROUTES:
                match = re.fullmatch(pattern, url.path)
                if match and verb == method:
                    args = {k: unquote(v) if v else v for k, v in match.groupdict().items()}
                    if "prefix" in args:
                        args["kind"] = "dataset" if args.pop("prefix") else "model"
                    return getattr(self, name)(**args)
            raise HubError(404, f"no such endpoint: {self.command} {url.path}")
        except HubError as e:
            headers = {"X-Error-Message": str(e).replace("\n", " "), **({"X-Error-Code": e.code} if e.code else {})}
            commit = e.extra.pop("commit", None)
            if commit:
                headers["X-Repo-Commit"] = commit
            self.reply({"error": str(e), **e.extra}, e.status, headers)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = dispatch

    def log_message(self, *args):
        pass

    def chunks(self, size=1 << 20):
        self._unread = False
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            while n := int(self.rfile.readline().split(b";")[0], 16):
                yield self.rfile.read(n)
                self.rfile.readline()
            while self.rfile.readline() not in (b"\r\n", b""):
                pass
        else:
            left = int(self.headers.get("Content-Length") or 0)
            while left and (data := self.rfile.read(min(size, left))):
                left -= len(data)
                yield data

    def body(self) -> bytes:
        return b"".join(self.chunks())

    def json_body(self) -> dict:
        return json.loads(self.body() or b"{}")

    def reply(self, payload, status=200, headers=None):
        data = json.dumps(payload).encode()
        self.start(status, {"Content-Type": "application/json", "Content-Length": len(data), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(data)

    def start(self, status, headers):
        if self._unread:
            for _ in self.chunks():
                pass
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, str(value))
        self.end_headers()

    def send_file(self, path: Path, headers: dict):
        size = path.stat().st_size
        first, last, status = 0, size - 1, 200
        match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if match:
            first, last = int(match[1]), min(int(match[2] or last), last)
            if first > last:
                return self.start(416, {"Content-Range": f"bytes */{size}", "Content-Length": 0})
            status, headers = 206, {**headers, "Content-Range": f"bytes {first}-{last}/{size}"}
        self.start(status, {"Accept-Ranges": "bytes", "Content-Length": last - first + 1, **headers})
        if self.command != "HEAD":
            with open(path, "rb") as f:
                f.seek(first)
                left = last - first + 1
                while left and (data := f.read(min(1 << 20, left))):
                    left -= len(data)
                    self.wfile.write(data)

    # -- authorisation
    @property
    def authed(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.hub.token}"

    def need_write(self, repo: str):
        if not self.authed:
            raise HubError(401, "Invalid username or password.")
        if repo.split("/")[0] not in self.hub.namespaces:
            raise HubError(403, f"you can't write to {repo}")

    def read_repo(self, kind, repo) -> dict:
        data = self.hub.store.load(kind, repo)
        if data["private"] and not self.authed:
            raise HubError(404 if self.headers.get("Authorization") else 401, "Repository not found", "RepoNotFound")
        return data

    def at(self, kind, repo, rev) -> tuple[str, dict]:
        data = self.read_repo(kind, repo)
        sha = self.hub.store.resolve(data, rev or "main")
        return sha, data["commits"][sha]["files"]

    # -- endpoints
    def whoami(self):
        if not self.authed:
            raise HubError(401, "Invalid username or password.")
        user, *orgs = self.hub.namespaces
        self.reply(
            {"type": "user", "name": user, "orgs": [{"name": o} for o in orgs], "auth": {"type": "access_token"}}
        )

    def validate_yaml(self):
        meta = card_metadata(self.json_body()["content"])
        self.reply(
            {"warnings": [] if meta else [{"message": "empty or missing yaml metadata in repo card"}], "errors": []}
        )

    def create_repo(self):
        body = self.json_body()
        repo, kind = f"{body.get('organization') or self.hub.namespaces[0]}/{body['name']}", body.get("type", "model")
        self.need_write(repo)
        url = f"{self.hub.url}/{'datasets/' if kind == 'dataset' else ''}{repo}"
        with self.hub.store.lock:
            if self.hub.store.exists(kind, repo):
                raise HubError(409, f"You already created this {kind} repo: {repo}", url=url)
            self.hub.store.create(kind, repo, body.get("visibility") == "private" or bool(body.get("private")))
        self.reply({"url": url, "name": repo})

    def delete_repo(self):
        body = self.json_body()
        repo = f"{body.get('organization') or self.hub.namespaces[0]}/{body['name']}"
        self.need_write(repo)
        self.hub.store.delete(body.get("type", "model"), repo)
        self.reply({})

    def list_repos(self, kind):
        names = [
            p.stem.split("--", 1)[1].replace("--", "/", 1)
            for p in (self.hub.store.root / "repos").glob(f"{kind}--*.json")
        ]
        self.reply(
            [{"id": n, "_id": n} for n in sorted(names) if not self.hub.store.load(kind, n)["private"] or self.authed]
        )

    def info(self, kind, repo, rev):
        data = self.read_repo(kind, repo)
        sha = self.hub.store.resolve(data, rev or "main")
        files = data["commits"][sha]["files"]
        read = lambda name: self.hub.store.file_path(files[name]).read_text() if name in files else ""  # noqa: E731
        meta, config = card_metadata(read("README.md")), json.loads(read("config.json") or "{}")
        tags = [
            meta.get("library_name"),
            config.get("model_type"),
            *(meta.get("tags") or []),
            meta.get("pipeline_tag"),
        ]
        tags += ["safetensors"] * any(f.endswith(".safetensors") for f in files) + ["custom_code"] * (
            "auto_map" in config
        )
        tags += [f"license:{meta['license']}"] if meta.get("license") else []
        siblings = [{"rfilename": f} for f in sorted(files)]
        if "blobs" in self.query:
            for s in siblings:
                e = entry_json(s["rfilename"], files[s["rfilename"]])
                s.update(size=e["size"], blobId=e["oid"])
                if "lfs" in e:
                    s["lfs"] = {"sha256": e["lfs"]["oid"], "size": e["size"], "pointerSize": e["lfs"]["pointerSize"]}
        self.reply({
            "_id": repo, "id": repo, "modelId": repo, "author": repo.split("/")[0], "sha": sha,
            "private": data["private"], "gated": False, "disabled": False,
            "lastModified": data["commits"][sha]["date"], "downloads": 0, "likes": 0,
            "tags": list(dict.fromkeys(t for t in tags if t)), "siblings": siblings, "cardData": meta or None,
            "pipeline_tag": meta.get("pipeline_tag"), "library_name": meta.get("library_name"),
            "config": {k: config[k] for k in ("architectures", "auto_map", "model_type") if k in config},
        })  # fmt: skip

    def refs(self, kind, repo):
        out = {"branches": [], "converts": [], "tags": [], "pullRequests": []}
        group = {"heads": "branches", "tags": "tags", "pr": "pullRequests"}
        for ref, sha in self.read_repo(kind, repo)["refs"].items():
            _, which, name = ref.split("/", 2)
            out[group[which]].append({"name": name, "ref": ref, "targetCommit": sha})
        self.reply(out)

    def commits(self, kind, repo, rev):
        data = self.read_repo(kind, repo)
        sha, out = self.hub.store.resolve(data, rev), []
        while sha:
            c = data["commits"][sha]
            out.append(
                {
                    "id": sha,
                    "title": c["title"],
                    "message": c["message"],
                    "date": c["date"],
                    "authors": [{"user": repo.split("/")[0]}],
                }
            )
            sha = c["parent"]
        self.reply(out)

    def tree(self, kind, repo, rev, path):
        sha, files = self.at(kind, repo, rev)
        prefix, recursive, out = (
            f"{path.strip('/')}/" if path else "",
            self.query.get("recursive", ["0"])[0] in ("1", "true", "True"),
            {},
        )
        for name, entry in files.items():
            if not name.startswith(prefix):
                continue
            rest = name[len(prefix) :].split("/")
            for depth in range(1, len(rest)):
                folder = prefix + "/".join(rest[:depth])
                if recursive or depth == 1:
                    oid = hashlib.sha1(f"{sha}:{folder}".encode()).hexdigest()
                    out[folder] = {"type": "directory", "path": folder, "oid": oid, "size": 0}
            if recursive or len(rest) == 1:
                out[name] = entry_json(name, entry)
        if prefix and not out:
            raise HubError(404, f"{path} does not exist on {rev}", "EntryNotFound", commit=sha)
        self.reply([out[k] for k in sorted(out)])

    def paths_info(self, kind, repo, rev):
        _, files = self.at(kind, repo, rev)
        raw = self.body().decode()
        paths = json.loads(raw)["paths"] if raw.startswith("{") else parse_qs(raw).get("paths", [])
        self.reply([entry_json(p, files[p]) for p in paths if p in files])

    def preupload(self, kind, repo, rev):
        self.need_write(repo)
        data, out = self.hub.store.load(kind, repo), []
        head = data["refs"].get(self.hub.store.ref_name(rev)[0])
        files = data["commits"][head]["files"] if head else {}
        for f in self.json_body()["files"]:
            binary = b"\0" in base64.b64decode(f.get("sample", ""))
            lfs = f["path"].endswith(LFS_SUFFIXES) or f["size"] >= LFS_THRESHOLD or binary
            old = files.get(f["path"], {})
            remote = {"oid": old.get("lfs", old["oid"])} if old else {}
            out.append({"path": f["path"], "uploadMode": "lfs" if lfs else "regular", "shouldIgnore": False, **remote})
        self.reply({"files": out})

    def lfs_batch(self, kind, repo):
        self.need_write(repo)
        self.hub.store.load(kind, repo)
        objects = []
        for obj in self.json_body()["objects"]:
            answer = {"oid": obj["oid"], "size": obj["size"], "authenticated": True}
            if not self.hub.store.lfs_path(obj["oid"]).exists():
                answer["actions"] = {
                    "upload": {"href": f"{self.hub.cdn_url}/lfs/{obj['oid']}"},
                    "verify": {"href": f"{self.hub.url}/lfs-verify"},
                }
            objects.append(answer)
        self.reply({"transfer": "basic", "objects": objects})

    def lfs_verify(self):
        body = self.json_body()
        if self.hub.store.lfs_entry(body["oid"])["size"] != body["size"]:
            raise HubError(400, "size mismatch")
        self.reply({})

    def commit(self, kind, repo, rev):
        self.need_write(repo)
        store, data = self.hub.store, self.hub.store.load(kind, repo)
        ref = store.ref_name(rev)[0]
        header, added, deleted = {}, {}, set()
        for line in self.body().splitlines():
            item = json.loads(line)
            value = item["value"]
            if item["key"] == "header":
                header = value
            elif item["key"] == "file":
                content = (
                    base64.b64decode(value["content"])
                    if value.get("encoding") == "base64"
                    else value["content"].encode()
                )
                if value["path"] == "README.md":
                    card_metadata(content.decode())
                added[value["path"]] = store.put_blob(content)
            elif item["key"] == "lfsFile":
                added[value["path"]] = store.lfs_entry(value["oid"])
            elif item["key"] in ("deletedFile", "deletedFolder"):
                deleted.add(value["path"].rstrip("/") + ("/" if item["key"] == "deletedFolder" else ""))
            else:
                raise HubError(400, f"unknown operation {item['key']}")
        if any(p.startswith(("/", "../")) or "/../" in p or p.startswith(".git/") for p in added):
            raise HubError(400, "invalid path")
        pr = {}
        if "create_pr" in self.query:
            number = 1 + sum(r.startswith("refs/pr/") for r in data["refs"])
            base, ref = store.resolve(data, rev), f"refs/pr/{number}"
            with store.lock:
                data["refs"][ref] = base
                store.save(kind, repo, data)
            pr = {"pullRequestUrl": f"{self.hub.url}/{repo}/discussions/{number}"}
        elif ref not in data["refs"]:
            raise HubError(404, f"Invalid rev id: {rev}", "RevisionNotFound")
        sha = store.commit(
            kind,
            repo,
            ref,
            header.get("summary", ""),
            header.get("description", ""),
            added,
            deleted,
            header.get("parentCommit"),
        )
        self.reply({"success": True, "commitOid": sha, "commitUrl": f"{self.hub.url}/{repo}/commit/{sha}", **pr})

    def create_branch(self, kind, repo, name):
        self._new_ref(kind, repo, f"refs/heads/{name}", self.json_body().get("startingPoint") or "main")

    def create_tag(self, kind, repo, rev):
        self._new_ref(kind, repo, f"refs/tags/{self.json_body()['tag']}", rev)

    def _new_ref(self, kind, repo, ref, start):
        self.need_write(repo)
        with self.hub.store.lock:
            data = self.hub.store.load(kind, repo)
            if ref in data["refs"]:
                raise HubError(409, f"Reference already exists: {ref}")
            data["refs"][ref] = self.hub.store.resolve(data, start)
            self.hub.store.save(kind, repo, data)
        self.reply({})

    def resolve(self, kind, repo, rev, path):
        sha, files = self.at(kind, repo, rev)
        if path not in files:
            raise HubError(404, "Entry not found", "EntryNotFound", commit=sha)
        entry, headers = files[path], {"X-Repo-Commit": sha}
        if "lfs" in entry:
            location = f"{self.hub.cdn_url}/lfs/{entry['lfs']}?filename={quote(path)}"
            linked = {"X-Linked-Etag": f'"{entry["lfs"]}"', "X-Linked-Size": entry["size"], "Location": location}
            return self.start(302, {**headers, **linked, "Content-Length": 0})
        self.send_file(self.hub.store.file_path(entry), {**headers, "ETag": f'"{entry["oid"]}"'})

    # -- the "CDN": another origin, no credentials
    def cdn_get(self, sha):
        path = self.hub.store.lfs_path(sha)
        if not path.exists():
            raise HubError(404, "no such object")
        self.send_file(path, {"ETag": f'"{sha}"', "Content-Type": "application/octet-stream"})

    def cdn_put(self, sha):
        self.hub.gate.wait()
        self.hub.store.put_lfs(sha, self.chunks())
        self.start(200, {"ETag": f'"{sha}"', "Content-Length": 0})


class LocalHub:
    """
    `log`: every request as (method, path). `leaked`: CDN requests with an Authorization header, should be empty.
    `gate`: an event; while it is cleared, uploads of large files wait.
    """

    def __init__(self, root=None, port=0, token=None, namespaces=("user",)):
        self._tmp = None if root else tempfile.TemporaryDirectory(prefix="local_hub_")
        self.store = Store(root or self._tmp.name)
        self.token = token or "hf_" + secrets.token_hex(17)
        self.namespaces, self.log, self.leaked = list(namespaces), [], []
        self.gate = threading.Event()
        self.gate.set()
        self._servers = [self._server(False, port), self._server(True, 0)]
        # two host names, as on the real Hub: clients must not follow a HEAD, nor send the token, to the second one
        self.url, self.cdn_url = (
            f"http://{h}:{s.server_address[1]}" for h, s in zip(("127.0.0.1", "localhost"), self._servers, strict=True)
        )

    def _server(self, is_cdn: bool, port: int) -> ThreadingHTTPServer:
        return ThreadingHTTPServer(("127.0.0.1", port), type("H", (Handler,), {"hub": self, "is_cdn": is_cdn}))

    def env(self, home=None) -> dict[str, str]:
        """Variables that point a client process at this hub (they are read when huggingface_hub is imported)."""
        env = {
            "HF_ENDPOINT": self.url,
            "HF_TOKEN": self.token,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }
        return env | ({"HF_HOME": str(home)} if home else {})

    def __enter__(self):
        for s in self._servers:
            s.daemon_threads = True
            threading.Thread(target=s.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exc):
        for s in self._servers:
            s.shutdown()
            s.server_close()
        if self._tmp:
            self._tmp.cleanup()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--namespace", action="append", default=None)
    args = parser.parse_args()
    with LocalHub(args.root, args.port, os.environ.get("HF_TOKEN"), args.namespace or ["user"]) as hub:
        print("\n".join(f"export {k}={v}" for k, v in hub.env().items()), flush=True)
        threading.Event().wait()
