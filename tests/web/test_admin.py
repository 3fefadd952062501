"""Administration: people, how the house stands, and that nobody's pictures are shown."""

from __future__ import annotations

from flask import Flask

from tests.web.conftest import Person
from tests.web.owned import user_of
from web.database import db
from web.house import PAGE_SIZE, people_page, state_of_house
from web.models import Batch, BatchItem, User


def number_of(person: Person) -> int:
    with person.app.app_context():
        return user_of(person).id


def test_people_are_listed_and_found_by_name_and_address(
    admin: Person, mira: Person, stranger: Person
) -> None:
    page = admin.get("/admin/people").text
    assert all(person.email in page for person in (admin, mira, stranger))
    for words in ("aydin", "MIRA@"):
        found = admin.get("/admin/people", query_string={"q": words}).text
        assert mira.email in found
        assert stranger.email not in found
    assert "Nobody of that name" in admin.get("/admin/people?q=%25").text


def test_people_are_shown_in_pages(admin: Person, app: Flask) -> None:
    with app.app_context():
        db.session.add_all(
            User(email=f"{number}@clinic.org", name="Somebody", password_hash="")
            for number in range(PAGE_SIZE)
        )
        db.session.commit()
        first = people_page()
        second = people_page(before=first.older)
        assert [len(first.rows), len(second.rows), second.older] == [PAGE_SIZE, 1, None]
        assert second.rows[0].user.email == admin.email


def test_an_admin_sees_how_much_somebody_keeps_and_none_of_it(admin: Person, mira: Person) -> None:
    key = mira.answered(note="private")
    with admin.app.app_context():
        assert [row.answers for row in people_page(mira.email).rows] == [1]
    for path in ("/admin", "/admin/people", f"/admin/people/{number_of(mira)}", "/admin/audit"):
        page = admin.get(path).text
        assert "private" not in page
        assert f"/answers/{key}" not in page
    for part in ("", "/photo", "/thumbnail", "/heatmap/mel", "/delete", "/review"):
        assert admin.get(f"/answers/{key}{part}").status_code == 404


def test_the_overview_counts_people_answers_and_the_queue(admin: Person, mira: Person, app: Flask) -> None:
    mira.answered()
    with app.app_context():
        batch = Batch(user_id=user_of(mira).id, name="Morning", total=3)
        db.session.add(batch)
        db.session.flush()
        for position, state in enumerate(("waiting", "waiting", "failed")):
            db.session.add(BatchItem(batch_id=batch.id, position=position, name="a.jpg", state=state))
        db.session.commit()
        house = state_of_house()
    assert house.people == {"admin": 1, "user": 1}
    assert (house.answers, house.disabled) == (1, 0)
    assert house.queue == {"waiting": 2, "paused": 0, "working": 0, "done": 0, "failed": 1}
    assert house.database_bytes > 10_000
    assert house.free_bytes > 0
    assert "Free on the disk" in admin.get("/admin").text


def test_what_people_call_themselves_is_written_as_text(admin: Person, app: Flask) -> None:
    Person(app, "x@clinic.org", "<script>alert(1)</script>").register()
    for path in ("/admin/people", "/admin/people/2", "/admin/audit"):
        assert "<script>alert" not in admin.get(path).text


def test_a_disabled_person_loses_nothing(admin: Person, mira: Person) -> None:
    key = mira.answered()
    admin.post(f"/admin/people/{number_of(mira)}/disable")
    assert "Disabled" in admin.get("/admin/people").text
    admin.post(f"/admin/people/{number_of(mira)}/enable")
    mira.login()
    assert mira.get(f"/answers/{key}").status_code == 200


def test_signing_somebody_out_leaves_the_account_open(admin: Person, mira: Person) -> None:
    assert admin.post(f"/admin/people/{number_of(mira)}/sign-out").status_code == 302
    assert mira.get("/account").status_code == 302
    assert mira.login().status_code == 302
