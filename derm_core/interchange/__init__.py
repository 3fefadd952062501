"""Lesions with their photographs and answers as one file, carried between the website and the desktop app."""
