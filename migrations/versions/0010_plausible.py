"""Which diagnoses could not be ruled out, and how often such a list holds the truth."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010_plausible"
down_revision = "0009_batch_pauses"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("predictions") as table:
        table.add_column(sa.Column("plausible", sa.JSON(), nullable=True))
        table.add_column(sa.Column("plausible_level", sa.Double(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("predictions") as table:
        table.drop_column("plausible_level")
        table.drop_column("plausible")
