"""A batch that is paused, and since when its pace is measured."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009_batch_pauses"
down_revision = "0008_api"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("batches") as table:
        table.add_column(sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True))
        table.add_column(sa.Column("continued_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("batches") as table:
        table.drop_column("continued_at")
        table.drop_column("paused_at")
