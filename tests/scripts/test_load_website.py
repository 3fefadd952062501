"""load_website.py: its users, its figures, and the peer that it measures against. No time is asserted."""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import load_website
import pytest
from _load_naive import build_naive_app
from _load_users import Outcome, User, multipart, percentile, run_users, sign_in_users, summary, wait_until
from flask import Flask, request
from PIL import Image

from derm_core.errors import ConfigError
from tests.tiny_bundle import tiny_bundle
from tests.web.browser import served
from tests.web.conftest import CHEAP_ARGON2, Kept, close_connections
from tests.web.fakes import FakePredictor, picture
from web import create_app
from web.database import upgrade_database


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(number) for number in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1.0)) == (50.0, 99.0, 100.0)
    assert percentile([3.0], 0.99) == 3.0
    assert percentile([], 0.5) is None


def test_only_answers_are_timed_and_all_else_is_counted_by_its_kind() -> None:
    outcomes = [
        Outcome("answered", 1.0),
        Outcome("503", 0.001),
        Outcome("answered", 3.0),
        Outcome("503", 0.002),
    ]
    assert summary(outcomes, 4.0) == {
        "answered": 2,
        "per_second": 0.5,
        "p50_seconds": 1.0,
        "p99_seconds": 3.0,
        "errors": {"503": 2},
    }


def test_the_ratio_is_ours_by_the_naive_views() -> None:
    ours = {"per_second": 6.0, "p50_seconds": 1.0, "p99_seconds": None}
    naive = {"per_second": 3.0, "p50_seconds": 4.0, "p99_seconds": 9.0}
    found = load_website.ratios({load_website.OURS: ours, load_website.NAIVE: naive})
    assert found == {"per_second": 2.0, "p50_seconds": 0.25, "p99_seconds": None}


def test_users_sign_in_and_every_answer_they_count_is_kept(tmp_path: Path) -> None:
    app = create_app({"DERM_HOME": tmp_path, "ARGON2": CHEAP_ARGON2}, FakePredictor())
    upgrade_database(app)
    try:
        with served(app) as address:
            users = sign_in_users(int(address.rpartition(":")[2]), 3)
            run_users(users, picture(), 0.2)
        kinds = [outcome.kind for user in users for outcome in user.outcomes]
        assert set(kinds) == {"answered"}
        assert Kept(app).rows() == len(kinds) >= 3
    finally:
        close_connections(app)


def test_a_user_who_is_told_to_come_back_later_does(tmp_path: Path) -> None:
    app, asked = Flask("busy"), threading.Event()

    @app.post("/")
    def busy() -> tuple[str, int, dict[str, str]]:
        asked.set()
        return "", 503, {"Retry-After": "60"}

    with served(app) as address:
        user = User(int(address.rpartition(":")[2]), "/")
        run_users([user], picture(), 0.3)
    assert asked.is_set()
    assert [outcome.kind for outcome in user.outcomes] == ["503"]


def test_nobody_at_the_port_is_an_error_by_name_and_not_the_end() -> None:
    user = User(load_website.free_port(), "/")
    run_users([user], b"", 0.1)
    assert {outcome.kind for outcome in user.outcomes} == {"ConnectionRefusedError"}


def test_the_naive_view_gives_probabilities_and_a_heatmap_of_the_photographs_size(tmp_path: Path) -> None:
    with tiny_bundle(tmp_path / "tiny"):
        app = build_naive_app(str(tmp_path / "tiny"))
    photograph = io.BytesIO(picture(120, 90))
    response = app.test_client().post("/predict", data={"picture": (photograph, "a.jpg")})
    assert response.status_code == 200
    shares = [float(value) for name, value in response.headers if name.startswith("X-Probability-")]
    assert sum(shares) == pytest.approx(1, abs=1e-4)
    with Image.open(io.BytesIO(response.data)) as heatmap:
        assert heatmap.size == (120, 90)
        assert heatmap.mode == "L"


def test_a_run_prints_and_writes_both_sides_and_their_ratio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    app = Flask("both")

    @app.post("/predict")
    def predict() -> str:
        return str(len(request.files["picture"].read()))

    @contextmanager
    def stands_for_both(*_: object) -> Iterator[int]:
        with served(app) as address:
            yield int(address.rpartition(":")[2])

    for name in ("website", "naive_view"):
        monkeypatch.setattr(load_website, name, stands_for_both)
    monkeypatch.setattr(
        load_website, "sign_in_users", lambda port, count: [User(port, "/predict") for _ in range(count)]
    )
    out = tmp_path / "load.json"
    monkeypatch.setattr(sys, "argv", ["load", "--users", "2", "--seconds", "0.2", "--json", str(out)])
    load_website.main()
    report = json.loads(out.read_text("utf-8"))
    for side in ("website", "naive view"):
        assert report[side]["answered"] > 0
        assert report[side]["errors"] == {}
    assert report["ratio"]["per_second"] > 0
    printed = capsys.readouterr().out
    assert "2 users, 0.2 s for each side" in printed
    assert "times the answers/s" in printed


@pytest.mark.parametrize("arguments", [["--users", "0"], ["--seconds", "-1"], ["--threads", "0"]])
def test_wrong_arguments_are_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["load", *arguments])
    with pytest.raises(SystemExit, match="2"):
        load_website.main()
    assert "wanted: more than 0" in capsys.readouterr().err


def test_a_photograph_that_is_not_there_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["load", "--image", str(tmp_path / "none.jpg")])
    with pytest.raises(ConfigError, match="cannot be read"):
        load_website.main()


def test_a_server_that_does_not_come_is_an_error() -> None:
    with pytest.raises(TimeoutError, match="The website was not ready"):
        wait_until(lambda: False, 0, "The website")


def test_a_form_leaves_out_what_is_empty() -> None:
    assert b"csrf_token" not in multipart({"csrf_token": ""}, b"x")
    assert multipart({"csrf_token": "abc"}, b"x").count(b'form-data; name="') == 2
