"""What is done from the command line."""

from __future__ import annotations

from pathlib import Path

from flask import Flask

from tests.web.conftest import PASSWORD, Person


def create_admin(app: Flask, *arguments: str, password: str = PASSWORD) -> tuple[int, str]:
    done = app.test_cli_runner().invoke(args=["create-admin", *arguments], input=f"{password}\n")
    return done.exit_code, done.output


def test_the_first_admin_comes_from_the_command_line(app: Flask) -> None:
    assert create_admin(app, "Root@Hospital.org", "--name", "Ada") == (0, "root@hospital.org is an admin.\n")
    admin = Person(app, "root@hospital.org")
    assert admin.login().status_code == 302
    assert admin.get("/admin").status_code == 200
    assert "command line" in admin.get("/admin/audit").text


def test_an_account_that_exists_becomes_an_admin_with_the_new_password(mira: Person, app: Flask) -> None:
    assert create_admin(app, mira.email, password="quite another sentence")[0] == 0
    assert mira.get("/account").status_code == 302
    assert mira.login().status_code == 400
    assert mira.login("quite another sentence").status_code == 302
    assert mira.get("/admin").status_code == 200


def test_a_poor_password_and_a_wrong_address_are_one_sentence(app: Flask) -> None:
    status, said = create_admin(app, "root@hospital.org", password="short")
    assert (status, said.count("\n")) == (2, 1)
    assert "at least 10 characters" in said
    status, said = create_admin(app, "root")
    assert (status, said.count("\n")) == (2, 1)


def test_reviewed_cases_are_exported(clinician: Person, app: Flask, tmp_path: Path) -> None:
    runner = app.test_cli_runner()
    target = str(tmp_path / "reviewed")
    done = runner.invoke(args=["export-reviewed", target])
    assert (done.exit_code, done.output) == (
        2, "No case is reviewed yet. Record a confirmed diagnosis first.\n",
    )  # fmt: skip
    form = {"verdict": "confirmed", "diagnosis": "mel", "confirmed_by": "follow-up"}
    clinician.post(f"/answers/{clinician.answered()}/review", form)
    assert runner.invoke(args=["export-reviewed", target]).output == f"1 photograph in {target}\n"
    assert runner.invoke(args=["export-reviewed", target]).exit_code == 2
