"""The page: one document and its static files, all served from here."""
