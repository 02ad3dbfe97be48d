-- Trigram indexes, for typo tolerance.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
