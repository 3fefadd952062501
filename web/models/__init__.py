"""The tables, one file a subject. Holds no query and no page."""

from web.models.accounts import EMAIL_LENGTH, NAME_LENGTH, ROLES, Invitation, LoginAttempt, User, UserSession
from web.models.api import ApiToken, IdempotentRequest
from web.models.audit import AuditEvent
from web.models.batches import Batch, BatchItem
from web.models.keys import new_key
from web.models.lesions import Lesion
from web.models.predictions import NOTE_LENGTH, Prediction
from web.models.reviews import Review, Share
from web.models.second_factors import RecoveryCode, SecondFactor

__all__ = [
    "EMAIL_LENGTH",
    "NAME_LENGTH",
    "NOTE_LENGTH",
    "ROLES",
    "ApiToken",
    "AuditEvent",
    "Batch",
    "BatchItem",
    "IdempotentRequest",
    "Invitation",
    "Lesion",
    "LoginAttempt",
    "Prediction",
    "RecoveryCode",
    "Review",
    "SecondFactor",
    "Share",
    "User",
    "UserSession",
    "new_key",
]
