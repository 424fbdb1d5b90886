-- Where a worker is, in words, so that whoever has to stop it finds it.

ALTER TABLE workers ADD COLUMN place TEXT NOT NULL DEFAULT '' CHECK (length(place) <= 500);
