"""Answers on paper: PDF reports of one answer and of a lesion."""
