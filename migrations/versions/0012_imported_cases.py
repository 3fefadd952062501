"""Lesions and answers that came in a case file: what they are called where they come from, and when they came."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012_imported_cases"
down_revision = "0011_second_factors"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("lesions") as table:
        table.add_column(sa.Column("origin", sa.String(32), nullable=True))
        table.create_index(op.f("ix_lesions_user_id_origin"), ["user_id", "origin"], unique=True)
    with op.batch_alter_table("predictions") as table:
        table.add_column(sa.Column("origin", sa.String(32), nullable=True))
        table.add_column(sa.Column("imported_at", sa.DateTime(timezone=True), nullable=True))
        table.create_index(op.f("ix_predictions_user_id_origin"), ["user_id", "origin"], unique=True)


def downgrade() -> None:
    with op.batch_alter_table("predictions") as table:
        table.drop_index(op.f("ix_predictions_user_id_origin"))
        table.drop_column("imported_at")
        table.drop_column("origin")
    with op.batch_alter_table("lesions") as table:
        table.drop_index(op.f("ix_lesions_user_id_origin"))
        table.drop_column("origin")
