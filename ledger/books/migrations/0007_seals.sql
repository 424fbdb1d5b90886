-- Seals over the records of each partition: a hash over the records since the last seal and over that seal's hash.
-- So a record that is changed, removed or put in afterwards contradicts every later seal.
CREATE TABLE seals (
    partition SMALLINT    NOT NULL,
    number    BIGINT      NOT NULL CHECK (number > 0),
    -- The last record that it covers.
    seq       BIGINT      NOT NULL CHECK (seq > 0),
    -- Which columns of a record are hashed, and how they are written.
    form      SMALLINT    NOT NULL CHECK (form > 0),
    hash      BYTEA       NOT NULL CHECK (octet_length(hash) = 32),
    made_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    PRIMARY KEY (partition, number),
    UNIQUE (partition, seq)
);
