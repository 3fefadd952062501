"""Lesions that are followed over time, and what an answer knows of its lesion."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004_lesions"
down_revision = "0003_patient_context"
branch_labels = None
depends_on = None

EMPTY = sa.text("''")


def upgrade() -> None:
    op.create_table(
        "lesions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(32), nullable=False),
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("site", sa.String(32), server_default=EMPTY, nullable=False),
        sa.Column("body_view", sa.String(8), server_default=EMPTY, nullable=False),
        sa.Column("body_x", sa.Double(), nullable=True),
        sa.Column("body_y", sa.Double(), nullable=True),
        sa.Column("notes", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_lesions_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lesions")),
        sa.UniqueConstraint("key", name=op.f("uq_lesions_key")),
    )
    with op.batch_alter_table("lesions") as table:
        table.create_index(op.f("ix_lesions_user_id_created_at_key"), ["user_id", "created_at", "key"])
    with op.batch_alter_table("predictions") as table:
        table.add_column(sa.Column("lesion_id", sa.Integer(), nullable=True))
        table.add_column(sa.Column("taken_on", sa.Date(), nullable=True))
        table.add_column(sa.Column("bytes", sa.Integer(), server_default=sa.text("0"), nullable=False))
        table.add_column(sa.Column("lesion_share", sa.Double(), nullable=True))
        table.create_foreign_key(
            op.f("fk_predictions_lesion_id_lesions"), "lesions", ["lesion_id"], ["id"], ondelete="SET NULL"
        )
        for columns in (
            ["user_id", "advice", "created_at", "key"],
            ["user_id", "top", "created_at", "key"],
            ["lesion_id", "created_at", "key"],
        ):
            table.create_index(op.f("ix_predictions_" + "_".join(columns)), columns)


def downgrade() -> None:
    with op.batch_alter_table("predictions") as table:
        table.drop_index(op.f("ix_predictions_lesion_id_created_at_key"))
        table.drop_index(op.f("ix_predictions_user_id_top_created_at_key"))
        table.drop_index(op.f("ix_predictions_user_id_advice_created_at_key"))
        table.drop_constraint(op.f("fk_predictions_lesion_id_lesions"), type_="foreignkey")
        for column in ("lesion_share", "bytes", "taken_on", "lesion_id"):
            table.drop_column(column)
    op.drop_table("lesions")
