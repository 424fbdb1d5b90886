-- Which worker does the work of which partition, and until when by this server's clock. A lease spares two workers the
-- same work; it is not what keeps them from doing harm: the positions of the books and of the rooms are.

CREATE TABLE workers (
    worker UUID        PRIMARY KEY,
    until  TIMESTAMPTZ NOT NULL
);

-- -1 stands for what is nobody's partition: earnings that mature, coins owed, the rolling audit.
CREATE TABLE leases (
    partition SMALLINT    PRIMARY KEY CHECK (partition >= -1),
    worker    UUID,
    until     TIMESTAMPTZ NOT NULL DEFAULT '-infinity'
);
