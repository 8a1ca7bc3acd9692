"""Which commit of the program made a result: told, and never in the way."""

import shutil
import subprocess

import pytest

from lsm_core import checkout, runs
from lsm_core.checkout import CHANGED, FROM_A_WHEEL, UNKNOWN, commit, commit_of


def git(folder, *words):
    who = ("-c", "user.name=a", "-c", "user.email=a@b")
    done = subprocess.run(
        ["git", "-C", str(folder), *who, *words], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    if shutil.which("git") is None:  # which pip cannot install
        pytest.skip("there is no git here")
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "model.py").write_text("a = 1\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    git(folder, "tag", "v1")
    return folder


def test_a_checkout_says_its_commit_and_whether_files_differ(repository):
    head = git(repository, "rev-parse", "HEAD")[:12]
    assert commit_of(repository) == head
    (repository / "notes.txt").write_text("of nobody's concern")
    assert commit_of(repository) == head
    (repository / "model.py").write_text("a = 2\n")
    assert commit_of(repository) == head + CHANGED


def test_a_folder_inside_someone_elses_checkout_is_no_checkout(repository):
    (repository / "site-packages").mkdir()
    assert commit_of(repository / "site-packages") == FROM_A_WHEEL


def test_what_git_refuses_is_a_word(tmp_path, repository):
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "--quiet")
    assert commit_of(tmp_path / "empty") == UNKNOWN


def test_where_git_is_missing_a_word_says_so(tmp_path, monkeypatch):
    (tmp_path / ".git").mkdir()
    monkeypatch.setenv("PATH", "")
    assert commit_of(tmp_path) == UNKNOWN


def test_git_is_asked_once_for_all_that_is_written(monkeypatch):
    calls = []
    monkeypatch.setattr(checkout, "commit_of", lambda folder: calls.append(folder) or "abc")
    commit.cache_clear()
    try:
        assert runs.versions()["commit"] == runs.versions()["commit"] == "abc"
    finally:
        commit.cache_clear()
    assert len(calls) == 1
