"""Reviews of answers by clinicians, and the answers that were shared with one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006_reviews"
down_revision = "0005_batches"
branch_labels = None
depends_on = None

EMPTY = sa.text("''")


def upgrade() -> None:
    op.create_table(
        "reviews",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("prediction_id", sa.Integer(), nullable=False),
        sa.Column("reviewer_id", sa.Integer(), nullable=True),
        sa.Column("reviewer_name", sa.String(80), nullable=False),
        sa.Column("verdict", sa.String(16), nullable=False),
        sa.Column("diagnosis", sa.String(32), server_default=EMPTY, nullable=False),
        sa.Column("confirmed_by", sa.String(16), server_default=EMPTY, nullable=False),
        sa.Column("comment", sa.Text(), server_default=EMPTY, nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["prediction_id"],
            ["predictions.id"],
            name=op.f("fk_reviews_prediction_id_predictions"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["reviewer_id"], ["users.id"], name=op.f("fk_reviews_reviewer_id_users"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reviews")),
    )
    with op.batch_alter_table("reviews") as table:
        table.create_index(op.f("ix_reviews_prediction_id_id"), ["prediction_id", "id"])
        table.create_index(op.f("ix_reviews_reviewer_id"), ["reviewer_id"])
    op.create_table(
        "shares",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("prediction_id", sa.Integer(), nullable=False),
        sa.Column("clinician_id", sa.Integer(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["prediction_id"],
            ["predictions.id"],
            name=op.f("fk_shares_prediction_id_predictions"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["clinician_id"], ["users.id"], name=op.f("fk_shares_clinician_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shares")),
        sa.UniqueConstraint(
            "prediction_id", "clinician_id", name=op.f("uq_shares_prediction_id_clinician_id")
        ),
    )
    with op.batch_alter_table("shares") as table:
        table.create_index(op.f("ix_shares_clinician_id_created_at"), ["clinician_id", "created_at"])
    with op.batch_alter_table("predictions") as table:
        table.add_column(sa.Column("review", sa.String(16), server_default=EMPTY, nullable=False))
        table.add_column(sa.Column("confirmed", sa.String(32), server_default=EMPTY, nullable=False))
        table.create_index(
            op.f("ix_predictions_user_id_review_created_at_key"), ["user_id", "review", "created_at", "key"]
        )


def downgrade() -> None:
    with op.batch_alter_table("predictions") as table:
        table.drop_index(op.f("ix_predictions_user_id_review_created_at_key"))
        table.drop_column("confirmed")
        table.drop_column("review")
    op.drop_table("shares")
    op.drop_table("reviews")
