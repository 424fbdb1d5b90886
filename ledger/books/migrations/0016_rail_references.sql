-- What a rail calls the checkout of a purchase, and when it was last asked after one that it keeps open.

ALTER TABLE purchases ADD COLUMN rail_reference TEXT COLLATE "C" CHECK (char_length(rail_reference) BETWEEN 1 AND 255);
ALTER TABLE purchases ADD COLUMN asked_at TIMESTAMPTZ;
