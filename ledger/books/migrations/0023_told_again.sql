-- Coins that are noted as credited are looked for in the books until they are there: a promoted server may lack the record.
CREATE INDEX credits_noted ON credits (credited_at, id) WHERE credited_at IS NOT NULL;

-- What a refund had taken comes back as a grant, by whoever asked for that: as long a name as there.
ALTER TABLE grants DROP CONSTRAINT grants_granted_by_check;
ALTER TABLE grants ADD CONSTRAINT grants_granted_by_check CHECK (char_length(granted_by) BETWEEN 1 AND 300);

-- What was decided a moment ago is told again, where Valkey was killed right after it had taken it.
CREATE INDEX guards_changed ON guards (changed_at);
