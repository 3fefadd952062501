"""What is known of the patient beside the photograph, and what of it moved the answer."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003_patient_context"
down_revision = "0002_predictions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    empty = sa.text("''")
    with op.batch_alter_table("predictions") as table:
        table.add_column(sa.Column("age", sa.Double(), nullable=True))
        table.add_column(sa.Column("sex", sa.String(16), server_default=empty, nullable=False))
        table.add_column(sa.Column("site", sa.String(32), server_default=empty, nullable=False))
        table.add_column(sa.Column("context", sa.String(32), server_default=empty, nullable=False))


def downgrade() -> None:
    with op.batch_alter_table("predictions") as table:
        for column in ("context", "site", "sex", "age"):
            table.drop_column(column)
