-- What providers said and no purchase could use is looked at by people: few rows among many.

CREATE INDEX rail_events_unusable ON rail_events (heard_at DESC) WHERE effect IN ('wrong_amount', 'unknown_purchase');
