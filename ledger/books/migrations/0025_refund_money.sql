-- How the money of a refund goes back. An operator's order for coins whose provider gives the money back, and what that provider
-- tells of the money, are of the same coins: what was taken for the first is not taken for the second.

-- told: its provider told of it. provider: an operator ordered it, and the provider may tell of it too. other: an operator
-- ordered it, and the money goes another way, of which no provider tells.
ALTER TABLE refunds ADD COLUMN money TEXT COLLATE "C" NOT NULL DEFAULT 'provider'
    CHECK (money IN ('told', 'provider', 'other'));
UPDATE refunds r SET money = 'told' FROM purchases p
WHERE p.id = r.purchase AND r.asked_by = p.rail AND starts_with(r.reason, p.rail || ' says ');
ALTER TABLE refunds ALTER COLUMN money DROP DEFAULT;
