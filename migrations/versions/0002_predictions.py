"""Predictions: a user's photographs and their answers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002_predictions"
down_revision = "0001_users"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "predictions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(32), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("CURRENT_TIMESTAMP"), nullable=False
        ),
        sa.Column("note", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("is_sample", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("probabilities", sa.JSON(), nullable=False),
        sa.Column("top", sa.String(32), nullable=False),
        sa.Column("malignant_probability", sa.Double(), nullable=False),
        sa.Column("operating_point", sa.Double(), nullable=False),
        sa.Column("operating_point_measured", sa.JSON(), nullable=False),
        sa.Column("advice", sa.String(16), nullable=False),
        sa.Column("quality", sa.JSON(), nullable=False),
        sa.Column("model_name", sa.String(200), nullable=False),
        sa.Column("model_version", sa.String(64), nullable=False),
        sa.Column("model_sha256", sa.String(64), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_predictions_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_predictions")),
        sa.UniqueConstraint("key", name=op.f("uq_predictions_key")),
    )
    with op.batch_alter_table("predictions") as table:
        table.create_index(
            op.f("ix_predictions_user_id_created_at_key"), ["user_id", "created_at", "key"]
        )


def downgrade() -> None:
    op.drop_table("predictions")
