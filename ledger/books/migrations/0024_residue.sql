-- What is left of a gift when its parts are rounded down has an account of its own, also where a refund takes it back.

-- Behind a colon the terms of a gift say a commission that is not of whole percents, in basis points. Then the creator's
-- part follows from them, and what the gift leaves. (Written so that no product passes BIGINT.) Terms of records from
-- before say none.
ALTER TABLE journal_records ADD CONSTRAINT journal_records_rates CHECK (
    plan NOT LIKE '%:%' OR creator_diamonds = coins / 100 * (10000 - nullif(split_part(plan, ':', 2), '')::integer)
        + coins % 100 * (10000 - nullif(split_part(plan, ':', 2), '')::integer) / 100
) NOT VALID;

-- What of the commission that went back is residue.
ALTER TABLE refund_shares ADD COLUMN residue_diamonds BIGINT NOT NULL DEFAULT 0;
ALTER TABLE refund_shares ADD CONSTRAINT refund_shares_residue
    CHECK (residue_diamonds BETWEEN 0 AND commission_diamonds);
