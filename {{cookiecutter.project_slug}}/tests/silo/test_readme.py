"""The examples that silo's users begin with, as they are written, but for the import."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from support import eventually

from {{ cookiecutter.package_name }}.silo import Silo

MINIMAL = """
from flask import Flask, jsonify
from flask_silo import Silo

app = Flask(__name__)
silo = Silo(app, ttl=3600)  # 1-hour sessions

# Register a namespace — each client gets their own copy
silo.register('counter', lambda: {'value': 0})

@app.route('/api/increment', methods=['POST'])
def increment():
    state = silo.state('counter')
    state['value'] += 1
    return jsonify({'value': state['value'], 'sid': silo.sid})

@app.route('/api/count')
def count():
    return jsonify({'value': silo.state('counter')['value']})
"""

FULL = """
from flask import Flask, jsonify, request
from flask_silo import Silo, BackgroundTask

app = Flask(__name__)
silo = Silo(app, ttl=3600)

# Multiple namespaces per session
silo.register('processing', lambda: {
    'data': None,
    'results': None,
    'task': BackgroundTask('process'),
})

# Per-session file storage (auto-cleaned on expiry)
uploads = silo.add_file_store('uploads', './uploads')

# These endpoints return 410 if session expired
silo.add_data_endpoints('/api/results', '/api/export')

# Don't clean up sessions with running tasks
silo.store.set_busy_check(
    lambda sid, s: s['processing']['task'].is_running
)

@app.route('/api/upload', methods=['POST'])
def upload():
    f = request.files['file']
    path = uploads.save(silo.sid, f.filename, f)
    silo.state('processing')['data'] = path
    return jsonify({'message': f'Uploaded {f.filename}'})

@app.route('/api/process', methods=['POST'])
def process():
    state = silo.state('processing')

    def work(task, filepath):
        for i in range(10):
            # ... do work ...
            task.update(progress=(i+1)*10, message=f'Step {i+1}/10')
            task.log(f'Completed step {i+1}')
        task.complete('Done!')

    state['task'].start(work, state['data'])
    return jsonify({'status': 'started'})

@app.route('/api/progress')
def progress():
    return jsonify(silo.state('processing')['task'].state.to_dict())

@app.route('/api/reset', methods=['POST'])
def reset():
    silo.reset_current()  # clears state + files
    return jsonify({'message': 'Reset'})
"""

Run = Callable[[str], Flask]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs an example in a folder of the test and gives its app."""
    monkeypatch.chdir(tmp_path)
    apps: list[Flask] = []

    def run_it(example: str) -> Flask:
        names: dict[str, Any] = {"__name__": "example"}
        exec(example.replace("flask_silo", Silo.__module__.rpartition(".")[0]), names)
        apps.append(names["app"])
        return apps[-1]

    yield run_it
    for app in apps:
        app.extensions["silo"].stop()


def test_the_minimal_example_counts_for_each_client(run: Run) -> None:
    client = run(MINIMAL).test_client()
    first = client.post("/api/increment")
    assert first.get_json()["value"] == 1
    session = {"X-Session-ID": first.get_json()["sid"]}
    assert first.headers["X-Session-ID"] == first.get_json()["sid"]
    assert client.post("/api/increment", headers=session).get_json()["value"] == 2
    assert client.get("/api/count", headers=session).json == {"value": 2}
    assert client.get("/api/count").json == {"value": 0}
    assert client.post("/api/increment").get_json()["value"] == 1


def test_the_full_example_uploads_processes_and_resets(run: Run, tmp_path: Path) -> None:
    client = run(FULL).test_client()
    answer = client.post("/api/upload", data={"file": (io.BytesIO(b"a,b\n1,2\n"), "data.csv")})
    assert answer.json == {"message": "Uploaded data.csv"}
    session = {"X-Session-ID": answer.headers["X-Session-ID"]}
    stored = [path for path in (tmp_path / "uploads").rglob("*") if path.is_file()]
    assert b"a,b\n1,2\n" in [path.read_bytes() for path in stored]

    assert client.post("/api/process", headers=session).json == {"status": "started"}

    def progress() -> Any:
        return client.get("/api/progress", headers=session).get_json()

    eventually(lambda: progress()["complete"])
    done = progress()
    assert (done["progress"], done["message"], done["running"]) == (100.0, "Done!", False)
    assert done["logs"] == [f"Completed step {n}" for n in range(1, 11)]

    assert client.post("/api/reset", headers=session).json == {"message": "Reset"}
    assert progress()["complete"] is False
    assert [path for path in (tmp_path / "uploads").rglob("*") if path.is_file()] == []
